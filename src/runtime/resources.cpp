#include "runtime/resources.hpp"

namespace coffer::runtime {

namespace {

using sys::cgroup::DeviceRule;
using sys::cgroup::DeviceValue;
using sys::cgroup::Limits;

Failure unsupported(std::string_view name) {
    return fail(Code::NotImplemented, "linux.resources.{} is not supported", name);
}

Result<void> add_memory(const oci::LinuxMemory& memory, Limits& limits) {
    // Gone from the kernel: a limit that bounds nothing must not look as if it did.
    if (memory.kernel.value_or(-1) > 0) return unsupported("memory.kernel");
    if (memory.kernel_tcp.value_or(-1) > 0) return unsupported("memory.kernelTCP");
    const auto given = [](const std::optional<std::int64_t>& value) {
        return value.value_or(0) == 0 ? std::nullopt : value;
    };
    if (memory.use_hierarchy && !*memory.use_hierarchy)
        return unsupported("memory.useHierarchy=false");
    limits.memory = given(memory.limit);
    limits.memory_swap = given(memory.swap);
    limits.memory_reservation = given(memory.reservation);
    limits.memory_swappiness = memory.swappiness;
    limits.disable_oom_killer = memory.disable_oom_killer;
    limits.memory_check_usage = memory.check_before_update.value_or(false);
    return {};
}

void add_cpu(const oci::LinuxCpu& cpu, Limits& limits) {
    limits.cpu_shares = cpu.shares;
    limits.cpu_quota = cpu.quota;
    limits.cpu_period = cpu.period;
    limits.cpu_burst = cpu.burst;
    limits.cpu_idle = cpu.idle;
    limits.cpu_rt_runtime = cpu.realtime_runtime;
    limits.cpu_rt_period = cpu.realtime_period;
    limits.cpus = cpu.cpus;
    limits.mems = cpu.mems;
}

Result<std::uint64_t> device_number(std::int64_t number) {
    if (number < 0) return fail(Code::InvalidArgument, "device number {} is negative", number);
    return static_cast<std::uint64_t>(number);
}

Result<std::vector<DeviceValue>> throttles(const std::vector<oci::LinuxThrottleDevice>& devices) {
    std::vector<DeviceValue> out;
    for (const oci::LinuxThrottleDevice& device : devices) {
        const std::uint64_t major = TRY(device_number(device.major));
        const std::uint64_t minor = TRY(device_number(device.minor));
        out.push_back({major, minor, device.rate});
    }
    return out;
}

Result<void> add_block_io(const oci::LinuxBlockIo& io, Limits& limits) {
    if (io.leaf_weight.value_or(0) != 0) return unsupported("blockIO.leafWeight");
    limits.blkio_weight = io.weight;
    for (const oci::LinuxWeightDevice& device : io.weight_device) {
        if (device.leaf_weight.value_or(0) != 0) {
            return unsupported("blockIO.weightDevice.leafWeight");
        }
        if (!device.weight) continue;
        const std::uint64_t major = TRY(device_number(device.major));
        const std::uint64_t minor = TRY(device_number(device.minor));
        limits.blkio_weight_device.push_back({major, minor, *device.weight});
    }
    limits.read_bps = TRY(throttles(io.throttle_read_bps_device));
    limits.write_bps = TRY(throttles(io.throttle_write_bps_device));
    limits.read_iops = TRY(throttles(io.throttle_read_iops_device));
    limits.write_iops = TRY(throttles(io.throttle_write_iops_device));
    return {};
}

Result<void> add_devices(const std::vector<oci::LinuxDeviceCgroup>& devices, Limits& limits) {
    for (const oci::LinuxDeviceCgroup& device : devices) {
        if (device.type.size() > 1) {
            return fail(Code::InvalidArgument, "device type '{}' is not a, b or c", device.type);
        }
        const auto number = [](const std::optional<std::int64_t>& value) {
            return value.value_or(-1) < 0 ? std::nullopt : value;  // -1 is "any", as runc reads it
        };
        limits.devices.push_back({device.allow, device.type.empty() ? 'a' : device.type[0],
                                  number(device.major), number(device.minor), device.access});
    }
    return {};
}

const std::vector<DeviceRule>& harmless_devices() {
    static const std::vector<DeviceRule> rules = {
        {true, 'c', {}, {}, "m"},    {true, 'b', {}, {}, "m"}, {true, 'c', 1, 3, "rwm"},
        {true, 'c', 1, 5, "rwm"},    {true, 'c', 1, 7, "rwm"}, {true, 'c', 1, 8, "rwm"},
        {true, 'c', 1, 9, "rwm"},    {true, 'c', 5, 0, "rwm"}, {true, 'c', 5, 2, "rwm"},
        {true, 'c', 136, {}, "rwm"},
    };
    return rules;
}

}  // namespace

Result<Limits> limits_of(const oci::LinuxResources& resources) {
    Limits limits;
    if (resources.memory) TRY(add_memory(*resources.memory, limits));
    if (resources.cpu) add_cpu(*resources.cpu, limits);
    if (resources.pids) limits.pids = resources.pids->limit;
    if (resources.block_io) TRY(add_block_io(*resources.block_io, limits));
    for (const oci::LinuxHugepageLimit& page : resources.hugepage_limits) {
        limits.hugetlb.emplace_back(page.page_size, page.limit);
    }
    if (resources.network) {
        if (resources.network->class_id.value_or(0) != 0) {
            limits.net_class_id = resources.network->class_id;
        }
        for (const oci::LinuxInterfacePriority& priority : resources.network->priorities) {
            limits.net_priorities.emplace_back(priority.name, priority.priority);
        }
    }
    for (const auto& [device, rdma] : resources.rdma) {
        std::vector<std::string> values;
        if (rdma.hca_handles) values.push_back(format("hca_handle={}", *rdma.hca_handles));
        if (rdma.hca_objects) values.push_back(format("hca_object={}", *rdma.hca_objects));
        if (device.empty() || device.find_first_of(" \n") != std::string::npos || values.empty()) {
            return fail(Code::InvalidArgument,
                        "linux.resources.rdma: device '{}' needs a plain name and a limit", device);
        }
        limits.rdma.emplace_back(device, join(values, " "));
    }
    limits.unified.assign(resources.unified.begin(), resources.unified.end());
    TRY(add_devices(resources.devices, limits));
    return limits;
}

Result<Limits> limits_of(const oci::Spec& spec) {
    Limits limits;
    if (spec.linux && spec.linux->resources) limits = TRY(limits_of(*spec.linux->resources));
    limits.devices.insert(limits.devices.begin(), DeviceRule{});
    limits.devices.insert(limits.devices.end(), harmless_devices().begin(),
                          harmless_devices().end());
    return limits;
}

}  // namespace coffer::runtime
