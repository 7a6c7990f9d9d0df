// exec: the caller, a joiner, and the process that executes.
//
//   caller ── clone ──> joiner                    ── clone3(CLONE_PARENT) ──> process
//             its cgroup is the container's           a child of the caller, in all namespaces
//             not dumpable before it joins anything
//             setns(pidfd): all but the user namespace, then that
//
// The joiner looks at nothing inside: it makes system calls on descriptors only. The process drops
// to the wanted identity before it touches a name, but for its working folder and its terminal,
// which it looks up with no more rights than the container's root has.

#include "runtime/exec.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "runtime/exec_stage.hpp"
#include "runtime/identity.hpp"
#include "runtime/labels.hpp"
#include "runtime/program.hpp"
#include "runtime/spec_check.hpp"
#include "runtime/sync.hpp"
#include "runtime/talk.hpp"
#include "runtime/terminal.hpp"
#include "runtime/tuning.hpp"
#include "runtime/user.hpp"
#include "sys/clone.hpp"
#include "sys/landlock.hpp"
#include "sys/namespace.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

using sys::ns::Kind;

struct Plan {
    const oci::Process& process;
    const ExecOptions& options;
    int container_pidfd;
    Identity identity;
    std::uint64_t joined = 0;  // of ns::bit(), without user
    bool join_user = false;
    std::uint32_t host_uid = 0;
    std::uint32_t host_gid = 0;
};

struct ChildArgument {
    Plan& plan;
    sys::Fd& sync;
    sys::Fd& callers_sync;
    sys::Fd host_proc;  // opened by the joiner where a label is wanted
};

Result<void> run_process(ChildArgument& argument) {
    const Plan& plan = argument.plan;
    const oci::Process& process = plan.process;
    ::signal(SIGPIPE, SIG_IGN);
    if (plan.join_user) TRY(sys::ns::become_root());
    if (::setsid() < 0) return fail_errno("start session");
    {
        const sys::RootedDir root = TRY(sys::RootedDir::open("/"));
        if (process.terminal) {
            Terminal terminal =
                TRY(open_terminal_in_child(root, plan.identity.ids.uid, process.console_size));
            TRY(take_terminal_in_child(terminal));
            Report console;
            console.kind = ReportKind::Console;
            TRY(send_report(argument.sync.get(), console, terminal.master.get()));
        } else {
            TRY(take_stdio_in_child(root, plan.options.stdio));
        }
    }
    const Program program = TRY(prepare_program(process, plan.identity.ids.uid));
    Report ready;
    ready.kind = ReportKind::Ready;
    TRY(send_report(argument.sync.get(), ready));
    const auto start = TRY(receive_report(argument.sync.get()));
    if (!start || start->report.kind != ReportKind::Start) {
        return fail(Code::Cancelled, "the caller has gone");
    }
    if (plan.options.linux != nullptr) TRY(tune_self_in_child(*plan.options.linux));
    if (argument.host_proc) TRY(set_label_in_child(argument.host_proc, process));
    TRY(drop_in_child(plan.identity));
    const std::string failure = "exec " + program.path;
    ExecStage stage = exec_stage_of(plan.identity, program, plan.options.seccomp_bpf,
                                    plan.options.seccomp_flags, argument.sync.get(), failure);
    stage.die_with_parent = plan.options.die_with_parent;
    stage.preserved_fds = plan.options.preserved_fds;
    execute_in_child(stage);
}

void process_in_child(void* argument) {
    ChildArgument& child = *static_cast<ChildArgument*>(argument);
    const auto failed = run_process(child);
    static_cast<void>(send_report_in_child(child.sync.get(), to_report(failed.error())));
    ::_exit(exit_status_of(failed.error()));
}

Result<void> run_joiner(ChildArgument& argument) {
    const Plan& plan = argument.plan;
    if (wants_label(plan.process)) argument.host_proc = TRY(open_host_proc());
    // Before we are visible to anybody inside.
    TRY(sys::cred::set_not_dumpable());
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::geteuid() == 0) {
        TRY(give_pipes(plan.options.stdio, plan.host_uid, plan.host_gid));
    }
    if (plan.process.oom_score_adj) {
        TRY(sys::write_existing("/proc/self/oom_score_adj",
                                format("{}", *plan.process.oom_score_adj)));
    }
    TRY(set_exec_affinity(0, plan.process, AffinityPhase::Initial));
    if (plan.options.cgroup != nullptr) TRY(plan.options.cgroup->join_self());
    for (const std::string& file : plan.options.task_files) TRY(sys::write_existing(file, "0"));
    // Network and other namespaces may belong to other user namespaces than the container's: they
    // are joined while we still have rights in all of them.
    const bool unprivileged = ::geteuid() != 0;
    if (plan.join_user && unprivileged) {
        // Not root here: rights in the others come with the user namespace.
        const auto all = static_cast<int>(plan.joined | sys::ns::bit(Kind::User));
        if (::setns(plan.container_pidfd, all) != 0) {
            return fail_errno("join the namespaces of the container");
        }
    } else if (plan.joined != 0 &&
               ::setns(plan.container_pidfd, static_cast<int>(plan.joined)) != 0) {
        return fail_errno("join the namespaces of the container");
    }
    if (plan.join_user && !unprivileged && ::setns(plan.container_pidfd, CLONE_NEWUSER) != 0) {
        return fail_errno("join the user namespace of the container");
    }
    sys::Cloned cloned =
        TRY(sys::clone_process({.parent = sys::Parent::Ours}, process_in_child, &argument));
    // Killed when it cannot be told of: the caller would wait for the end of one it does not know.
    sys::Process child(cloned.pid, std::move(cloned.pidfd));
    Report born;
    born.kind = ReportKind::Born;
    born.pid = child.pid();
    TRY(send_report(argument.sync.get(), born));
    child.release();
    return {};
}

void joiner_in_child(void* argument) {
    ChildArgument& child = *static_cast<ChildArgument*>(argument);
    // Held by us, it would hide the caller's death.
    child.callers_sync.reset();
    const auto done = run_joiner(child);
    if (!done) {
        static_cast<void>(send_report_in_child(child.sync.get(), to_report(done.error())));
        ::_exit(1);
    }
    ::_exit(0);
}

Result<Plan> plan_exec(int pidfd, const oci::Process& process, const ExecOptions& options) {
    TRY(check_process(process));
    Plan plan{process, options, pidfd, {}, 0, false, 0, 0};
    const int pid = TRY(pid_of(pidfd));
    const sys::Fd their_users = TRY(sys::ns::open_of(pid, Kind::User));
    const sys::Fd our_users = TRY(sys::ns::open_self(Kind::User));
    plan.join_user = !TRY(sys::ns::same(their_users.get(), our_users.get()));
    const auto grantable =
        plan.join_user ? sys::cred::all_capabilities() : TRY(sys::cred::permitted_capabilities());
    plan.identity = TRY(plan_identity(process, grantable));
    if (!options.user.empty() || !options.groups.empty()) {
        const sys::RootedDir root = TRY(sys::RootedDir::open(format("/proc/{}/root", pid)));
        ProcessUser user = TRY(find_user(root, options.user, options.groups));
        plan.identity.ids = {user.uid, user.gid, std::move(user.groups)};
    }
    plan.host_uid = plan.identity.ids.uid;
    plan.host_gid = plan.identity.ids.gid;
    for (const Kind kind : sys::ns::kAllKinds) {
        if (kind == Kind::User) continue;
        const sys::Fd theirs = TRY(sys::ns::open_of(pid, kind));
        const sys::Fd ours = TRY(sys::ns::open_self(kind));
        const bool shared = TRY(sys::ns::same(theirs.get(), ours.get()));
        if (shared) {
            // What keeps the container in, where it shares with the host, keeps this in too.
            if (kind == Kind::Pid) plan.identity.scopes |= sys::landlock::kSignals;
            if (kind == Kind::Network) plan.identity.scopes |= sys::landlock::kAbstractSockets;
        } else {
            plan.joined |= sys::ns::bit(kind);
        }
    }
    if (plan.join_user) {
        const sys::ns::UserMaps maps = TRY(sys::ns::read_maps(format("{}", pid)));
        plan.host_uid = TRY(sys::ns::map_id(maps.uids, plan.identity.ids.uid));
        plan.host_gid = TRY(sys::ns::map_id(maps.gids, plan.identity.ids.gid));
    }
    return plan;
}

}  // namespace

Result<Executed> exec(int container_pidfd, const oci::Process& process,
                      const ExecOptions& options) {
    sys::assert_single_threaded();
    Plan plan = TRY(plan_exec(container_pidfd, process, options));
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    ChildArgument argument{plan, pair.theirs, pair.ours, {}};
    sys::Fd group = options.cgroup == nullptr ? sys::Fd() : TRY(options.cgroup->clone_fd());
    auto cloned = sys::clone_process({.cgroup_fd = group.get()}, joiner_in_child, &argument);
    if (!cloned && group && cloned.error().sys_errno == EBUSY) {
        // The container has made groups of its own: where its first process is, others may be.
        const int first = TRY(pid_of(container_pidfd));
        group = TRY(options.cgroup->clone_fd_of(first));
        cloned = sys::clone_process({.cgroup_fd = group.get()}, joiner_in_child, &argument);
    }
    if (!cloned) return fail(cloned.error());
    sys::Process joiner(cloned->pid, std::move(cloned->pidfd));
    pair.theirs.reset();
    Answers answers;
    TRY(hear(pair.ours.get(), answers));
    TRY(joiner.wait());
    TRY(set_exec_affinity(answers.process.pid(), process, AffinityPhase::Final));
    TRY(tune_process(answers.process.pid(), process));
    TRY(send_start(pair.ours.get(), options.on_listener));
    Executed executed;
    executed.pid = answers.process.pid();
    executed.pidfd = TRY(sys::open_pidfd(executed.pid));
    executed.console = std::move(answers.console);
    answers.process.release();
    return executed;
}

}  // namespace coffer::runtime
