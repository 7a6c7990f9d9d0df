#pragma once
// linux.seccomp of a spec as the neutral profile of sys/seccomp.hpp. Pure.

#include "oci/runtime_spec.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

Result<sys::seccomp::Profile> to_profile(const oci::LinuxSeccomp& seccomp);
// True if calls are to be decided by who gets the listener (listenerPath).
bool uses_listener(const oci::LinuxSeccomp& seccomp);
// The flags of seccomp(2) for linux.seccomp.flags.
Result<unsigned> seccomp_flags_of(const oci::LinuxSeccomp& seccomp);

// The names that the two above know; for `features`.
std::vector<std::string_view> seccomp_action_names();
std::vector<std::string_view> seccomp_operator_names();
std::vector<std::string_view> seccomp_flag_names();

}  // namespace coffer::runtime
