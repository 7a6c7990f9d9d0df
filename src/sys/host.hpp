#pragma once
// What the machine as a whole has and uses. Safe from any thread.

#include <chrono>
#include <cstdint>

namespace coffer::sys {

// Main memory in bytes.
std::uint64_t total_memory();

// Time of all processors since boot, idle or not, without what guests of this machine used.
struct CpuTimes {
    std::chrono::nanoseconds total{0};
    std::uint32_t online = 0;  // processors
};
CpuTimes cpu_times();

}  // namespace coffer::sys
