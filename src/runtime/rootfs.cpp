// The stage's half of the root file system: see rootfs.hpp. Everything here runs with the rights of
// the initial user namespace on trees that an image's author chose, so every name is resolved
// inside the root and every action is on the descriptor that came out.

#include "runtime/rootfs.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/copy_up.hpp"
#include "runtime/devices.hpp"
#include "sys/credentials.hpp"

namespace coffer::runtime {

namespace {

using sys::Fd;
using sys::mount::Attributes;
using sys::mount::Depth;
using sys::mount::Propagation;
namespace m = sys::mount;

constexpr const char* kShm = "/dev/shm";

std::string root_path(const RootfsRequest& request) {
    const std::string& path = request.spec.root->path;
    return path.starts_with('/') ? path : request.context.bundle + "/" + path;
}

// Flags of the top, then of the whole tree, then propagation: each has its own depth.
Result<void> apply_attributes(int mount, const MountPlan& plan) {
    Attributes top = plan.attributes;
    const Attributes propagation{.propagation = std::exchange(top.propagation, Propagation::Keep)};
    TRY(m::set_attributes(mount, top, Depth::One));
    TRY(m::set_attributes(mount, plan.recursive_attributes, Depth::Recursive));
    return m::set_attributes(mount, propagation, plan.propagation_depth);
}

// A mount of another container. We are in its mount namespace meanwhile, in none of its others.
Result<Fd> clone_mount_of(int mount_ns_fd, const std::string& path) {
    const Fd own = TRY(sys::ns::open_self(sys::ns::Kind::Mount));
    TRY(sys::ns::enter(mount_ns_fd, sys::ns::Kind::Mount));
    auto tree = [&]() -> Result<Fd> {
        const sys::RootedDir root = TRY(sys::RootedDir::open("/"));
        const Fd place = TRY(root.open(path, O_PATH | O_DIRECTORY));
        if (!TRY(m::is_mount_root(place.get()))) {
            return fail(Code::Conflict, "nothing is mounted on '{}' of the other container", path);
        }
        return m::clone_tree(place.get(), "", Depth::One);
    }();
    TRY(sys::ns::enter(own.get(), sys::ns::Kind::Mount));
    return tree;
}

// Of a tree that containers write to: no link in it leads out, whenever it is put there.
Result<Fd> clone_part(const std::string& source, const std::string& subpath, Depth depth) {
    if (subpath.empty()) return m::clone_tree(AT_FDCWD, source, depth);
    const sys::RootedDir root = TRY(sys::RootedDir::open(source));
    const Fd part = TRY_CONTEXT(root.open(subpath, O_PATH), "'{}' of '{}'", subpath, source);
    return m::clone_tree(part.get(), "", depth);
}

// `shm_mount_ns` as in CreateOptions.
Result<Fd> open_bind(const MountPlan& plan, int container_userns, int shm_mount_ns) {
    const bool theirs = plan.destination == kShm && shm_mount_ns >= 0;
    Fd tree = TRY_CONTEXT(theirs ? clone_mount_of(shm_mount_ns, kShm)
                                 : clone_part(plan.source, plan.subpath, plan.depth),
                          "mount '{}'", plan.destination);
    if (plan.id_mapped) {
        Fd own;
        if (!plan.uids.empty()) own = TRY(sys::ns::create_user(plan.uids, plan.gids));
        const Attributes idmap{.idmap_userns = own ? own.get() : container_userns};
        TRY_CONTEXT(m::set_attributes(tree.get(), idmap, plan.id_map_depth), "mount '{}' of '{}'",
                    plan.destination, plan.source);
    }
    TRY_CONTEXT(apply_attributes(tree.get(), plan), "mount '{}'", plan.destination);
    return tree;
}

// The container's own groups in the host's hierarchies. In the order of the layout, so
// that the inside half knows their names.
Result<std::vector<Fd>> open_cgroups(const CreateOptions& options, const MountPlan& plan) {
    const sys::cgroup::Layout& layout = sys::cgroup::host_layout();
    std::vector<Fd> trees;
    const auto open = [&](const sys::cgroup::Layout::Hierarchy& hierarchy) -> Result<void> {
        std::string path = hierarchy.mount_point + hierarchy.own_path;
        if (options.cgroup != nullptr) {
            const std::string own = hierarchy.mount_point + options.cgroup->path();
            if (sys::exists(own)) path = own;
        }
        Fd tree = TRY(m::clone_tree(AT_FDCWD, path, Depth::One));
        TRY(m::set_attributes(tree.get(),
                              {.set = plan.attributes.set, .propagation = Propagation::Private},
                              Depth::One));
        trees.push_back(std::move(tree));
        return {};
    };
    if (layout.version == 2) {
        TRY(open(layout.unified));
    } else {
        for (const auto& hierarchy : layout.v1) TRY(open(hierarchy));
    }
    return trees;
}

Result<Fd> make_overlay(const RootfsRequest& request, SourceTrees& trees, int scratch_fd) {
    Fd root = TRY(
        m::create_overlay(sys::numbers_of(trees.layers), trees.upper.get(), scratch_fd, m::kNoDev));
    // An upper that the mounter's ids cannot write makes the kernel fall back to read-only, with a
    // line in its log as the only sign.
    if (TRY(m::info(root.get())).read_only) {
        return fail(Code::Internal, "the overlay of '{}' came out read-only",
                    request.options.overlay->upper_dir);
    }
    trees.layers.clear();
    trees.upper.reset();
    return root;
}

// What is new is private.
Result<void> set_propagation(const Fd& mount, const MountPlan& plan) {
    if (plan.attributes.propagation == Propagation::Private) return {};
    return m::set_attributes(mount.get(), {.propagation = plan.attributes.propagation}, Depth::One);
}

// tmpfs takes the mode of the folder it covers unless one is given.
Result<void> mount_tmpfs(const sys::RootedDir& root, const MountPlan& plan) {
    m::Options options = plan.options;
    const bool has_mode = std::any_of(options.begin(), options.end(),
                                      [](const auto& option) { return option.first == "mode"; });
    const auto covered = root.open(plan.destination, O_PATH | O_DIRECTORY);
    struct stat status {};
    if (covered && ::fstat(covered->get(), &status) != 0) return fail_errno("stat");
    if (covered && !has_mode) {
        options.emplace_back("mode", format("{:o}", status.st_mode & 07777U));
    }
    const Fd target = TRY(make_target(root, plan.destination, TargetKind::Folder));
    const Fd mount = TRY(m::create("tmpfs", options, plan.attributes.set & ~m::kReadOnly,
                                   plan.source.empty() ? "tmpfs" : plan.source));
    if (plan.copy_up && covered) {
        if (::fstat(mount.get(), &status) != 0) return fail_errno("stat");
        TRY_CONTEXT(copy_up(covered->get(), mount.get(), FolderStatus::Copied), "fill it");
        // The mode is the option's, not the image's.
        if (::fchmodat(mount.get(), ".", status.st_mode & 07777U, 0) != 0) {
            return fail_errno("set mode");
        }
    }
    TRY(m::attach(mount.get(), target.get()));
    return set_propagation(mount, plan);
}

// The mount of the volume is still ours alone, so a read-only one can be opened for the copy. A
// folder that somebody has given an owner or a mode keeps them.
Result<void> fill_volume(const MountContext& context, const MountPlan& plan, const Fd& target,
                         const Fd& volume) {
    struct stat status {};
    if (::fstat(volume.get(), &status) != 0) return fail_errno("stat");
    const std::uint32_t mode = status.st_mode & 07777U;
    const bool chosen = status.st_uid != context.root_uid || status.st_gid != context.root_gid ||
                        (mode != 0755 && mode != 01777);
    const bool read_only =
        ((plan.attributes.set | plan.recursive_attributes.set) & m::kReadOnly) != 0;
    if (read_only) TRY(m::set_attributes(volume.get(), {.clear = m::kReadOnly}, Depth::One));
    TRY_CONTEXT(
        copy_up(target.get(), volume.get(), chosen ? FolderStatus::Kept : FolderStatus::Copied),
        "fill volume '{}'", plan.source);
    if (read_only) TRY(m::set_attributes(volume.get(), {.set = m::kReadOnly}, Depth::One));
    return {};
}

Result<void> mount_from_stage(const RootfsRequest& request, const sys::RootedDir& root,
                              const MountPlan& plan, std::vector<Fd>& trees) {
    if (plan.kind == MountKind::Dev) {
        const Fd target = TRY(make_plain_folder(root, plan.destination));
        const Fd mount = TRY(make_dev(request.spec, plan, request.context));
        TRY(m::attach(mount.get(), target.get()));
        if (request.context.unprivileged) TRY(bind_devices(mount, request.spec));
        return {};
    }
    if (plan.kind == MountKind::Tmpfs) return mount_tmpfs(root, plan);
    if (plan.kind == MountKind::Devpts) {
        const Fd target = TRY(make_target(root, plan.destination, TargetKind::Folder));
        m::Options options = plan.options;
        options.emplace_back("newinstance", "");
        const Fd mount = TRY(m::create("devpts", options, plan.attributes.set, "devpts"));
        return m::attach(mount.get(), target.get());
    }
    if (plan.kind == MountKind::Other) {
        const Fd target = TRY(make_target(root, plan.destination, TargetKind::Folder));
        const Fd mount = TRY(m::create(plan.type, plan.options, plan.attributes.set, plan.source));
        TRY(m::attach(mount.get(), target.get()));
        return set_propagation(mount, plan);
    }
    if (plan.kind == MountKind::Remount) return remount(root, plan);
    const TargetKind kind = TRY(target_kind(trees[0].get()));
    const Fd target = TRY(make_target(root, plan.destination, kind));
    if (plan.copy_up && kind == TargetKind::Folder)
        TRY(fill_volume(request.context, plan, target, trees[0]));
    TRY(m::attach(trees[0].get(), target.get()));
    trees.clear();
    return {};
}

Result<void> prepare_inside_target(const RootfsRequest& request, const sys::RootedDir& root,
                                   const MountPlan& plan, const std::vector<Fd>& trees) {
    for (const MountPlan& other : request.mounts) {
        if (&other == &plan) break;
        // Its target will be in a file system that does not exist yet.
        if (other.inside && is_below(plan.destination, other.destination)) return {};
    }
    if (plan.kind == MountKind::Remount) return {};
    if (plan.kind == MountKind::Bind) {
        const TargetKind kind = TRY(target_kind(trees[0].get()));
        TRY(make_target(root, plan.destination, kind));
        return {};
    }
    if (plan.kind == MountKind::Proc || plan.kind == MountKind::ProcBind ||
        plan.kind == MountKind::Sysfs) {
        TRY(make_plain_folder(root, plan.destination));
        return {};
    }
    TRY(make_target(root, plan.destination, TargetKind::Folder));
    return {};
}

// The nodes are bound one by one: nothing is written to the image, whose own nodes do not work.
Result<void> place_devices(const RootfsRequest& request, const sys::RootedDir& root) {
    const std::vector<oci::LinuxDevice> devices = devices_elsewhere(request.spec);
    if (devices.empty()) return {};
    const Fd nodes =
        TRY(m::create("tmpfs", {{"mode", "0700"}}, m::kNoSuid | m::kNoExec, "devices"));
    TRY(place_out_of_sight(nodes));
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const std::string path = clean_path(devices[i].path);
        for (const MountPlan& plan : request.mounts) {
            if (!plan.inside || !is_below(path, plan.destination)) continue;
            return fail(Code::InvalidArgument, "device '{}' lies below the mount '{}'", path,
                        plan.destination);
        }
        const Fd node = TRY(open_device(nodes, format("{}", i), devices[i], request.context));
        const Fd target =
            TRY_CONTEXT(make_target(root, path, TargetKind::File), "device '{}'", path);
        TRY_CONTEXT(m::attach(node.get(), target.get()), "device '{}'", path);
    }
    return {};
}

}  // namespace

Result<Fd> open_layer(const std::string& path, int userns_fd, std::uint64_t flags) {
    Fd tree = TRY(m::clone_tree(AT_FDCWD, path, Depth::One));
    TRY_CONTEXT(m::set_attributes(
                    tree.get(),
                    {.set = flags, .propagation = Propagation::Private, .idmap_userns = userns_fd},
                    Depth::One),
                "layer '{}'", path);
    return tree;
}

Result<Fd> stack_layers(std::vector<Fd> layers, int scratch_fd, std::uint64_t flags) {
    flags |= m::kReadOnly;
    if (layers.size() == 1) {
        TRY(m::set_attributes(layers.front().get(), {.set = flags}, Depth::One));
        return std::move(layers.front());
    }
    return m::create_overlay(sys::numbers_of(layers), -1, scratch_fd, flags);
}

Result<std::string> place_out_of_sight(const Fd& mount) {
    for (const std::string folder : {"/dev/shm", "/dev/mqueue", "/dev"}) {
        const auto place = sys::open_file(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        if (!place) continue;
        TRY(m::attach(mount.get(), place->get()));
        return folder;
    }
    return fail(Code::NotFound, "the host has no folder '/dev'");
}

Result<Fd> make_image(const MountPlan& plan, std::vector<Fd> layers, int scratch_fd) {
    const std::uint64_t flags = plan.attributes.set | plan.recursive_attributes.set;
    Fd image = TRY(stack_layers(std::move(layers), scratch_fd, flags));
    if (plan.subpath.empty()) return image;
    // Only of what is attached can a part be taken.
    TRY(place_out_of_sight(image));
    const sys::RootedDir root(std::move(image));
    const Fd part = TRY_CONTEXT(root.open(plan.subpath, O_PATH), "'{}' of the image", plan.subpath);
    return m::clone_tree(part.get(), "", Depth::One);
}

Result<TargetKind> target_kind(int tree_fd) {
    struct stat status {};
    if (::fstat(tree_fd, &status) != 0) return fail_errno("stat");
    return S_ISDIR(status.st_mode) ? TargetKind::Folder : TargetKind::File;
}

Result<Fd> make_masks() {
    Fd masks =
        TRY(m::create("tmpfs", {{"mode", "0755"}, {"size", "4k"}, {"nr_inodes", "8"}}, 0, "mask"));
    if (::mkdirat(masks.get(), "folder", 0555) != 0) return fail_errno("create mask");
    TRY(sys::open_at(masks.get(), "file", O_CREAT | O_EXCL | O_WRONLY, 0444));
    TRY(m::set_attributes(masks.get(),
                          {.set = m::kReadOnly | m::kNoSuid | m::kNoDev | m::kNoExec,
                           .propagation = Propagation::Private},
                          Depth::One));
    return masks;
}

Result<std::vector<Fd>> open_source(const MountPlan& plan, int userns_fd, int shm_mount_ns_fd) {
    std::vector<Fd> trees;
    if (plan.kind == MountKind::Bind) {
        trees.push_back(TRY(open_bind(plan, userns_fd, shm_mount_ns_fd)));
    } else {
        for (const auto& [name, dir] : plan.options) {
            trees.push_back(TRY(open_layer(dir, userns_fd, m::kReadOnly)));
        }
    }
    return trees;
}

Result<void> remount(const sys::RootedDir& root, const MountPlan& plan) {
    const auto place = root.open(plan.destination, O_PATH);
    if (!place || !TRY(m::is_mount_root(place->get()))) {
        return fail(Code::InvalidArgument, "'remount' of what is not mounted");
    }
    if (!plan.options.empty()) TRY(m::reconfigure(place->get(), plan.options));
    return apply_attributes(place->get(), plan);
}

Result<SourceTrees> open_sources(const RootfsRequest& request) {
    SourceTrees trees;
    if (const auto& overlay = request.options.overlay) {
        for (const std::string& dir : overlay->lower_dirs) {
            trees.layers.push_back(TRY(open_layer(dir, request.userns_fd, m::kReadOnly)));
        }
        trees.upper = TRY(open_layer(overlay->upper_dir, request.userns_fd, 0));
    } else {
        trees.root = TRY_CONTEXT(m::clone_tree(AT_FDCWD, root_path(request), Depth::Recursive),
                                 "root file system");
        // What the host mounts below the root shows in the container only where that is asked for;
        // what the container mounts never shows on the host.
        const std::string& kind = request.spec.linux->rootfs_propagation;
        const bool follows = kind.ends_with("slave") || kind.ends_with("shared");
        TRY(m::set_attributes(trees.root.get(),
                              {.propagation = follows ? Propagation::Slave : Propagation::Private},
                              Depth::Recursive));
    }
    for (const MountPlan& plan : request.mounts) {
        std::vector<Fd>& list = trees.mounts.emplace_back();
        if (plan.kind == MountKind::Bind || plan.kind == MountKind::Layers) {
            list = TRY(open_source(plan, request.userns_fd, request.options.shm_mount_ns_fd));
        } else if (plan.kind == MountKind::ProcBind) {
            Fd tree = TRY(m::clone_tree(AT_FDCWD, "/proc", Depth::Recursive));
            TRY(m::set_attributes(tree.get(),
                                  {.set = plan.attributes.set, .propagation = Propagation::Private},
                                  Depth::Recursive));
            list.push_back(std::move(tree));
        } else if (plan.kind == MountKind::CgroupBind) {
            list = TRY(open_cgroups(request.options, plan));
        }
    }
    return trees;
}

Result<Fd> assemble(const RootfsRequest& request, SourceTrees& trees) {
    // On the root's own path, where hooks look for it; the host's root would be covered by itself.
    const bool on_itself = trees.root && clean_path(root_path(request)) != "/";
    const Fd place = TRY(sys::open_file(on_itself ? root_path(request) : request.context.bundle,
                                        O_PATH | O_DIRECTORY));
    std::optional<sys::cred::MappedFsIds> ids;
    if (request.context.user_namespace) {
        ids.emplace(
            TRY(sys::cred::MappedFsIds::enter(request.context.root_uid, request.context.root_gid)));
    }
    for (std::size_t i = 0; i < request.mounts.size(); ++i) {
        const MountPlan& plan = request.mounts[i];
        if (plan.kind != MountKind::Layers) continue;
        Fd image = TRY_CONTEXT(make_image(plan, std::move(trees.mounts[i]), place.get()),
                               "mount '{}'", plan.destination);
        trees.mounts[i].clear();
        trees.mounts[i].push_back(std::move(image));
    }
    Fd root = trees.root ? std::move(trees.root) : TRY(make_overlay(request, trees, place.get()));
    TRY(m::attach(root.get(), place.get()));
    TRY(m::set_attributes(root.get(), {.set = m::kNoDev}, Depth::One));
    const sys::RootedDir rooted(TRY(root.duplicate()));

    for (std::size_t i = 0; i < request.mounts.size(); ++i) {
        const MountPlan& plan = request.mounts[i];
        TRY_CONTEXT(plan.inside ? prepare_inside_target(request, rooted, plan, trees.mounts[i])
                                : mount_from_stage(request, rooted, plan, trees.mounts[i]),
                    "mount '{}'", plan.destination);
    }
    TRY(place_devices(request, rooted));
    if (request.spec.process) {
        ignore(make_target(rooted, clean_path(request.spec.process->cwd), TargetKind::Folder),
               "entering it says what is wrong");
    }
    // Read-only comes last: until here mount targets were made.
    for (const MountPlan& plan : request.mounts) {
        const bool made_here = plan.kind == MountKind::Dev || plan.kind == MountKind::Tmpfs;
        if (!made_here || (plan.attributes.set & m::kReadOnly) == 0) continue;
        const Fd mount = TRY(rooted.open(plan.destination, O_PATH | O_DIRECTORY));
        TRY(m::set_attributes(mount.get(), {.set = m::kReadOnly}, Depth::One));
    }
    if (request.spec.root && request.spec.root->readonly) {
        TRY(m::set_attributes(root.get(), {.set = m::kReadOnly}, Depth::One));
    }
    ids.reset();
    const Fd masks = TRY(make_masks());
    trees.mask_folder = TRY(place_out_of_sight(masks));
    return root;
}

}  // namespace coffer::runtime
