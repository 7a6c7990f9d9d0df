// Who we are: the stage, a copy of the caller with its credentials (root on the host), not yet in
// any namespace of the container. We hold every right and look at every name the image's author
// chose, so no process of the container may run beside us: there is none until our last step.
//
//   host's mount namespace     open the trees of layers, volumes and binds as detached copies
//   our own mount namespace    assemble the root file system from them, by descriptor
//   + given namespaces         joined, the user namespace last
//   clone3(CLONE_PARENT)       container init gets a copy of our mounts, locked; we end and our
//                              mount namespace goes with us

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "runtime/labels.hpp"
#include "runtime/launch.hpp"
#include "runtime/sync.hpp"
#include "runtime/terminal.hpp"
#include "runtime/user.hpp"
#include "sys/clone.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

using sys::ns::Kind;

Result<void> set_oom_score(const std::optional<std::int32_t>& score) {
    if (!score) return {};
    // The host's own procfs: inherited by container init, which could not lower its score.
    TRY(sys::write_existing("/proc/self/oom_score_adj", format("{}", *score)));
    const std::string now = TRY(sys::read_file("/proc/self/oom_score_adj", 64));
    if (trim(now) != format("{}", *score)) {
        return fail(Code::Internal, "the OOM score is {} after {} was written", trim(now), *score);
    }
    return {};
}

Result<void> make_time_namespace(const Launch& launch) {
    if ((launch.new_namespaces & sys::ns::bit(Kind::Time)) == 0) return {};
    // Offsets can be set as long as nobody is inside; our child is the first.
    if (::unshare(static_cast<int>(sys::ns::bit(Kind::Time))) != 0) {
        return fail_errno("create time namespace");
    }
    for (const auto& [clock, offset] : launch.spec.linux->time_offsets) {
        TRY(sys::write_existing("/proc/self/timens_offsets",
                                format("{} {} {}\n", clock, offset.secs, offset.nanosecs)));
    }
    return {};
}

Result<void> join_namespaces(const Launch& launch) {
    for (const auto& [kind, fd] : launch.joins) TRY(sys::ns::enter(fd.get(), kind));
    if (!launch.userns || launch.userns_first) return {};
    TRY(sys::ns::enter(launch.userns.get(), Kind::User));
    // The namespaces made next are to be owned by the container's root.
    return sys::ns::become_root();
}

// Then we are its root, and everything made from here on belongs to it.
Result<void> enter_user_namespace_first(const Launch& launch) {
    TRY(sys::ns::enter(launch.userns.get(), Kind::User));
    TRY(sys::ns::become_root());
    // Our /proc files are ours again: the clocks of a time namespace are set through one.
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return fail_errno("set dumpable");
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return {};
}

// In the working folder, which is the root file system: its passwd and group files are whole now.
Result<void> look_up_user(Launch& launch) {
    const CreateOptions& options = launch.options;
    if (!launch.identity || (options.user.empty() && options.groups.empty())) return {};
    const sys::RootedDir root = TRY(sys::RootedDir::open("."));
    ProcessUser user = TRY(find_user(root, options.user, options.groups));
    return set_ids(launch, {user.uid, user.gid, std::move(user.groups)});
}

Result<void> run_stage(Launch& launch, sys::Fd& sync) {
    if (launch.spec.process && wants_label(*launch.spec.process)) {
        launch.host_proc = TRY(open_host_proc());
    }
    if (!launch.userns_first) TRY(sys::cred::set_not_dumpable());
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::umask(0);  // what is made in the image has the modes that are given, not the caller's
    if (launch.spec.process) TRY(set_oom_score(launch.spec.process->oom_score_adj));
    if (launch.userns_first) TRY(enter_user_namespace_first(launch));
    const RootfsRequest request{launch.spec, launch.options, launch.context, launch.mounts,
                                launch.userns_first ? -1 : launch.userns.get()};
    // The trees are the host's; who is not root there opens them in a copy that is theirs.
    if (launch.userns_first) TRY(sys::mount::unshare_namespace());
    SourceTrees trees = TRY(open_sources(request));
    if (!launch.userns_first) TRY(sys::mount::unshare_namespace());
    {
        const sys::Fd root = TRY(assemble(request, trees));
        if (::fchdir(root.get()) != 0) return fail_errno("enter root file system");
        TRY(look_up_user(launch));
    }
    TRY(give_pipes(launch.options.stdio, launch.host_uid, launch.host_gid));
    // From here no descriptor of an attached mount is open: through one, the container could clear
    // flags that its copies keep locked.

    // As late as can be: what we do ourselves is not the container's, but its init is a copy of us.
    if (launch.options.cgroup != nullptr) TRY(launch.options.cgroup->join_self());
    for (const std::string& file : launch.options.task_files) TRY(sys::write_existing(file, "0"));
    TRY(make_time_namespace(launch));
    TRY(join_namespaces(launch));
    InitArgument argument{launch, trees, sync};
    const std::uint64_t in_clone = launch.new_namespaces & ~sys::ns::bit(Kind::Time);
    sys::Cloned cloned = TRY(sys::clone_process(
        {.namespaces = in_clone, .parent = sys::Parent::Ours}, init_in_child, &argument));
    // Killed when it cannot be told of: the caller would wait for the end of one it does not know.
    sys::Process init(cloned.pid, std::move(cloned.pidfd));
    Report born;
    born.kind = ReportKind::Born;
    born.pid = init.pid();
    TRY(send_report(sync.get(), born));
    init.release();
    return {};
}

}  // namespace

void stage_in_child(void* argument) {
    StageArgument& stage = *static_cast<StageArgument*>(argument);
    // Held by us, it would hide the caller's death.
    stage.callers_sync.reset();
    const auto done = run_stage(stage.launch, stage.sync);
    if (!done) {
        static_cast<void>(send_report_in_child(stage.sync.get(), to_report(done.error())));
        ::_exit(1);
    }
    ::_exit(0);
}

}  // namespace coffer::runtime
