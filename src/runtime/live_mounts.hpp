#pragma once
// Mounts of a container that runs: made and taken away by a child of the caller that looks at the
// container's names with no more rights than the container's own root has. Single-threaded
// processes only.

#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"

namespace coffer::runtime {

struct MountChange {
    std::vector<std::string> remove;  // where
    std::vector<oci::Mount> add;  // afterwards: binds, tmpfs, and images as of MountKind::Layers
    // What is done already is no error, and what is in use goes all the same: for an end that has
    // to be reached whatever was interrupted.
    bool settle = false;
};

// All or nothing. What is added is locked as what a container starts with: its root cannot take
// read-only, nosuid and nodev off. Conflict: something is mounted there already, or is in use, or
// has been there from the start, which the kernel keeps. Unavailable: it takes too long; then what
// was to be removed may be gone.
Result<void> change_mounts(int container_pidfd, const MountChange& change);

}  // namespace coffer::runtime
