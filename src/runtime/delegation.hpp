#pragma once
// Gives the control group to the container's own user, where the specification says so: cgroup v2,
// a cgroup namespace of its own, and its groups mounted for writing (runtime-spec,
// config-linux.md, "Cgroup ownership").

#include "oci/runtime_spec.hpp"
#include "sys/cgroup.hpp"

namespace coffer::runtime {

// Needs root. Does nothing where the container only reads its groups.
Result<void> delegate_cgroup(const oci::Spec& spec, const sys::cgroup::Cgroup& group);

}  // namespace coffer::runtime
