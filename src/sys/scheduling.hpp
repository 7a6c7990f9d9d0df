#pragma once
// When, where and beside which memory a process runs: scheduler, I/O priority, processors,
// personality and memory policy. Stateless; those without a pid change the calling thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys::sched {

// sched_setattr(2), with the kernel's numbers.
struct Attributes {
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0;  // nanoseconds, as the two below
    std::uint64_t deadline = 0;
    std::uint64_t period = 0;
};
Result<void> set_attributes(int pid, const Attributes& attributes);
// ioprio_set(2): class 1 real-time, 2 best-effort, 3 idle; level 0 (first) to 7.
Result<void> set_io_priority(int pid, unsigned io_class, unsigned level);

// "0-3,7" as a mask of bits, 64 a word; at most 8192 bits.
Result<std::vector<std::uint64_t>> parse_list(std::string_view list);
Result<void> set_affinity(int pid, const std::vector<std::uint64_t>& processors);
// set_mempolicy(2), with the kernel's numbers.
Result<void> set_memory_policy(unsigned mode_and_flags, const std::vector<std::uint64_t>& nodes);
Result<void> set_personality(unsigned long personality);

}  // namespace coffer::sys::sched
