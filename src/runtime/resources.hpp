#pragma once
// linux.resources of the OCI spec as limits of a control group. Pure.

#include "oci/runtime_spec.hpp"
#include "sys/cgroup.hpp"

namespace coffer::runtime {

// What `resources` says and no more: for an update. What cannot be expressed is an error.
Result<sys::cgroup::Limits> limits_of(const oci::LinuxResources& resources);
// For a new container: devices are refused but for those given and the harmless ones that every
// container has (null, zero, full, random, urandom, tty, ptmx, the terminals).
Result<sys::cgroup::Limits> limits_of(const oci::Spec& spec);

}  // namespace coffer::runtime
