#pragma once
// The tmpfs on /dev: device nodes, links and the file under the console; and nodes elsewhere. Made
// in the stage, which is outside the container's user namespace and may create nodes. Belongs to
// the stage process.

#include "runtime/mount_plan.hpp"
#include "sys/fd.hpp"

namespace coffer::runtime {

// Detached and filled, still writable. The caller's file-system ids own what is made.
Result<sys::Fd> make_dev(const oci::Spec& spec, const MountPlan& plan, const MountContext& context);

// For who cannot make nodes: those of the host, bound into the attached mount of make_dev().
Result<void> bind_devices(const sys::Fd& mount, const oci::Spec& spec);

// Those of the spec that lie outside of /dev.
std::vector<oci::LinuxDevice> devices_elsewhere(const oci::Spec& spec);
// One of them as a mount to be attached; made under a name in `nodes`, a file system that is
// attached somewhere.
Result<sys::Fd> open_device(const sys::Fd& nodes, const std::string& name,
                            const oci::LinuxDevice& device, const MountContext& context);

// What "c 1 3 rwm" and the like allow; the nodes every container has.
const std::vector<oci::LinuxDevice>& default_devices();

}  // namespace coffer::runtime
