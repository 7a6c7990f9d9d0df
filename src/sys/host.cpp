#include "sys/host.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>

#include "sys/file.hpp"

namespace coffer::sys {

std::uint64_t total_memory() {
    struct sysinfo info {};
    ::sysinfo(&info);
    return std::uint64_t{info.totalram} * info.mem_unit;
}

// "cpu  user nice system idle iowait irq softirq ...", then a line "cpuN ..." for each.
CpuTimes cpu_times() {
    constexpr std::size_t kColumns = 7;
    CpuTimes times;
    const auto text = read_file("/proc/stat");
    if (!text) return times;
    const auto tick = std::chrono::nanoseconds(std::chrono::seconds(1)) / ::sysconf(_SC_CLK_TCK);
    for (std::string_view rest = *text; rest.starts_with("cpu");) {
        const auto line = cut(rest, "\n");
        const std::string_view row = line ? line->first : rest;
        rest = line ? line->second : std::string_view();
        if (!row.starts_with("cpu ")) {
            ++times.online;
            continue;
        }
        const std::vector<std::string> fields = split_fields(row);
        const std::size_t end = std::min(fields.size(), kColumns + 1);
        for (std::size_t i = 1; i < end; ++i) {
            times.total += tick * static_cast<std::int64_t>(parse_uint(fields[i]).value_or(0));
        }
    }
    return times;
}

}  // namespace coffer::sys
