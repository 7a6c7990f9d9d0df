#pragma once
// The mounts of a container as data: what each one is, where it is made and with which flags. Pure,
// but for reading the layout of the machine's control groups. Plain data, safe from any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"

namespace coffer::runtime {

sys::ns::IdMaps to_maps(const std::vector<oci::LinuxIdMapping>& mappings);

enum class MountKind : std::uint8_t {
    Bind,
    Layers,  // the folders of an image, id-mapped and read-only: an overlay of "lowerdir+" options
    Dev,     // the tmpfs on /dev, with device nodes
    Tmpfs,
    Devpts,
    Remount,  // of what is there: its flags, and options of the file system
    Other,    // any other file system, made with the rights of who starts the container
    // The rest is made inside: they show the namespaces of who mounts them.
    Proc,
    Sysfs,
    Mqueue,
    ProcBind,  // the host's, for who sees its processes from another user namespace
    Cgroup,
    CgroupBind,  // in the host's cgroup namespace: the container's own groups, opened by the stage
};

struct MountPlan {
    MountKind kind = MountKind::Bind;
    // Made by container init. Also a bind below such a mount, from a tree that the stage opened,
    // and a remount of one.
    bool inside = false;
    std::string destination;  // absolute, without "." and ".." and double slashes
    std::string type;         // of Other
    std::string source;
    std::string subpath;          // not empty: this part of the source alone, looked up inside it
    sys::mount::Options options;  // of the file system
    sys::mount::Attributes attributes;
    sys::mount::Attributes recursive_attributes;  // rro and friends
    sys::mount::Depth depth = sys::mount::Depth::One;
    sys::mount::Depth propagation_depth = sys::mount::Depth::One;
    bool copy_up = false;    // an empty source, or a tmpfs, gets what the image has at its place
    bool id_mapped = false;  // by these maps; when empty, by the container's user namespace
    sys::mount::Depth id_map_depth = sys::mount::Depth::One;
    sys::ns::IdMaps uids;
    sys::ns::IdMaps gids;
};

// "/a//b/../c/" is "/a/c"; ".." stops at "/".
std::string clean_path(std::string_view path);
// True if `path` is `folder` or below it; both clean.
bool is_below(std::string_view path, std::string_view folder);

// What the choice of kinds depends on.
struct MountContext {
    bool user_namespace = false;
    bool owns_network = false;     // sysfs can be mounted
    bool host_processes = false;   // procfs of the caller's process namespace cannot be
    bool private_cgroups = false;  // a cgroup namespace of its own
    // The mounts are made from inside the user namespace, by somebody who is not root on the host:
    // no device nodes, nothing id-mapped, no locked copies.
    bool unprivileged = false;
    std::uint32_t root_uid = 0;  // the host's ids of the container's root
    std::uint32_t root_gid = 0;
    sys::ns::IdMaps uids;
    sys::ns::IdMaps gids;
    std::string bundle;
};

// What `options` of a mount may hold besides the options of its file system; for `features`.
std::vector<std::string> mount_options();

// One by itself.
Result<MountPlan> plan_mount(const oci::Mount& mount, const MountContext& context);
Result<std::vector<MountPlan>> plan_mounts(const oci::Spec& spec, const MountContext& context);

}  // namespace coffer::runtime
