#include "runtime/delegation.hpp"

#include <algorithm>

#include "runtime/mount_plan.hpp"
#include "runtime/spec_check.hpp"

namespace coffer::runtime {

namespace {

bool mounts_for_writing(const oci::Mount& mount) {
    const auto& options = mount.options;
    return (mount.type == "cgroup" || mount.type == "cgroup2") &&
           std::find(options.begin(), options.end(), "ro") == options.end();
}

}  // namespace

Result<void> delegate_cgroup(const oci::Spec& spec, const sys::cgroup::Cgroup& group) {
    const oci::LinuxNamespace* own = find_namespace(spec, "cgroup");
    if (sys::cgroup::host_layout().version != 2 || own == nullptr || !own->path.empty() ||
        !spec.process || std::none_of(spec.mounts.begin(), spec.mounts.end(), mounts_for_writing))
        return {};
    const auto maps = to_maps(spec.linux->uid_mappings);
    const std::uint32_t uid = spec.process->user.uid;
    return group.give_to(maps.empty() ? uid : TRY(sys::ns::map_id(maps, uid)));
}

}  // namespace coffer::runtime
