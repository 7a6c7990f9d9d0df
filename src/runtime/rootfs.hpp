#pragma once
// The container's root file system, assembled in the stage: before any process of the container
// exists, in a mount namespace that none of them will share, by descriptors. What the container
// gets is a copy whose flags the kernel has locked. Belongs to the stage process.

#include "runtime/create.hpp"
#include "runtime/mount_plan.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

struct RootfsRequest {
    const oci::Spec& spec;
    const CreateOptions& options;
    const MountContext& context;
    const std::vector<MountPlan>& mounts;
    int userns_fd = -1;  // -1: none
};

// Trees opened in the mount namespace of the host, detached; same order as the mounts, an empty
// list where a mount has no source tree.
struct SourceTrees {
    std::vector<sys::Fd> layers;  // top first
    sys::Fd upper;                // its parent: diff/ and work/ must share a mount
    sys::Fd root;                 // instead of layers
    std::vector<std::vector<sys::Fd>> mounts;
    std::string mask_folder;  // of the host's, out of the container's sight; set by assemble()
};
Result<SourceTrees> open_sources(const RootfsRequest& request);

// In our own mount namespace: the root file system attached at the bundle folder with everything
// that can be made from outside, and the targets of what will be made inside. The result is its
// root. Consumes what it attaches of `trees`; those of inside mounts stay.
Result<sys::Fd> assemble(const RootfsRequest& request, SourceTrees& trees);

// The folder or file that a mount goes on, made where absent; links are followed inside the root.
enum class TargetKind : std::uint8_t { Folder, File };
Result<sys::Fd> make_target(const sys::RootedDir& root, const std::string& path, TargetKind kind);
// The same for a folder that must not be reached through any link: /proc, /sys, /dev.
Result<sys::Fd> make_plain_folder(const sys::RootedDir& root, const std::string& path);

// Changes what is mounted at the plan's destination.
Result<void> remount(const sys::RootedDir& root, const MountPlan& plan);

// What masked paths are covered with, detached: nothing of the image, and nothing that the
// container could write to.
Result<sys::Fd> make_masks();
// The empty file and the empty folder on it, below SourceTrees::mask_folder.
inline constexpr const char* kMaskFile = "/file";
inline constexpr const char* kMaskFolder = "/folder";

}  // namespace coffer::runtime
