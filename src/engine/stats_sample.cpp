// One sample: the counters of a container's cgroup and network namespace in docker's form.
#include <algorithm>

#include "base/time.hpp"
#include "engine/container.hpp"
#include "engine/stats.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "sys/host.hpp"

namespace coffer::engine {

namespace {

using Rows = std::vector<sys::cgroup::Stats::Row>;

std::vector<api::BlkioStatEntry> entries_of(const Rows& rows) {
    std::vector<api::BlkioStatEntry> entries;
    for (const auto& row : rows) entries.push_back({row.major, row.minor, row.op, row.value});
    return entries;
}

// cgroup v2 counts bytes and operations, v1 may count more.
api::BlkioStats blkio_of(const sys::cgroup::Stats& stats) {
    api::BlkioStats blkio;
    const bool v1 = sys::cgroup::host_layout().version == 1;
    if (v1 || !stats.io_service_bytes.empty()) {
        blkio.io_service_bytes_recursive = entries_of(stats.io_service_bytes);
        blkio.io_serviced_recursive = entries_of(stats.io_serviced);
    }
    if (!v1) return blkio;
    const std::pair<std::string_view, std::optional<std::vector<api::BlkioStatEntry>>*> others[] = {
        {"io_queued", &blkio.io_queue_recursive},
        {"io_service_time", &blkio.io_service_time_recursive},
        {"io_wait_time", &blkio.io_wait_time_recursive},
        {"io_merged", &blkio.io_merged_recursive},
        {"time", &blkio.io_time_recursive},
        {"sectors", &blkio.sectors_recursive}};
    for (const auto& [wanted, entries] : others) {
        entries->emplace();
        for (const auto& [name, rows] : stats.io_other) {
            if (name == wanted) *entries = entries_of(rows);
        }
    }
    return blkio;
}

api::CpuStats cpu_of(const sys::cgroup::Stats& stats) {
    const sys::CpuTimes host = sys::cpu_times();
    api::CpuStats cpu;
    cpu.cpu_usage.total_usage = stats.cpu_ns;
    cpu.cpu_usage.percpu_usage = stats.cpu_per_cpu_ns;
    cpu.cpu_usage.usage_in_kernelmode = stats.cpu_system_ns;
    cpu.cpu_usage.usage_in_usermode = stats.cpu_user_ns;
    cpu.system_cpu_usage = static_cast<std::uint64_t>(host.total.count());
    cpu.online_cpus = host.online;
    cpu.throttling_data = {stats.periods, stats.throttled_periods, stats.throttled_ns};
    return cpu;
}

api::MemoryStats memory_of(const sys::cgroup::Stats& stats) {
    api::MemoryStats memory;
    memory.usage = stats.memory_usage;
    // docker leaves out what only one of the two versions had when it was written.
    if (sys::cgroup::host_layout().version == 1) {
        memory.max_usage = stats.memory_max_usage;
        memory.failcnt = stats.memory_failures;
    } else {
        memory.failcnt = stats.memory_ooms;
    }
    memory.stats = {stats.memory_stat.begin(), stats.memory_stat.end()};
    // No limit means all of the machine's.
    memory.limit = std::min(stats.memory_limit, sys::total_memory());
    return memory;
}

// The interfaces of the network namespace of `pid`, but for the loopback.
std::map<std::string, api::NetworkStats> networks_of(int pid) {
    std::map<std::string, api::NetworkStats> networks;
    const auto text = sys::read_file(format("/proc/{}/net/dev", pid));
    if (!text) return networks;
    for (const std::string& line : split(*text, '\n')) {
        const auto sides = cut(line, ":");
        if (!sides) continue;
        const std::string name(trim(sides->first));
        const std::vector<std::string> fields = split_fields(sides->second);
        if (name == "lo" || fields.size() < 12) continue;
        const auto number = [&](std::size_t i) { return parse_uint(fields[i]).value_or(0); };
        networks[name] = {number(0), number(1), number(2),  number(3),
                          number(8), number(9), number(10), number(11)};
    }
    return networks;
}

}  // namespace

Result<api::StatsResponse> sample_stats(const Record& record) {
    const auto cgroup = TRY(sys::cgroup::Cgroup::open(record.cgroup_path));
    const sys::cgroup::Stats stats = TRY(cgroup.stats(sys::cgroup::Detail::Usage));
    api::StatsResponse sample;
    sample.name = "/" + record.name;
    sample.id = record.id;
    sample.read = to_rfc3339_short(now());
    sample.cpu_stats = cpu_of(stats);
    sample.memory_stats = memory_of(stats);
    sample.blkio_stats = blkio_of(stats);
    sample.pids_stats.current = stats.pids;
    sample.pids_stats.limit = stats.pids_limit;
    // docker writes the kernel's "max" of cgroup v2 as the largest number.
    if (stats.pids_limit == 0 && sys::cgroup::host_layout().version == 2) {
        sample.pids_stats.limit = UINT64_MAX;
    }
    // On the host's own network the numbers would be those of the machine.
    if (record.host_config.network_mode != "host") sample.networks = networks_of(record.pid);
    return sample;
}

}  // namespace coffer::engine
