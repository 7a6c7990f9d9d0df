#pragma once
// Container statistics of the Engine API 1.50, for cgroup v1 and v2 hosts. Plain data. A member is
// the wire name.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::api {

struct PidsStats {
    std::uint64_t current = 0;
    std::uint64_t limit = 0;
};

struct BlkioStatEntry {
    std::uint64_t major = 0;
    std::uint64_t minor = 0;
    std::string op;
    std::uint64_t value = 0;
};

struct BlkioStats {  // absent: the kernel does not tell
    std::optional<std::vector<BlkioStatEntry>> io_service_bytes_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_serviced_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_queue_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_service_time_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_wait_time_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_merged_recursive;
    std::optional<std::vector<BlkioStatEntry>> io_time_recursive;
    std::optional<std::vector<BlkioStatEntry>> sectors_recursive;
};

struct CpuUsage {  // nanoseconds
    std::uint64_t total_usage = 0;
    std::vector<std::uint64_t> percpu_usage;  // cgroup v1
    std::uint64_t usage_in_kernelmode = 0;
    std::uint64_t usage_in_usermode = 0;
};

struct ThrottlingData {
    std::uint64_t periods = 0;
    std::uint64_t throttled_periods = 0;
    std::uint64_t throttled_time = 0;
};

struct CpuStats {
    CpuUsage cpu_usage;
    std::uint64_t system_cpu_usage = 0;
    std::uint32_t online_cpus = 0;
    ThrottlingData throttling_data;
};

struct MemoryStats {
    std::uint64_t usage = 0;
    std::uint64_t max_usage = 0;                 // cgroup v1
    std::map<std::string, std::uint64_t> stats;  // memory.stat
    std::uint64_t failcnt = 0;                   // cgroup v1
    std::uint64_t limit = 0;
};

struct NetworkStats {
    std::uint64_t rx_bytes = 0;
    std::uint64_t rx_packets = 0;
    std::uint64_t rx_errors = 0;
    std::uint64_t rx_dropped = 0;
    std::uint64_t tx_bytes = 0;
    std::uint64_t tx_packets = 0;
    std::uint64_t tx_errors = 0;
    std::uint64_t tx_dropped = 0;
};

struct StatsResponse {
    std::string name;  // with the leading slash
    std::string id;
    std::string os_type;
    std::string read = "0001-01-01T00:00:00Z";
    CpuStats cpu_stats;
    MemoryStats memory_stats;
    std::map<std::string, NetworkStats> networks;  // by interface
    PidsStats pids_stats;
    BlkioStats blkio_stats;
    std::uint32_t num_procs = 0;
    json::Empty storage_stats;  // of Windows
    std::string preread = "0001-01-01T00:00:00Z";
    CpuStats precpu_stats;
};

void describe(json::Fields& f, const PidsStats& s);
void describe(json::Fields& f, const BlkioStatEntry& s);
void describe(json::Fields& f, const BlkioStats& s);
void describe(json::Fields& f, const CpuUsage& s);
void describe(json::Fields& f, const ThrottlingData& s);
void describe(json::Fields& f, const CpuStats& s);
void describe(json::Fields& f, const MemoryStats& s);
void describe(json::Fields& f, const NetworkStats& s);
void describe(json::Fields& f, const StatsResponse& s);

}  // namespace coffer::api
