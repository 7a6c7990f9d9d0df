#include "sys/cgroup_plan.hpp"

#include <algorithm>

namespace coffer::sys::cgroup {

namespace {

// Collects settings; absent limits add nothing.
class Plan {
  public:
    void add(std::string controller, std::vector<Setting::Choice> choices, bool lifts = false) {
        settings_.push_back({std::move(controller), std::move(choices), lifts});
    }
    void add(std::string controller, std::string file, std::string value, bool lifts = false) {
        add(std::move(controller), {{std::move(file), std::move(value)}}, lifts);
    }
    template <class Number>
    void number(const std::string& controller, const std::string& file,
                const std::optional<Number>& value) {
        if (value) add(controller, file, format("{}", *value));
    }
    // -1 lifts the limit, written as `none`.
    void limit(const std::string& controller, const std::string& file,
               const std::optional<std::int64_t>& value, const std::string& none) {
        if (value) add(controller, file, *value < 0 ? none : format("{}", *value), *value < 0);
    }
    void per_device(const std::string& controller, const std::string& file,
                    const std::vector<DeviceValue>& values, std::string_view key = {}) {
        for (const DeviceValue& value : values) add(controller, file, device_value(value, key));
    }
    static std::string device_value(const DeviceValue& value, std::string_view key = {}) {
        return format("{}:{} {}{}", value.major, value.minor, key, value.value);
    }
    std::vector<Setting> take() { return std::move(settings_); }

  private:
    std::vector<Setting> settings_;
};

std::string device_line(const DeviceRule& rule) {
    const auto number = [](const std::optional<std::int64_t>& value) {
        return value ? format("{}", *value) : std::string("*");
    };
    return format("{} {}:{} {}", rule.type, number(rule.major), number(rule.minor),
                  rule.access.empty() ? "rwm" : rule.access);
}

// An unrestricted "all devices" is written as the bare letter: the kernel resets its list then.
bool is_everything(const DeviceRule& rule) {
    return rule.type == 'a' && !rule.major && !rule.minor;
}

Result<void> check(const Limits& limits) {
    if (limits.cpu_shares && *limits.cpu_shares == 1) {
        return fail(Code::InvalidArgument, "cpu shares of 1: the least is 2");
    }
    if (limits.blkio_weight && *limits.blkio_weight != 0 &&
        (*limits.blkio_weight < 10 || *limits.blkio_weight > 1000)) {
        return fail(Code::InvalidArgument, "blkio weight of {}: the range is 10 to 1000",
                    *limits.blkio_weight);
    }
    for (const DeviceRule& rule : limits.devices) {
        if ((rule.type != 'a' && rule.type != 'b' && rule.type != 'c') ||
            rule.access.find_first_not_of("rwm") != std::string::npos) {
            return fail(Code::InvalidArgument, "device rule '{}' is malformed", device_line(rule));
        }
    }
    return {};
}

}  // namespace

Result<std::vector<Setting>> plan_v1(const Limits& limits) {
    TRY(check(limits));
    if (!limits.unified.empty()) {
        return fail(Code::NotImplemented, "set {} to '{}': this machine has cgroup v1",
                    limits.unified.front().first, limits.unified.front().second);
    }
    Plan plan;
    plan.limit("memory", "memory.limit_in_bytes", limits.memory, "-1");
    plan.limit("memory", "memory.memsw.limit_in_bytes", limits.memory_swap, "-1");
    plan.limit("memory", "memory.soft_limit_in_bytes", limits.memory_reservation, "-1");
    plan.number("memory", "memory.swappiness", limits.memory_swappiness);
    if (limits.disable_oom_killer) {
        plan.add("memory", "memory.oom_control", *limits.disable_oom_killer ? "1" : "0",
                 !*limits.disable_oom_killer);
    }
    if (limits.cpu_shares.value_or(0) != 0) plan.number("cpu", "cpu.shares", limits.cpu_shares);
    if (limits.cpu_period.value_or(0) != 0) {
        plan.number("cpu", "cpu.cfs_period_us", limits.cpu_period);
    }
    if (limits.cpu_quota.value_or(0) != 0) {
        plan.limit("cpu", "cpu.cfs_quota_us", limits.cpu_quota, "-1");
    }
    plan.number("cpu", "cpu.cfs_burst_us", limits.cpu_burst);
    plan.number("cpu", "cpu.idle", limits.cpu_idle);
    if (limits.cpu_rt_period.value_or(0) != 0) {
        plan.number("cpu", "cpu.rt_period_us", limits.cpu_rt_period);
    }
    if (limits.cpu_rt_runtime.value_or(0) != 0) {
        plan.number("cpu", "cpu.rt_runtime_us", limits.cpu_rt_runtime);
    }
    if (!limits.cpus.empty()) plan.add("cpuset", "cpuset.cpus", limits.cpus);
    if (!limits.mems.empty()) plan.add("cpuset", "cpuset.mems", limits.mems);
    if (limits.pids) {
        const bool lifts = *limits.pids <= 0;
        plan.add("pids", "pids.max", lifts ? "max" : format("{}", *limits.pids), lifts);
    }
    if (limits.blkio_weight.value_or(0) != 0) {
        const std::string weight = format("{}", *limits.blkio_weight);
        plan.add("blkio", {{"blkio.weight", weight}, {"blkio.bfq.weight", weight}});
    }
    for (const DeviceValue& value : limits.blkio_weight_device) {
        const std::string line = Plan::device_value(value);
        plan.add("blkio", {{"blkio.weight_device", line}, {"blkio.bfq.weight_device", line}});
    }
    plan.per_device("blkio", "blkio.throttle.read_bps_device", limits.read_bps);
    plan.per_device("blkio", "blkio.throttle.write_bps_device", limits.write_bps);
    plan.per_device("blkio", "blkio.throttle.read_iops_device", limits.read_iops);
    plan.per_device("blkio", "blkio.throttle.write_iops_device", limits.write_iops);
    for (const auto& [size, bytes] : limits.hugetlb) {
        plan.add("hugetlb", format("hugetlb.{}.limit_in_bytes", size), format("{}", bytes));
    }
    for (const auto& [device, values] : limits.rdma) {
        plan.add("rdma", "rdma.max", format("{} {}", device, values));
    }
    plan.number("net_cls", "net_cls.classid", limits.net_class_id);
    for (const auto& [name, priority] : limits.net_priorities) {
        plan.add("net_prio", "net_prio.ifpriomap", format("{} {}", name, priority));
    }
    for (const DeviceRule& rule : limits.devices) {
        const std::string file = rule.allow ? "devices.allow" : "devices.deny";
        plan.add("devices", file, is_everything(rule) ? "a" : device_line(rule));
    }
    return plan.take();
}

std::uint64_t cpu_weight_of_shares(std::uint64_t shares) {
    const std::uint64_t clamped = std::clamp<std::uint64_t>(shares, 2, 262144);
    return 1 + ((clamped - 2) * 9999) / 262142;
}

std::uint64_t io_weight_of_blkio(std::uint64_t weight) {
    const std::uint64_t clamped = std::clamp<std::uint64_t>(weight, 10, 1000);
    return 1 + ((clamped - 10) * 9999) / 990;
}

Result<std::vector<Setting>> plan_v2(const Limits& limits) {
    TRY(check(limits));
    const auto v1_only = [](std::string_view file, auto value) {
        return fail(Code::NotImplemented, "set {} to '{}': this machine has cgroup v2", file,
                    value);
    };
    if (limits.memory_swappiness) return v1_only("memory.swappiness", *limits.memory_swappiness);
    if (limits.disable_oom_killer.value_or(false)) return v1_only("memory.oom_control", 1);
    if (limits.cpu_rt_runtime.value_or(0) != 0) {
        return v1_only("cpu.rt_runtime_us", *limits.cpu_rt_runtime);
    }
    if (limits.cpu_rt_period.value_or(0) != 0) {
        return v1_only("cpu.rt_period_us", *limits.cpu_rt_period);
    }
    if (limits.net_class_id) return v1_only("net_cls.classid", *limits.net_class_id);
    if (!limits.net_priorities.empty()) {
        return v1_only("net_prio.ifpriomap", limits.net_priorities.front().first);
    }
    Plan plan;
    // v2 counts swap alone, v1 and our callers memory and swap together.
    if (limits.memory_swap) {
        std::int64_t swap = *limits.memory_swap;
        if (swap >= 0) {
            const std::int64_t memory = limits.memory.value_or(-1);
            if (memory < 0 || swap < memory) {
                return fail(Code::InvalidArgument,
                            "set memory.swap.max: memory and swap of {} with memory of {}", swap,
                            memory);
            }
            swap -= memory;
        }
        plan.limit("memory", "memory.swap.max", swap, "max");
    }
    plan.limit("memory", "memory.max", limits.memory, "max");
    plan.limit("memory", "memory.low", limits.memory_reservation, "0");
    if (limits.cpu_shares.value_or(0) != 0) {
        plan.add("cpu", "cpu.weight", format("{}", cpu_weight_of_shares(*limits.cpu_shares)));
    }
    const bool has_period = limits.cpu_period.value_or(0) != 0;
    if (limits.cpu_quota.value_or(0) != 0 || has_period) {
        const std::int64_t quota = limits.cpu_quota.value_or(-1);
        const std::string text = quota > 0 ? format("{}", quota) : std::string("max");
        plan.add("cpu", "cpu.max", has_period ? format("{} {}", text, *limits.cpu_period) : text,
                 quota <= 0);
    }
    plan.number("cpu", "cpu.max.burst", limits.cpu_burst);
    plan.number("cpu", "cpu.idle", limits.cpu_idle);
    if (!limits.cpus.empty()) plan.add("cpuset", "cpuset.cpus", limits.cpus);
    if (!limits.mems.empty()) plan.add("cpuset", "cpuset.mems", limits.mems);
    if (limits.pids) {
        const bool lifts = *limits.pids <= 0;
        plan.add("pids", "pids.max", lifts ? "max" : format("{}", *limits.pids), lifts);
    }
    // BFQ keeps the v1 scale, the cost-based controller has its own.
    if (limits.blkio_weight.value_or(0) != 0) {
        const std::uint64_t weight = *limits.blkio_weight;
        plan.add("io", {{"io.bfq.weight", format("{}", weight)},
                        {"io.weight", format("{}", io_weight_of_blkio(weight))}});
    }
    for (const DeviceValue& value : limits.blkio_weight_device) {
        const DeviceValue converted{value.major, value.minor, io_weight_of_blkio(value.value)};
        plan.add("io", {{"io.bfq.weight", Plan::device_value(value)},
                        {"io.weight", Plan::device_value(converted)}});
    }
    plan.per_device("io", "io.max", limits.read_bps, "rbps=");
    plan.per_device("io", "io.max", limits.write_bps, "wbps=");
    plan.per_device("io", "io.max", limits.read_iops, "riops=");
    plan.per_device("io", "io.max", limits.write_iops, "wiops=");
    for (const auto& [size, bytes] : limits.hugetlb) {
        plan.add("hugetlb", format("hugetlb.{}.max", size), format("{}", bytes));
    }
    for (const auto& [device, values] : limits.rdma) {
        plan.add("rdma", "rdma.max", format("{} {}", device, values));
    }
    for (const auto& [file, value] : limits.unified) {
        if (file.find('/') != std::string::npos) {
            return fail(Code::InvalidArgument, "cgroup file '{}' is not plain", file);
        }
        plan.add(std::string(cut(file, ".").value_or(std::pair{file, ""}).first), file, value);
    }
    return plan.take();
}

}  // namespace coffer::sys::cgroup
