#include "cli/usage.hpp"

#include <gtest/gtest.h>

namespace coffer::cli {
namespace {

json::Value parsed(std::string_view text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value);
    return value ? *std::move(value) : json::Value();
}

TEST(Usage, is_computed_from_two_samples) {
    const json::Value before = parsed(
        R"({"cpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000,"online_cpus":2}})");
    const json::Value now = parsed(R"({
        "cpu_stats":{"cpu_usage":{"total_usage":350},"system_cpu_usage":2000,"online_cpus":2},
        "memory_stats":{"usage":1000,"limit":4000,"stats":{"inactive_file":200}},
        "networks":{"eth0":{"rx_bytes":5,"tx_bytes":7},"eth1":{"rx_bytes":1,"tx_bytes":2}},
        "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":3},
            {"op":"write","value":4},{"op":"Total","value":7}]},
        "pids_stats":{"current":9}})");
    const Usage usage = usage_of(now, before);
    EXPECT_TRUE(usage.runs);
    EXPECT_DOUBLE_EQ(usage.cpu_percent, 50);
    EXPECT_DOUBLE_EQ(usage.memory, 800);
    EXPECT_DOUBLE_EQ(usage.memory_percent(), 20);
    EXPECT_DOUBLE_EQ(usage.received, 6);
    EXPECT_DOUBLE_EQ(usage.sent, 9);
    EXPECT_DOUBLE_EQ(usage.read, 3);
    EXPECT_DOUBLE_EQ(usage.written, 4);
    EXPECT_EQ(usage.pids, 9);
}

TEST(Usage, of_cgroup_v1_has_its_own_name_for_idle_cache) {
    const json::Value now = parsed(
        R"({"memory_stats":{"usage":1000,"stats":{"inactive_file":1,"total_inactive_file":300}}})");
    EXPECT_DOUBLE_EQ(usage_of(now, {}).memory, 700);
}

TEST(Usage, without_a_sample_before_or_a_run_is_nothing) {
    const json::Value now = parsed(
        R"({"cpu_stats":{"cpu_usage":{"total_usage":350},"system_cpu_usage":2000,"online_cpus":2}})");
    EXPECT_DOUBLE_EQ(usage_of(now, {}).cpu_percent, 0);
    EXPECT_FALSE(usage_of(parsed(R"({"name":"/x","pids_stats":{}})"), {}).runs);
}

TEST(Sparkline, shows_the_newest_at_the_right) {
    EXPECT_EQ(sparkline({0, 50, 100}, 100, 4), " ▁▅█");
    EXPECT_EQ(sparkline({0, 50, 100, 200}, 100, 2), "██");
    EXPECT_EQ(sparkline({1}, 0, 1), "▁");
}

}  // namespace
}  // namespace coffer::cli
