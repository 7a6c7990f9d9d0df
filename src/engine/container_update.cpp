// Changing the limits and the restart policy of a container, also while it runs.
#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/restart.hpp"
#include "engine/spec_builder.hpp"
#include "runtime/resources.hpp"
#include "sys/cgroup.hpp"
#include "sys/host.hpp"

namespace coffer::engine {

namespace {

// What a container is made with once and for all is refused by name, never ignored.
Result<void> refuse_fixed(const api::Resources& changes) {
    const std::pair<bool, const char*> fixed[] = {
        {!changes.cgroup_parent.empty(), "the parent cgroup"},
        {!changes.devices.empty() || !changes.device_cgroup_rules.empty(), "devices"},
        {!changes.device_requests.empty(), "device requests"},
        {!changes.ulimits.empty(), "ulimits"},
        {changes.oom_kill_disable.has_value(), "the OOM killer"},
    };
    for (const auto& [wanted, what] : fixed) {
        if (wanted) return fail(Code::InvalidArgument, "{} cannot be updated", what);
    }
    return {};
}

// docker's rules about what was set before.
Result<void> check_against(const api::Resources& old, const api::Resources& changes) {
    if ((changes.cpu_period != 0 || changes.cpu_quota != 0) && old.nano_cpus != 0) {
        return fail(Code::InvalidArgument,
                    "Conflicting options: CPU {} cannot be updated as NanoCPUs has already been "
                    "set",
                    changes.cpu_period != 0 ? "Period" : "Quota");
    }
    if (changes.nano_cpus != 0 && (old.cpu_period != 0 || old.cpu_quota != 0)) {
        return fail(Code::InvalidArgument,
                    "Conflicting options: Nano CPUs cannot be updated as CPU {} has already been "
                    "set",
                    old.cpu_period != 0 ? "Period" : "Quota");
    }
    if (old.memory_swap > 0 && changes.memory > old.memory_swap && changes.memory_swap == 0) {
        return fail(Code::InvalidArgument,
                    "Memory limit should be smaller than already set memoryswap limit, update the "
                    "memoryswap at the same time");
    }
    return {};
}

template <class T>
void take(T& value, const T& change) {
    if (change != T{}) value = change;
}

template <class T>
void take(std::vector<T>& value, const std::vector<T>& change) {
    if (!change.empty()) value = change;
}

void merge(api::Resources& value, const api::Resources& changes) {
    take(value.blkio_weight, changes.blkio_weight);
    take(value.blkio_weight_device, changes.blkio_weight_device);
    take(value.blkio_device_read_bps, changes.blkio_device_read_bps);
    take(value.blkio_device_write_bps, changes.blkio_device_write_bps);
    take(value.blkio_device_read_iops, changes.blkio_device_read_iops);
    take(value.blkio_device_write_iops, changes.blkio_device_write_iops);
    take(value.cpu_shares, changes.cpu_shares);
    take(value.nano_cpus, changes.nano_cpus);
    take(value.cpu_period, changes.cpu_period);
    take(value.cpu_quota, changes.cpu_quota);
    take(value.cpu_realtime_period, changes.cpu_realtime_period);
    take(value.cpu_realtime_runtime, changes.cpu_realtime_runtime);
    take(value.cpuset_cpus, changes.cpuset_cpus);
    take(value.cpuset_mems, changes.cpuset_mems);
    take(value.memory, changes.memory);
    take(value.memory_swap, changes.memory_swap);
    take(value.memory_reservation, changes.memory_reservation);
    take(value.memory_swappiness, changes.memory_swappiness);
    // 0 and -1 both lift the limit; 0 in a record is the level's own.
    if (changes.pids_limit) value.pids_limit = *changes.pids_limit == 0 ? -1 : *changes.pids_limit;
}

// Devices stay as they are.
Result<sys::cgroup::Limits> limits_of(const api::HostConfig& host, security::Level engine_level) {
    const Rights rights = TRY(rights_of(host, engine_level));
    auto resources =
        TRY(build_resources(host.resources, security::profile(rights.level), sys::total_memory()));
    resources.devices.clear();
    auto limits = TRY(runtime::limits_of(resources));
    limits.memory_check_usage = true;
    return limits;
}

}  // namespace

Result<api::ContainerUpdateResponse> Containers::update(
    const std::string& name, const api::ContainerUpdateRequest& request) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    const Record before = claim.copy();
    Record record = before;
    api::ContainerUpdateResponse response;
    const auto change = [&]() -> Result<void> {
        if (container->removed()) {
            return fail(Code::Conflict,
                        "Container is marked for removal and cannot be \"update\".");
        }
        api::HostConfig& host = record.host_config;
        TRY(refuse_fixed(request.resources));
        TRY(check_against(host.resources, request.resources));
        merge(host.resources, request.resources);
        TRY(check_resources(host.resources, response.warnings));
        if (!request.restart_policy.name.empty()) {
            if (host.auto_remove && request.restart_policy.name != "no") {
                return fail(Code::InvalidArgument,
                            "Restart policy cannot be updated because AutoRemove is enabled for "
                            "the container");
            }
            host.restart_policy = request.restart_policy;
            TRY(check_restart_policy(host));
        }
        const auto limits = TRY(limits_of(host, impl_->core.settings.level));
        if (!record.is_running()) return impl_->save(claim, record);
        const auto cgroup = TRY(sys::cgroup::Cgroup::open(record.cgroup_path));
        auto done = cgroup.update(limits);
        if (done) done = impl_->save(claim, record);
        if (done) return {};
        // All or nothing: as it was before.
        if (const auto old = limits_of(before.host_config, impl_->core.settings.level)) {
            const auto undone = cgroup.update(*old);
            if (!undone) LOG_WARN("limits of {}: {}", record.id, undone.error().message);
        }
        return done;
    };
    TRY_CONTEXT(change(), "Cannot update container {}", record.id);
    impl_->publish_event(record, "update");
    return response;
}

}  // namespace coffer::engine
