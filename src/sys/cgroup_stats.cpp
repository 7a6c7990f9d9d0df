// Reading statistics that the back ends have in common.

#include "sys/cgroup_backend.hpp"
#include "sys/file.hpp"

namespace coffer::sys::cgroup {

namespace {

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::uint64_t kLargestCounter = 0x7FFFFFFFFFFFF000;  // an unlimited group reads as this

}  // namespace

Result<Stats::Counter> read_counter(const std::string& folder, const std::string& prefix) {
    const std::string base = folder + "/" + prefix;
    Stats::Counter counter;
    counter.usage = TRY(read_number(base + ".usage_in_bytes", 0, 0));
    counter.limit = TRY(read_number(base + ".limit_in_bytes", kNoLimit, 0));
    if (counter.limit >= kLargestCounter) counter.limit = kNoLimit;
    counter.max = TRY(read_number(base + ".max_usage_in_bytes", 0, 0));
    counter.failures = TRY(read_number(base + ".failcnt", 0, 0));
    return counter;
}

Result<void> read_cpuset(const std::string& folder, Stats& stats) {
    for (const std::string name :
         {"cpus", "mems", "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate",
          "memory_spread_page", "memory_spread_slab", "memory_pressure", "sched_load_balance",
          "sched_relax_domain_level"}) {
        const std::string text = TRY(read_optional(folder + "/cpuset." + name));
        if (!trim(text).empty()) stats.cpuset.emplace_back(name, trim(text));
    }
    return {};
}

std::vector<std::string> huge_page_sizes() {
    std::vector<std::string> sizes;
    const auto names = list_dir("/sys/kernel/mm/hugepages");  // "hugepages-2048kB"
    if (!names) return sizes;
    for (const std::string& name : *names) {
        const auto kilobytes =
            parse_uint(name.substr(name.find('-') + 1).substr(0, name.size() - name.find('-') - 3));
        if (!kilobytes) continue;
        std::uint64_t size = *kilobytes;
        std::size_t unit = 0;
        static constexpr std::string_view kUnits[] = {"KB", "MB", "GB"};
        while (size >= 1024 && size % 1024 == 0 && unit + 1 < std::size(kUnits)) {
            size /= 1024;
            ++unit;
        }
        sizes.push_back(format("{}{}", size, kUnits[unit]));
    }
    return sizes;
}

}  // namespace coffer::sys::cgroup
