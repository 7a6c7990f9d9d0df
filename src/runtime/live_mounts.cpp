// Who we are: a child of the caller with its credentials, root on the host; then root of the
// container's user namespace, in its mount namespace and in none of its others, so that none of its
// processes sees us. Names in its tree are hostile, and its processes run meanwhile.
//
//   host's mount namespace          open the trees of binds as detached copies
//   our own                         attach them, and tmpfs, on a scratch file system
//   container's user namespace
//   a copy of our mounts            owned by it: here the kernel locks their flags
//   clones of them                  detached, and locked like what they are clones of
//   container's mount namespace     attach the clones, by descriptor

#include "runtime/live_mounts.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "runtime/labels.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/rootfs.hpp"
#include "runtime/sync.hpp"
#include "runtime/talk.hpp"
#include "sys/clone.hpp"
#include "sys/credentials.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

using sys::Fd;
using sys::RootedDir;
using sys::mount::Depth;
using sys::ns::Kind;
namespace m = sys::mount;

// A source that answers nothing must not hold up the caller, who serves the container.
constexpr std::chrono::seconds kLimit{8};
constexpr std::chrono::seconds kEndLimit{1};

struct Plan {
    std::vector<std::string> remove;
    std::vector<MountPlan> add;
    bool settle = false;
    Fd userns;  // empty: ours
    Fd mount_ns;
};

Result<Plan> plan_change(int container_pidfd, const MountChange& change) {
    Plan plan;
    plan.settle = change.settle;
    for (const std::string& path : change.remove) plan.remove.push_back(clean_path(path));
    const int pid = TRY(pid_of(container_pidfd));
    plan.mount_ns = TRY(sys::ns::open_of(pid, Kind::Mount));
    Fd users = TRY(sys::ns::open_of(pid, Kind::User));
    const Fd ours = TRY(sys::ns::open_self(Kind::User));
    MountContext context;
    context.user_namespace = !TRY(sys::ns::same(users.get(), ours.get()));
    if (context.user_namespace) {
        sys::ns::UserMaps maps = TRY(sys::ns::read_maps(format("{}", pid)));
        context.uids = std::move(maps.uids);
        context.gids = std::move(maps.gids);
        context.root_uid = TRY(sys::ns::map_id(context.uids, 0));
        context.root_gid = TRY(sys::ns::map_id(context.gids, 0));
        plan.userns = std::move(users);
    }
    for (const oci::Mount& mount : change.add) {
        MountPlan one = TRY(plan_mount(mount, context));
        if (one.kind != MountKind::Bind && one.kind != MountKind::Layers &&
            one.kind != MountKind::Tmpfs) {
            return fail(Code::InvalidArgument, "mount '{}': type '{}' of a running container",
                        one.destination, mount.type);
        }
        plan.add.push_back(std::move(one));
    }
    return plan;
}

// Everything that is to be added, each at its number below the working folder.
Result<void> gather(const Plan& plan) {
    std::vector<std::vector<Fd>> sources;
    for (const MountPlan& one : plan.add) {
        sources.emplace_back();
        if (one.kind == MountKind::Tmpfs) continue;
        sources.back() = TRY(open_source(one, plan.userns.get()));
    }
    TRY(m::unshare_namespace());
    // Open to the container's root, that is us soon.
    const Fd scratch = TRY(m::create("tmpfs", {{"mode", "0755"}}, 0, "scratch"));
    TRY(place_out_of_sight(scratch));
    for (std::size_t i = 0; i < plan.add.size(); ++i) {
        const MountPlan& one = plan.add[i];
        Fd tree;
        if (one.kind == MountKind::Bind) {
            tree = std::move(sources[i].front());
        } else if (one.kind == MountKind::Tmpfs) {
            tree = TRY(m::create("tmpfs", one.options, one.attributes.set, "tmpfs"));
        } else {
            const std::string name = format("layers{}", i);
            if (::mkdirat(scratch.get(), name.c_str(), 0700) != 0) return fail_errno("scratch");
            const Fd place = TRY(sys::open_at(scratch.get(), name, O_PATH | O_DIRECTORY));
            tree = TRY(make_image(one, std::move(sources[i]), place.get()));
        }
        const RootedDir root(TRY(scratch.duplicate()));
        const TargetKind kind = TRY(target_kind(tree.get()));
        const Fd target = TRY(make_target(root, format("/{}", i), kind));
        TRY_CONTEXT(m::attach(tree.get(), target.get()), "mount '{}'", one.destination);
    }
    if (::fchdir(scratch.get()) != 0) return fail_errno("enter scratch folder");
    return {};
}

Result<void> stay_out_of_sight() {
    TRY(sys::cred::set_not_dumpable());
    // Entering a user namespace takes it back.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return {};
}

Result<std::vector<Fd>> lock(const Plan& plan) {
    if (plan.userns) {
        TRY(sys::ns::enter(plan.userns.get(), Kind::User));
        TRY(sys::ns::become_root());
        TRY(stay_out_of_sight());
        if (::unshare(CLONE_NEWNS) != 0) return fail_errno("copy the mounts");
    }
    std::vector<Fd> trees;
    for (std::size_t i = 0; i < plan.add.size(); ++i) {
        trees.push_back(TRY_CONTEXT(m::clone_tree(AT_FDCWD, format("{}", i), Depth::Recursive),
                                    "mount '{}'", plan.add[i].destination));
    }
    return trees;
}

enum class InUse : std::uint8_t { Refuse, Detach };

// In the container's mount namespace.
class Change {
  public:
    Change(RootedDir root, Fd host_proc, bool settle)
        : root_(std::move(root)), host_proc_(std::move(host_proc)), settle_(settle) {}

    Result<void> remove(const std::string& path) {
        Fd kept;
        InUse in_use = settle_ ? InUse::Detach : InUse::Refuse;
        {
            const auto place = root_.open(path, O_PATH);
            if (!place || !TRY(m::is_mount_root(place->get()))) {
                if (settle_) return {};
                return fail(Code::InvalidArgument, "nothing is mounted on '{}'", path);
            }
            kept = TRY(m::clone_tree(place->get(), "", Depth::Recursive));
            // What came with it is locked onto it: then it goes as a whole, or not at all.
            if (!m::clone_tree(place->get(), "", Depth::One)) in_use = InUse::Detach;
        }
        TRY(detach(path, in_use));
        removed_.emplace_back(path, std::move(kept));
        return {};
    }

    Result<void> add(const MountPlan& plan, const Fd& tree) {
        const std::string& path = plan.destination;
        const TargetKind kind = TRY(target_kind(tree.get()));
        const Fd target = TRY(make_target(root_, path, kind));
        if (TRY(m::is_mount_root(target.get()))) {
            if (settle_) return {};
            return fail(Code::Conflict, "something is mounted there already");
        }
        if (plan.kind == MountKind::Tmpfs) TRY(take_mode(plan, tree, target));
        TRY(m::attach(tree.get(), target.get()));
        added_.push_back(path);
        return {};
    }

    // Gives the first of the errors.
    Result<void> undo() {
        Result<void> done;
        for (; !added_.empty(); added_.pop_back()) {
            const auto one = detach(added_.back(), InUse::Detach);
            if (done && !one) done = fail(one.error());
        }
        for (; !removed_.empty(); removed_.pop_back()) {
            const auto& [path, tree] = removed_.back();
            const auto one = put_back(path, tree);
            if (done && !one) done = fail(one.error());
        }
        return done;
    }

  private:
    Result<void> put_back(const std::string& path, const Fd& tree) {
        const TargetKind kind = TRY(target_kind(tree.get()));
        const Fd target = TRY(make_target(root_, path, kind));
        return m::attach(tree.get(), target.get());
    }

    // As at a start: the mode of the folder it covers, unless one is given.
    static Result<void> take_mode(const MountPlan& plan, const Fd& tree, const Fd& covered) {
        const bool given = std::any_of(plan.options.begin(), plan.options.end(),
                                       [](const auto& option) { return option.first == "mode"; });
        if (given || (plan.attributes.set & m::kReadOnly) != 0) return {};
        struct stat status {};
        if (::fstat(covered.get(), &status) != 0) return fail_errno("stat");
        if (::fchmodat(tree.get(), ".", status.st_mode & 07777U, 0) != 0) {
            return fail_errno("set mode");
        }
        return {};
    }

    // umount2(2) takes a name, and a descriptor of what is to go would keep it in use: so the name
    // in a folder that is open. What is mounted on cannot be renamed.
    Result<void> detach(const std::string& path, InUse in_use) const {
        std::string real;
        {
            const Fd place = TRY(root_.open(path, O_PATH));
            real = TRY(sys::read_link(host_proc_.get(), format("self/fd/{}", place.get())));
        }
        const std::size_t slash = real.rfind('/');
        if (!real.starts_with('/') || slash + 1 == real.size()) {
            return fail(Code::Conflict, "unmount '{}': it has moved", path);
        }
        const Fd folder = TRY(
            root_.open_no_links(slash == 0 ? "/" : real.substr(0, slash), O_PATH | O_DIRECTORY));
        if (::fchdir(folder.get()) != 0) return fail_errno("unmount '{}'", path);
        const int flags = UMOUNT_NOFOLLOW | (in_use == InUse::Detach ? MNT_DETACH : 0);
        const int result = ::umount2(real.substr(slash + 1).c_str(), flags);
        const int error = errno;
        if (::chdir("/") != 0) return fail_errno("leave '{}'", path);
        if (result == 0) return {};
        if (error == EBUSY) return fail(Code::Conflict, "the mount on '{}' is in use", path);
        if (error == EINVAL) {
            return fail(Code::Conflict,
                        "the mount on '{}' has been there since the container's start and can be "
                        "removed only while it is stopped",
                        path);
        }
        return fail_with(error, "unmount '{}'", path);
    }

    RootedDir root_;
    Fd host_proc_;
    bool settle_;
    std::vector<std::pair<std::string, Fd>> removed_;
    std::vector<std::string> added_;
};

Result<void> run(const Plan& plan) {
    TRY(stay_out_of_sight());
    ::umask(0);  // targets have the modes that they have at a start
    Fd host_proc = TRY(open_host_proc());
    TRY(gather(plan));
    const std::vector<Fd> trees = TRY(lock(plan));
    TRY(sys::ns::enter(plan.mount_ns.get(), Kind::Mount));
    Change change(TRY(RootedDir::open("/")), std::move(host_proc), plan.settle);
    const auto all = [&]() -> Result<void> {
        for (const std::string& path : plan.remove) TRY(change.remove(path));
        for (std::size_t i = 0; i < trees.size(); ++i) {
            TRY_CONTEXT(change.add(plan.add[i], trees[i]), "mount '{}'", plan.add[i].destination);
        }
        return {};
    };
    auto done = all();
    if (done) return {};
    const auto undone = change.undo();
    if (undone) return done;
    return fail(Code::Internal, "{}, and it could not be undone: {}", done.error().message,
                undone.error().message);
}

struct Argument {
    const Plan& plan;
    Fd& sync;
};

void run_in_child(void* pointer) {
    const Argument& argument = *static_cast<Argument*>(pointer);
    const auto done = run(argument.plan);
    const Report report = done ? Report{.kind = ReportKind::Ready} : to_report(done.error());
    ::_exit(send_report_in_child(argument.sync.get(), report) ? 0 : 1);
}

// What the child said; nothing when it was ended before.
Result<std::optional<Received>> try_change(const Plan& plan) {
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    Argument argument{plan, pair.theirs};
    sys::Cloned cloned = TRY(sys::clone_process({}, run_in_child, &argument));
    sys::Process child(cloned.pid, std::move(cloned.pidfd));
    pair.theirs.reset();
    if (!TRY(child.wait(kLimit))) {
        TRY(child.signal(SIGKILL));
        if (!TRY(child.wait(kEndLimit))) {
            // A file system in user space can hold on to it even so: the caller reaps it later.
            child.release();
            return std::optional<Received>();
        }
    }
    return receive_report(pair.ours.get());
}

}  // namespace

Result<void> change_mounts(int container_pidfd, const MountChange& change) {
    sys::assert_single_threaded();
    const Plan plan = TRY(plan_change(container_pidfd, change));
    if (const auto told = TRY(try_change(plan))) {
        if (told->report.kind == ReportKind::Ready) return {};
        return fail(to_error(told->report));
    }
    Plan back;
    for (const MountPlan& one : plan.add) back.remove.push_back(one.destination);
    back.settle = true;
    back.userns = plan.userns ? TRY(plan.userns.duplicate()) : Fd();
    back.mount_ns = TRY(plan.mount_ns.duplicate());
    ignore(try_change(back), "the first error matters more");
    return fail(Code::Unavailable, "the change of mounts has not ended within {} seconds",
                kLimit.count());
}

}  // namespace coffer::runtime
