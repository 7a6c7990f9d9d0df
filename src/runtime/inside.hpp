#pragma once
// The container init's half of the root file system: what shows its own namespaces, kernel
// parameters, the masks, and the change of root. See rootfs.hpp for the stage's half. Runs in
// container init.

#include <functional>

#include "runtime/rootfs.hpp"
#include "runtime/terminal.hpp"

namespace coffer::runtime {

struct InsideRequest {
    const oci::Spec& spec;
    const std::vector<MountPlan>& mounts;
    std::vector<std::vector<sys::Fd>>& trees;
    const Stdio& stdio;
    std::uint32_t uid = 0;     // of the process
    bool locked_root = false;  // the tree came through into another user namespace
    std::string mask_folder;   // SourceTrees
    bool no_pivot = false;     // CreateOptions
    int mount_ns_fd = -1;  // borrowed; to be joined with the new root; -1: ours is the container's
    // Each may be empty. Both with the container's mounts made and the host's still in reach; the
    // second with the kernel parameters set.
    std::function<Result<void>()> with_mounts;
    std::function<Result<void>()> before_pivot;
};

struct Inside {
    std::optional<Terminal> terminal;
};
// The working folder is the new root file system when called and "/" afterwards. Sets 0, 1, 2.
Result<Inside> enter_rootfs_in_child(const InsideRequest& request);

}  // namespace coffer::runtime
