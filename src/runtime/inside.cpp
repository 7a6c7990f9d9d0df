// Who we are: container init. Root in the container's user namespace, in all its namespaces, the
// host's mounts still beside the new tree (the kernel wants to see an unmasked /proc when another
// is mounted), no process of the container running yet. Names in the new tree are hostile.

#include "runtime/inside.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/sysctl.hpp"
#include "sys/cgroup.hpp"
#include "sys/namespace.hpp"

namespace coffer::runtime {

namespace {

using sys::Fd;
using sys::RootedDir;
using sys::mount::Depth;
using sys::mount::Propagation;
namespace m = sys::mount;

// pivot_root refuses a mount that came in locked; a bind of it onto itself is ours.
Result<void> rebind_working_folder() {
    const Fd tree = TRY(m::clone_tree(AT_FDCWD, ".", Depth::Recursive));
    const Fd place = TRY(sys::open_file(".", O_PATH | O_DIRECTORY));
    TRY(m::attach(tree.get(), place.get()));
    if (::fchdir(tree.get()) != 0) return fail_errno("enter root file system");
    return {};
}

std::string last_part(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

m::Options cgroup_options(const sys::cgroup::Layout::Hierarchy& hierarchy) {
    m::Options options;
    for (const std::string& controller : hierarchy.controllers) {
        if (controller.starts_with("name=")) {
            options.emplace_back("none", "");
            options.emplace_back("name", controller.substr(5));
        } else {
            options.emplace_back(controller, "");
        }
    }
    return options;
}

// One folder a hierarchy, as every program expects to find them, and a link for each controller
// that shares one.
Result<void> mount_cgroups(const Fd& target, const MountPlan& plan, std::vector<Fd>& trees) {
    const sys::cgroup::Layout& layout = sys::cgroup::host_layout();
    const std::uint64_t flags = plan.attributes.set;
    if (layout.version == 2) {
        const Fd mount = trees.empty() ? TRY(m::create("cgroup2", plan.options, flags, "cgroup2"))
                                       : std::move(trees[0]);
        return m::attach(mount.get(), target.get());
    }
    const Fd folder = TRY(m::create("tmpfs", {{"mode", "0755"}}, flags & ~m::kReadOnly, "cgroup"));
    TRY(m::attach(folder.get(), target.get()));
    for (std::size_t i = 0; i < layout.v1.size(); ++i) {
        const auto& hierarchy = layout.v1[i];
        const std::string name = last_part(hierarchy.mount_point);
        const Fd mount = trees.empty()
                             ? TRY(m::create("cgroup", cgroup_options(hierarchy), flags, "cgroup"))
                             : std::move(trees[i]);
        if (::mkdirat(folder.get(), name.c_str(), 0755) != 0) return fail_errno("create folder");
        const Fd place = TRY(sys::open_at(folder.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
        TRY_CONTEXT(m::attach(mount.get(), place.get()), "cgroup '{}'", name);
        for (const std::string& controller : hierarchy.controllers) {
            if (controller == name || controller.starts_with("name=")) continue;
            if (::symlinkat(name.c_str(), folder.get(), controller.c_str()) != 0) {
                return fail_errno("create link '{}'", controller);
            }
        }
    }
    return m::set_attributes(folder.get(), {.set = flags & m::kReadOnly}, Depth::One);
}

Result<void> mount_inside(const RootedDir& root, const MountPlan& plan, std::vector<Fd>& trees,
                          Fd& proc) {
    switch (plan.kind) {
        case MountKind::Proc:
        case MountKind::ProcBind: {
            const Fd target = TRY(root.open_no_links(plan.destination, O_PATH | O_DIRECTORY));
            Fd mount = plan.kind == MountKind::ProcBind
                           ? std::move(trees[0])
                           : TRY(m::create("proc", plan.options, plan.attributes.set, "proc"));
            TRY(m::attach(mount.get(), target.get()));
            if (plan.destination == "/proc") proc = std::move(mount);
            return {};
        }
        case MountKind::Sysfs: {
            const Fd target = TRY(root.open_no_links(plan.destination, O_PATH | O_DIRECTORY));
            const Fd mount = TRY(m::create("sysfs", plan.options, plan.attributes.set, "sysfs"));
            return m::attach(mount.get(), target.get());
        }
        case MountKind::Mqueue: {
            const Fd target = TRY(make_target(root, plan.destination, TargetKind::Folder));
            const Fd mount = TRY(m::create("mqueue", plan.options, plan.attributes.set, "mqueue"));
            return m::attach(mount.get(), target.get());
        }
        case MountKind::Cgroup:
        case MountKind::CgroupBind: {
            const Fd target = TRY(make_target(root, plan.destination, TargetKind::Folder));
            return mount_cgroups(target, plan, trees);
        }
        case MountKind::Bind: {
            const TargetKind kind = TRY(target_kind(trees[0].get()));
            const Fd target = TRY(make_target(root, plan.destination, kind));
            TRY(m::attach(trees[0].get(), target.get()));
            trees.clear();
            return {};
        }
        case MountKind::Remount:
            return remount(root, plan);
        case MountKind::Layers:
        case MountKind::Dev:
        case MountKind::Tmpfs:
        case MountKind::Devpts:
        case MountKind::Other:
            break;
    }
    return fail(Code::Internal, "'{}' is not made inside", plan.destination);
}

// A path to protect: below /proc it is looked up in the procfs that we mounted, whatever the tree
// says /proc is. Empty when there is nothing to protect.
Result<Fd> find_protected(const RootedDir& root, const Fd& proc, const std::string& path) {
    const std::string clean = clean_path(path);
    auto found = [&] {
        if (!proc || !is_below(clean, "/proc") || clean == "/proc") {
            return root.open(clean, O_PATH);
        }
        auto copy = proc.duplicate();
        if (!copy) return copy;
        return RootedDir(*std::move(copy)).open_no_links(clean.substr(6), O_PATH);
    }();
    if (!found && (found.error().sys_errno == ENOENT || found.error().sys_errno == ENOTDIR)) {
        return Fd();
    }
    return found;
}

Result<void> protect_paths(const RootedDir& root, const Fd& proc, const oci::Linux& linux,
                           const std::string& mask_folder) {
    for (const std::string& path : linux.masked_paths) {
        const Fd target = TRY_CONTEXT(find_protected(root, proc, path), "mask '{}'", path);
        if (!target) continue;
        struct stat status {};
        if (::fstat(target.get(), &status) != 0) return fail_errno("mask '{}'", path);
        const std::string mask = mask_folder + (S_ISDIR(status.st_mode) ? kMaskFolder : kMaskFile);
        const Fd tree = TRY(m::clone_tree(AT_FDCWD, mask, Depth::One));
        TRY_CONTEXT(m::attach(tree.get(), target.get()), "mask '{}'", path);
    }
    for (const std::string& path : linux.readonly_paths) {
        const Fd target = TRY_CONTEXT(find_protected(root, proc, path), "protect '{}'", path);
        if (!target) continue;
        const Fd tree =
            TRY_CONTEXT(m::clone_tree(target.get(), "", Depth::Recursive), "protect '{}'", path);
        TRY_CONTEXT(m::set_attributes(tree.get(), {.set = m::kReadOnly}, Depth::Recursive),
                    "protect '{}'", path);
        TRY_CONTEXT(m::attach(tree.get(), target.get()), "protect '{}'", path);
    }
    return {};
}

Result<void> set_root_propagation(const std::string& name) {
    std::string_view kind = name;
    const bool recursive = kind.starts_with('r');
    if (recursive) kind.remove_prefix(1);
    Propagation propagation = Propagation::Private;
    if (kind == "slave") propagation = Propagation::Slave;
    if (kind == "shared") propagation = Propagation::Shared;
    if (kind == "unbindable") propagation = Propagation::Unbindable;
    const Fd root = TRY(sys::open_file("/", O_PATH | O_DIRECTORY));
    return m::set_attributes(root.get(), {.propagation = propagation},
                             recursive ? Depth::Recursive : Depth::One);
}

// Joins a mount namespace with our root in hand: there it covers the root, so that whoever joins
// later finds it, and goes on being ours where it was left. Refused where that would be seen in
// other namespaces, which the kernel tells by not taking an unbindable mount.
Result<void> move_root_into(int mount_ns_fd) {
    const Fd tree = TRY(m::clone_tree(AT_FDCWD, "/", Depth::Recursive));
    TRY(m::set_attributes(tree.get(), {.propagation = Propagation::Unbindable}, Depth::One));
    TRY(sys::ns::enter(mount_ns_fd, sys::ns::Kind::Mount));
    const Fd place = TRY(sys::open_file("/", O_PATH | O_DIRECTORY));
    const auto attached = m::attach(tree.get(), place.get());
    if (!attached && attached.error().sys_errno == EINVAL) {
        return fail(Code::InvalidArgument, "its root is shared with other mount namespaces");
    }
    TRY(attached);
    TRY(m::set_attributes(tree.get(), {.propagation = Propagation::Private}, Depth::One));
    if (::fchdir(tree.get()) != 0 || ::chroot(".") != 0) return fail_errno("change root");
    return {};
}

}  // namespace

Result<Inside> enter_rootfs_in_child(const InsideRequest& request) {
    Inside inside;
    Fd proc;  // the procfs that we mounted ourselves; empty when the spec has none
    if (request.locked_root) TRY(rebind_working_folder());
    const RootedDir root = TRY(RootedDir::open("."));
    for (std::size_t i = 0; i < request.mounts.size(); ++i) {
        const MountPlan& plan = request.mounts[i];
        if (!plan.inside) continue;
        TRY_CONTEXT(mount_inside(root, plan, request.trees[i], proc), "mount '{}'",
                    plan.destination);
    }
    if (request.spec.process && request.spec.process->terminal) {
        const oci::Process& process = *request.spec.process;
        inside.terminal = TRY(open_terminal_in_child(root, request.uid, process.console_size));
        TRY_CONTEXT(bind_console_in_child(root, *inside.terminal), "mount '/dev/console'");
        TRY(take_terminal_in_child(*inside.terminal));
    } else {
        TRY(take_stdio_in_child(root, request.stdio));
    }
    if (request.with_mounts) TRY(request.with_mounts());
    // Those of devices that were moved in exist now; /proc/sys may become read-only next.
    if (!request.spec.linux->sysctl.empty()) {
        if (!proc) return fail(Code::InvalidArgument, "linux.sysctl needs a mount of /proc");
        TRY(write_sysctls_in_child(proc.get(), request.spec.linux->sysctl));
    }
    if (request.before_pivot) TRY(request.before_pivot());
    TRY(protect_paths(root, proc, *request.spec.linux, request.mask_folder));
    TRY(request.no_pivot ? m::move_working_folder_to_root() : m::pivot_to_working_folder());
    if (request.mount_ns_fd >= 0) {
        TRY_CONTEXT(move_root_into(request.mount_ns_fd), "linux.namespaces: 'mount'");
    }
    if (!request.spec.linux->rootfs_propagation.empty()) {
        TRY(set_root_propagation(request.spec.linux->rootfs_propagation));
    }
    return inside;
}

}  // namespace coffer::runtime
