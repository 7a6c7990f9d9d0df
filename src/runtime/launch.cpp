#include "runtime/launch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "runtime/seccomp_profile.hpp"
#include "runtime/spec_check.hpp"
#include "runtime/talk.hpp"
#include "sys/file.hpp"
#include "sys/landlock.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

namespace {

using sys::ns::Kind;

Kind kind_of(const std::string& type) {
    if (type == "pid") return Kind::Pid;
    if (type == "network") return Kind::Network;
    if (type == "ipc") return Kind::Ipc;
    if (type == "uts") return Kind::Uts;
    if (type == "cgroup") return Kind::Cgroup;
    if (type == "time") return Kind::Time;
    if (type == "user") return Kind::User;
    return Kind::Mount;
}

// The ids that exist inside, as themselves: who is inside names them so.
sys::ns::IdMaps from_inside(sys::ns::IdMaps maps) {
    for (sys::ns::IdMap& map : maps) map.outside = map.inside;
    return maps;
}

Result<sys::Fd> borrow(int fd) {
    sys::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno("duplicate descriptor {}", fd);
    return copy;
}

Result<void> plan_user_namespace(Launch& launch) {
    const oci::Linux& linux = *launch.spec.linux;
    const oci::LinuxNamespace* wanted = find_namespace(launch.spec, "user");
    MountContext& context = launch.context;
    context.uids = to_maps(linux.uid_mappings);
    context.gids = to_maps(linux.gid_mappings);
    const bool mapped = !context.uids.empty() && !context.gids.empty();
    if (launch.options.userns_fd >= 0) {
        launch.userns = TRY(borrow(launch.options.userns_fd));
    } else if (wanted != nullptr && !wanted->path.empty()) {
        launch.userns = TRY(sys::ns::open(wanted->path, Kind::User));
    } else if (wanted != nullptr) {
        if (!mapped) {
            return fail(Code::InvalidArgument, "a new user namespace needs uid and gid mappings");
        }
        launch.userns = TRY(sys::ns::create_user(context.uids, context.gids));
    }
    if (!launch.userns) {
        if (::geteuid() != 0) {
            return fail(Code::Forbidden,
                        "linux.namespaces: without root on the host a user namespace is needed");
        }
        context.unprivileged = sys::ns::in_user_namespace();
        if (context.unprivileged) {
            sys::ns::UserMaps maps = TRY(sys::ns::read_maps("self"));
            context.uids = from_inside(std::move(maps.uids));
            context.gids = from_inside(std::move(maps.gids));
        }
        return {};
    }
    const sys::Fd ours = TRY(sys::ns::open_self(Kind::User));
    if (TRY(sys::ns::same(ours.get(), launch.userns.get()))) {
        launch.userns.reset();
        return {};
    }
    if (!mapped) {
        sys::ns::UserMaps maps = TRY(sys::ns::maps_of(launch.userns.get()));
        context.uids = std::move(maps.uids);
        context.gids = std::move(maps.gids);
    }
    if (::geteuid() != 0) {
        launch.userns_first = true;
        context.unprivileged = true;
        // Ids are the container's wherever the stage names one.
        context.uids = from_inside(std::move(context.uids));
        context.gids = from_inside(std::move(context.gids));
        return {};
    }
    context.user_namespace = true;
    context.root_uid = TRY_CONTEXT(sys::ns::map_id(context.uids, 0), "root of the container");
    context.root_gid = TRY_CONTEXT(sys::ns::map_id(context.gids, 0), "root of the container");
    return {};
}

// True if the namespace the container will be in is our own.
Result<bool> shares_with_us(const Launch& launch, Kind kind) {
    if ((launch.new_namespaces & sys::ns::bit(kind)) != 0) return false;
    for (const auto& [joined, fd] : launch.joins) {
        if (joined != kind) continue;
        const sys::Fd ours = TRY(sys::ns::open_self(kind));
        return sys::ns::same(ours.get(), fd.get());
    }
    return true;
}

// The file system that shows a namespace belongs to who owns that: a new one is the container's.
Result<bool> owns(const Launch& launch, Kind wanted) {
    if ((launch.new_namespaces & sys::ns::bit(wanted)) != 0) return true;
    if (!launch.userns) {
        if (!launch.context.unprivileged || !launch.joins.empty()) {
            return !launch.context.unprivileged;
        }
        const sys::Fd shared = TRY(sys::ns::open_self(wanted));
        const sys::Fd ours = TRY(sys::ns::open_self(Kind::User));
        return sys::ns::is_owned_by(shared.get(), ours.get());
    }
    for (const auto& [kind, fd] : launch.joins) {
        if (kind == wanted) return sys::ns::is_owned_by(fd.get(), launch.userns.get());
    }
    return false;
}

int given_fd(const CreateOptions& options, Kind kind) {
    if (kind == Kind::Network) return options.netns_fd;
    if (kind == Kind::Pid) return options.pidns_fd;
    if (kind == Kind::Ipc) return options.ipcns_fd;
    return -1;
}

Result<void> plan_namespaces(Launch& launch) {
    for (const oci::LinuxNamespace& ns : launch.spec.linux->namespaces) {
        const Kind kind = kind_of(ns.type);
        if (kind == Kind::User) continue;
        if (given_fd(launch.options, kind) >= 0) continue;
        if (kind == Kind::Mount && !ns.path.empty()) {
            launch.mount_ns = TRY(sys::ns::open(ns.path, kind));
            launch.new_namespaces |= sys::ns::bit(kind);
        } else if (ns.path.empty()) {
            launch.new_namespaces |= sys::ns::bit(kind);
        } else {
            launch.joins.emplace_back(kind, TRY(sys::ns::open(ns.path, kind)));
        }
    }
    for (const Kind kind : {Kind::Network, Kind::Pid, Kind::Ipc}) {
        const int fd = given_fd(launch.options, kind);
        if (fd >= 0) launch.joins.emplace_back(kind, TRY(borrow(fd)));
    }
    launch.new_network = (launch.new_namespaces & sys::ns::bit(Kind::Network)) != 0;
    launch.context.owns_network = TRY(owns(launch, Kind::Network));
    launch.context.host_processes = launch.context.user_namespace &&
                                    TRY(shares_with_us(launch, Kind::Pid)) &&
                                    !TRY(owns(launch, Kind::Pid));
    launch.context.private_cgroups = (launch.new_namespaces & sys::ns::bit(Kind::Cgroup)) != 0;
    return {};
}

Result<void> plan_seccomp(Launch& launch) {
    const auto& seccomp = launch.spec.linux->seccomp;
    if (!seccomp) return {};
    if (launch.options.seccomp_bpf.empty()) {
        return fail(Code::InvalidArgument, "the spec has a seccomp profile that was not compiled");
    }
    launch.seccomp_flags = TRY(seccomp_flags_of(*seccomp));
    return {};
}

}  // namespace

Result<void> set_ids(Launch& launch, sys::cred::Ids ids) {
    launch.host_uid = ids.uid;
    launch.host_gid = ids.gid;
    if (launch.userns && !launch.userns_first) {
        launch.host_uid =
            TRY_CONTEXT(sys::ns::map_id(launch.context.uids, ids.uid), "user of the process");
        launch.host_gid =
            TRY_CONTEXT(sys::ns::map_id(launch.context.gids, ids.gid), "group of the process");
    }
    launch.identity->ids = std::move(ids);
    return {};
}

namespace {

Result<void> plan_process(Launch& launch) {
    if (!launch.spec.process) return {};
    const oci::Process& process = *launch.spec.process;
    // In a user namespace that is not ours, its first process has them all.
    const auto grantable =
        launch.userns ? sys::cred::all_capabilities() : TRY(sys::cred::permitted_capabilities());
    launch.identity = TRY(plan_identity(process, grantable));
    TRY(set_ids(launch, launch.identity->ids));
    launch.identity->own_keyring = !launch.options.no_new_keyring;
    // A namespace of its own keeps signals and sockets in already; scopes would only part the
    // container from what is executed in it later, which is in no domain of ours.
    unsigned& scopes = launch.identity->scopes;
    if (TRY(shares_with_us(launch, Kind::Pid))) scopes |= sys::landlock::kSignals;
    if (TRY(shares_with_us(launch, Kind::Network))) scopes |= sys::landlock::kAbstractSockets;
    return {};
}

}  // namespace

Result<Launch> plan_launch(const oci::Spec& spec, const CreateOptions& options) {
    TRY(check_spec(spec));
    if (!options.bundle.starts_with('/')) {
        return fail(Code::InvalidArgument, "bundle '{}' is not an absolute path", options.bundle);
    }
    if (!options.overlay && (!spec.root || spec.root->path.empty())) {
        return fail(Code::InvalidArgument, "the spec has no root file system");
    }
    if (options.overlay && options.overlay->lower_dirs.empty()) {
        return fail(Code::InvalidArgument, "an overlay without layers");
    }
    if (!spec.linux->net_devices.empty() && !options.move_devices) {
        return fail(Code::NotImplemented, "linux.netDevices is not supported");
    }
    if (spec.linux->intel_rdt && options.task_files.empty()) {
        return fail(Code::NotImplemented, "linux.intelRdt is not supported");
    }
    Launch launch{spec, options, {}, false, {}, {}, 0, false, {}, {}, {}, 0, 0, 0, {}};
    launch.context.bundle = options.bundle;
    TRY(plan_user_namespace(launch));
    TRY(plan_namespaces(launch));
    TRY(plan_seccomp(launch));
    TRY(plan_process(launch));
    launch.mounts = TRY(plan_mounts(spec, launch.context));
    return launch;
}

}  // namespace coffer::runtime
