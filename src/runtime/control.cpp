// Commands on a container that runs: pause, resume and update.

#include "json/codec.hpp"
#include "runtime/making.hpp"
#include "runtime/resources.hpp"

namespace coffer::runtime {

namespace {

// Members of `changes` over those of `value`, object by object; everything else is replaced.
void merge(json::Value& value, const json::Value& changes) {
    const json::Object* object = changes.if_object();
    if (object == nullptr || !value.is_object()) {
        value = changes;
        return;
    }
    for (const json::Member& member : *object) {
        json::Value* known = value.find(member.key);
        if (known != nullptr) {
            merge(*known, member.value);
        } else {
            value.set(member.key, member.value);
        }
    }
}

Result<oci::LinuxResources> merged(const oci::LinuxResources& old,
                                   const oci::LinuxResources& changes) {
    json::Value value = json::to_value(old);
    merge(value, json::to_value(changes));
    return json::decode_value<oci::LinuxResources>(value);
}

}  // namespace

Result<void> Containers::pause(const std::string& id) const {
    const StateFolder locked = TRY(StateFolder::open(settings_.root, id));
    const Inspection container = TRY(inspect(id));
    if (container.status != Status::Running && container.status != Status::Created) {
        return fail(Code::Conflict, "container not running");
    }
    return TRY(open_cgroup(container.state)).freeze();
}

Result<void> Containers::resume(const std::string& id) const {
    const StateFolder locked = TRY(StateFolder::open(settings_.root, id));
    const Inspection container = TRY(inspect(id));
    if (container.status != Status::Paused) {
        return fail(Code::Conflict, "container not paused");
    }
    return TRY(open_cgroup(container.state)).thaw();
}

Result<void> Containers::update(const std::string& id, const oci::LinuxResources& changes) const {
    const StateFolder folder = TRY(StateFolder::open(settings_.root, id));
    State state = TRY(folder.load());
    const Status status = status_of(state, folder.path());
    if (status == Status::Stopped || status == Status::Creating) {
        return fail(Code::Conflict, "container not running");
    }
    const auto group = TRY(open_cgroup(state));
    const oci::LinuxResources wanted = TRY(merged(state.resources, changes));
    sys::cgroup::Limits limits = TRY(limits_of(changes));
    // An update of one part of a pair is applied beside the other: swap beside memory, period
    // beside quota.
    const sys::cgroup::Limits whole = TRY(limits_of(wanted));
    if (limits.memory_swap && !limits.memory) limits.memory = whole.memory;
    if (limits.cpu_period && !limits.cpu_quota) limits.cpu_quota = whole.cpu_quota;
    if (limits.cpu_quota && !limits.cpu_period) limits.cpu_period = whole.cpu_period;
    if (!limits.devices.empty()) {
        oci::Spec spec;
        spec.linux.emplace().resources = wanted;
        limits.devices = TRY(limits_of(spec)).devices;
    }
    if (!state.systemd_unit.empty()) {
        TRY(systemd::set_limits(bus_of(settings_), state.systemd_unit, limits));
    }
    TRY(group.update(limits));
    state.resources = wanted;
    return folder.save(state);
}

Result<void> Containers::update_schemata(const std::string& id,
                                         const std::vector<std::string>& schemata) const {
    const StateFolder folder = TRY(StateFolder::open(settings_.root, id));
    const State state = TRY(folder.load());
    if (state.resctrl.folder.empty()) {
        return fail(Code::InvalidArgument, "container '{}' was created without linux.intelRdt", id);
    }
    return resctrl::update(state.resctrl, schemata);
}

}  // namespace coffer::runtime
