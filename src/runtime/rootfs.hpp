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

// A folder as a layer, detached: with the ids of the user namespace where there is one (-1: none).
Result<sys::Fd> open_layer(const std::string& path, int userns_fd, std::uint64_t flags);
// Layers, top first, as one file system that cannot be written to, detached; one alone is what it
// is. `scratch_fd` as of create_overlay().
Result<sys::Fd> stack_layers(std::vector<sys::Fd> layers, int scratch_fd, std::uint64_t flags);

// What a bind (one tree) or the layers of an image (top first) are made from, detached, with their
// ids and flags. `shm_mount_ns_fd` as in CreateOptions.
Result<std::vector<sys::Fd>> open_source(const MountPlan& plan, int userns_fd,
                                         int shm_mount_ns_fd = -1);
// The image that the plan of a mount names, of its layers; `scratch_fd` as of create_overlay().
Result<sys::Fd> make_image(const MountPlan& plan, std::vector<sys::Fd> layers, int scratch_fd);
// Attaches a file system of ours in our own view of the host's /dev, of which nobody needs more
// than the nodes, and those for createContainer hooks only. The result is where.
Result<std::string> place_out_of_sight(const sys::Fd& mount);
// The folder or file that a mount goes on, made where absent; links are followed inside the root.
enum class TargetKind : std::uint8_t { Folder, File };
Result<TargetKind> target_kind(int tree_fd);  // for that tree
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
