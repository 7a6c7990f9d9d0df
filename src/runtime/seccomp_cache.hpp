#pragma once
// Compiled filters on disk: libseccomp needs 20 to 40 ms for docker's profile. The only user of
// libseccomp in this library: coffer-shim is given the filter. Safe between processes and threads.

#include "oci/runtime_spec.hpp"

namespace coffer::runtime {

// The filter for `seccomp`, from <folder>/<hash> where the profile stored there is the same, text
// for text; else compiled and stored.
Result<std::string> cached_filter(const std::string& folder, const oci::LinuxSeccomp& seccomp);

}  // namespace coffer::runtime
