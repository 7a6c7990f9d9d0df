#pragma once
// linux.seccomp of a spec as the neutral profile of sys/seccomp.hpp. Pure.

#include "oci/runtime_spec.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

Result<sys::seccomp::Profile> to_profile(const oci::LinuxSeccomp& seccomp);
// The flags of seccomp(2) for linux.seccomp.flags.
Result<unsigned> seccomp_flags_of(const oci::LinuxSeccomp& seccomp);

}  // namespace coffer::runtime
