#include "runtime/events.hpp"

#include <algorithm>
#include <cstdlib>

namespace coffer::runtime {

namespace {

using json::Array;
using json::Object;
using sys::cgroup::Stats;

void add_if(Object& object, const char* key, std::uint64_t value) {
    if (value != 0) object.push_back({key, value});
}

Object counter(const Stats::Counter& counter) {
    Object object{{"limit", counter.limit}};
    add_if(object, "usage", counter.usage);
    add_if(object, "max", counter.max);
    object.push_back({"failcnt", counter.failures});
    return object;
}

Array rows(const std::vector<Stats::Row>& list) {
    Array array;
    for (const Stats::Row& row : list) {
        Object object;
        add_if(object, "major", row.major);
        add_if(object, "minor", row.minor);
        object.push_back({"op", row.op});
        add_if(object, "value", row.value);
        array.push_back(std::move(object));
    }
    return array;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
Object pressure(const std::string& text) {
    Object object;
    for (const std::string& line : split(text, '\n')) {
        const std::vector<std::string> fields = split_fields(line);
        if (fields.empty()) continue;
        Object values;
        for (const std::string& field : fields) {
            const auto pair = cut(field, "=");
            if (!pair) continue;
            const std::string value(pair->second);
            if (pair->first == "total") {
                values.push_back({"total", parse_uint(value).value_or(0)});
            } else {
                values.push_back({std::string(pair->first), std::strtod(value.c_str(), nullptr)});
            }
        }
        object.push_back({fields[0], std::move(values)});
    }
    return object;
}

void add_pressure(Object& object, const Stats& stats, std::string_view of) {
    for (const auto& [name, text] : stats.pressure) {
        if (name == of) object.push_back({"psi", pressure(text)});
    }
}

// "0-2,5" as numbers.
Array numbers(std::string_view list) {
    Array array;
    for (const std::string& part : split(list, ',')) {
        const auto range = cut(part, "-");
        const auto first = parse_uint(range ? range->first : std::string_view(part));
        const auto last = range ? parse_uint(range->second) : first;
        if (!first || !last || *last > 65535) continue;
        for (std::uint64_t n = *first; n <= *last; ++n) array.emplace_back(n);
    }
    return array;
}

Object cpu(const Stats& stats) {
    Object usage;
    add_if(usage, "total", stats.cpu_ns);
    if (!stats.cpu_per_cpu_ns.empty()) {
        Array per_cpu;
        for (const std::uint64_t value : stats.cpu_per_cpu_ns) per_cpu.emplace_back(value);
        usage.push_back({"percpu", std::move(per_cpu)});
    }
    usage.push_back({"kernel", stats.cpu_system_ns});
    usage.push_back({"user", stats.cpu_user_ns});
    Object throttling;
    add_if(throttling, "periods", stats.periods);
    add_if(throttling, "throttledPeriods", stats.throttled_periods);
    add_if(throttling, "throttledTime", stats.throttled_ns);
    Object object{{"usage", std::move(usage)}, {"throttling", std::move(throttling)}};
    add_pressure(object, stats, "cpu");
    return object;
}

Object cpuset(const Stats& stats) {
    Object object;
    for (const auto& [name, text] : stats.cpuset) {
        if (name == "cpus" || name == "mems") {
            object.push_back({name, numbers(text)});
        } else {
            object.push_back({name, parse_int(text).value_or(0)});
        }
    }
    return object;
}

Object memory(const Stats& stats) {
    const auto raw = [&](std::string_view key) {
        const auto found = std::find_if(stats.memory_stat.begin(), stats.memory_stat.end(),
                                        [&](const auto& row) { return row.first == key; });
        return found == stats.memory_stat.end() ? 0 : found->second;
    };
    Object object;
    add_if(object, "cache", raw("cache") != 0 ? raw("cache") : raw("file"));
    object.push_back({"usage", counter({stats.memory_usage, stats.memory_limit,
                                        stats.memory_max_usage, stats.memory_failures})});
    object.push_back({"swap", counter(stats.memory_swap)});
    object.push_back({"kernel", counter(stats.memory_kernel)});
    object.push_back({"kernelTCP", counter(stats.memory_kernel_tcp)});
    Object all;
    for (const auto& [key, value] : stats.memory_stat) all.push_back({key, value});
    object.push_back({"raw", std::move(all)});
    add_pressure(object, stats, "memory");
    return object;
}

Object block_io(const Stats& stats) {
    static constexpr std::pair<std::string_view, const char*> kNames[] = {
        {"io_queued", "ioQueueRecursive"},
        {"io_service_time", "ioServiceTimeRecursive"},
        {"io_wait_time", "ioWaitTimeRecursive"},
        {"io_merged", "ioMergedRecursive"},
        {"time", "ioTimeRecursive"},
        {"sectors", "sectorsRecursive"},
    };
    Object object;
    if (!stats.io_service_bytes.empty()) {
        object.push_back({"ioServiceBytesRecursive", rows(stats.io_service_bytes)});
    }
    if (!stats.io_serviced.empty()) {
        object.push_back({"ioServicedRecursive", rows(stats.io_serviced)});
    }
    for (const auto& [file, list] : stats.io_other) {
        for (const auto& [known, name] : kNames) {
            if (file == known) object.push_back({name, rows(list)});
        }
    }
    add_pressure(object, stats, "io");
    return object;
}

}  // namespace

json::Object stats_document(const Stats& stats) {
    Object pids;
    add_if(pids, "current", stats.pids);
    add_if(pids, "limit", stats.pids_limit);
    Object huge_pages;
    for (const auto& [size, pages] : stats.hugetlb) {
        Object object;
        add_if(object, "usage", pages.usage);
        add_if(object, "max", pages.max);
        object.push_back({"failcnt", pages.failures});
        huge_pages.push_back({size, std::move(object)});
    }
    return {{"cpu", cpu(stats)},        {"cpuset", cpuset(stats)},
            {"memory", memory(stats)},  {"pids", std::move(pids)},
            {"blkio", block_io(stats)}, {"hugetlb", std::move(huge_pages)},
            {"intel_rdt", Object{}},    {"network_interfaces", nullptr}};
}

}  // namespace coffer::runtime
