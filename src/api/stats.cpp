#include "api/stats.hpp"

namespace coffer::api {

void describe(json::Fields& f, const PidsStats& s) {
    f("current", s.current, json::kOmitEmpty);
    f("limit", s.limit, json::kOmitEmpty);
}

void describe(json::Fields& f, const BlkioStatEntry& s) {
    f("major", s.major);
    f("minor", s.minor);
    f("op", s.op);
    f("value", s.value);
}

void describe(json::Fields& f, const BlkioStats& s) {
    f("io_service_bytes_recursive", s.io_service_bytes_recursive);
    f("io_serviced_recursive", s.io_serviced_recursive);
    f("io_queue_recursive", s.io_queue_recursive);
    f("io_service_time_recursive", s.io_service_time_recursive);
    f("io_wait_time_recursive", s.io_wait_time_recursive);
    f("io_merged_recursive", s.io_merged_recursive);
    f("io_time_recursive", s.io_time_recursive);
    f("sectors_recursive", s.sectors_recursive);
}

void describe(json::Fields& f, const CpuUsage& s) {
    f("total_usage", s.total_usage);
    f("percpu_usage", s.percpu_usage, json::kOmitEmpty);
    f("usage_in_kernelmode", s.usage_in_kernelmode);
    f("usage_in_usermode", s.usage_in_usermode);
}

void describe(json::Fields& f, const ThrottlingData& s) {
    f("periods", s.periods);
    f("throttled_periods", s.throttled_periods);
    f("throttled_time", s.throttled_time);
}

void describe(json::Fields& f, const CpuStats& s) {
    f("cpu_usage", s.cpu_usage);
    f("system_cpu_usage", s.system_cpu_usage, json::kOmitEmpty);
    f("online_cpus", s.online_cpus, json::kOmitEmpty);
    f("throttling_data", s.throttling_data);
}

void describe(json::Fields& f, const MemoryStats& s) {
    f("usage", s.usage, json::kOmitEmpty);
    f("max_usage", s.max_usage, json::kOmitEmpty);
    f("stats", s.stats, json::kOmitEmpty);
    f("failcnt", s.failcnt, json::kOmitEmpty);
    f("limit", s.limit, json::kOmitEmpty);
}

void describe(json::Fields& f, const NetworkStats& s) {
    f("rx_bytes", s.rx_bytes);
    f("rx_packets", s.rx_packets);
    f("rx_errors", s.rx_errors);
    f("rx_dropped", s.rx_dropped);
    f("tx_bytes", s.tx_bytes);
    f("tx_packets", s.tx_packets);
    f("tx_errors", s.tx_errors);
    f("tx_dropped", s.tx_dropped);
}

void describe(json::Fields& f, const StatsResponse& s) {
    f("name", s.name, json::kOmitEmpty);
    f("id", s.id, json::kOmitEmpty);
    f("os_type", s.os_type, json::kOmitEmpty);
    f("read", s.read);
    f("cpu_stats", s.cpu_stats);
    f("memory_stats", s.memory_stats);
    f("networks", s.networks, json::kOmitEmpty);
    f("pids_stats", s.pids_stats);
    f("blkio_stats", s.blkio_stats);
    f("num_procs", s.num_procs);
    f("storage_stats", s.storage_stats);
    f("preread", s.preread);
    f("precpu_stats", s.precpu_stats);
}

}  // namespace coffer::api
