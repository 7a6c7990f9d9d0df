// Who we are: container init, process 1 where the pid namespace is new, root in the container's
// user namespace, a child of the caller. In all namespaces of the container; the mounts are a
// locked copy of the stage's. We hold full capabilities *in that user namespace* only, and copies
// of the caller's descriptors, which are closed before we say that we are ready.
//
//   identity       session, host name, loopback
//   file systems   enter_rootfs_in_child (inside.cpp), with kernel parameters
//   program        working folder and program found, so that create can say what is wrong
//   Ready          wait for the start
//   drop           identity.cpp, then exec_stage.cpp

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "runtime/exec_stage.hpp"
#include "runtime/hooks.hpp"
#include "runtime/inside.hpp"
#include "runtime/labels.hpp"
#include "runtime/launch.hpp"
#include "runtime/program.hpp"
#include "runtime/sync.hpp"
#include "runtime/talk.hpp"
#include "runtime/tuning.hpp"

namespace coffer::runtime {

namespace {

Result<void> set_names(const oci::Spec& spec) {
    if (!spec.hostname.empty() && ::sethostname(spec.hostname.c_str(), spec.hostname.size()) != 0) {
        return fail_errno("set host name '{}'", spec.hostname);
    }
    if (!spec.domainname.empty() &&
        ::setdomainname(spec.domainname.c_str(), spec.domainname.size()) != 0) {
        return fail_errno("set domain name '{}'", spec.domainname);
    }
    return {};
}

// Everything above 2 but these.
Result<void> close_all_but(std::vector<int> kept) {
    kept.push_back(2);
    std::sort(kept.begin(), kept.end());
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i] < 2) continue;
        const unsigned first = static_cast<unsigned>(kept[i]) + 1;
        const unsigned last = i + 1 < kept.size() ? static_cast<unsigned>(kept[i + 1]) - 1 : ~0U;
        if (first <= last && ::syscall(SYS_close_range, first, last, 0) != 0) {
            return fail_errno("close descriptors");
        }
    }
    return {};
}

// Blocks until the start is given; the result is where a failure of execve is reported.
Result<int> wait_for_start(int sync_fd, int listener_fd) {
    int channel = sync_fd;
    if (listener_fd >= 0) {
        do {
            channel = ::accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
        } while (channel < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (channel < 0) return fail_errno("wait for the start");
    }
    const auto received = TRY(receive_report(channel));
    if (!received || received->report.kind != ReportKind::Start) {
        return fail(Code::Cancelled, "the container was not started");
    }
    return channel;
}

// The caller's hooks run meanwhile; the result is our pid as it sees us.
Result<int> await_hooks(int sync_fd) {
    Report report;
    report.kind = ReportKind::Hooks;
    TRY(send_report(sync_fd, report));
    const auto proceed = TRY(receive_report(sync_fd));
    if (!proceed || proceed->report.kind != ReportKind::Proceed) {
        return fail(Code::Cancelled, "the caller has gone");
    }
    return proceed->report.pid;
}

Result<void> report_ready(int sync_fd, Inside& inside) {
    Report report;
    if (inside.terminal) {
        report.kind = ReportKind::Console;
        TRY(send_report(sync_fd, report, inside.terminal->master.get()));
        inside.terminal.reset();
    }
    report.kind = ReportKind::Ready;
    return send_report(sync_fd, report);
}

// Where an error goes: the caller of create, later the caller of start.
struct Channel {
    int fd;
};

Result<void> run_init(InitArgument& argument, Channel& channel) {
    Launch& launch = argument.launch;
    const oci::Spec& spec = launch.spec;
    const int sync_fd = argument.sync.get();
    const int listener_fd = launch.options.start_listener_fd;
    ::signal(SIGPIPE, SIG_IGN);
    if (::setsid() < 0) return fail_errno("start session");
    TRY(set_names(spec));
    if (launch.new_network) TRY(sys::ns::loopback_up());

    int own_pid = 0;  // as the caller sees us
    InsideRequest request{spec,
                          launch.mounts,
                          argument.trees.mounts,
                          launch.options.stdio,
                          launch.identity ? launch.identity->ids.uid : 0,
                          bool(launch.userns) && !launch.userns_first,
                          argument.trees.mask_folder,
                          launch.options.no_pivot,
                          launch.mount_ns.get(),
                          {},
                          {}};
    if (spec.hooks || launch.options.move_devices) {
        request.with_mounts = [&]() -> Result<void> {
            own_pid = TRY(await_hooks(sync_fd));
            return {};
        };
    }
    if (spec.hooks) {
        request.before_pivot = [&] {
            return run_hooks(
                "createContainer", spec.hooks->create_container,
                hook_state(spec, launch.options.id, launch.options.bundle, own_pid, "creating"));
        };
    }
    Inside inside = TRY(enter_rootfs_in_child(request));
    std::optional<Program> program;
    if (spec.process) program = TRY(prepare_program(*spec.process, launch.identity->ids.uid));
    TRY(report_ready(sync_fd, inside));
    std::vector<int> kept = {sync_fd};
    for (unsigned i = 0; i < launch.options.preserved_fds; ++i) {
        kept.push_back(static_cast<int>(3 + i));
    }
    if (launch.host_proc) kept.push_back(launch.host_proc.get());
    if (listener_fd >= 0) kept.push_back(listener_fd);
    TRY(close_all_but(std::move(kept)));

    channel.fd = TRY(wait_for_start(sync_fd, listener_fd));
    if (!program) return fail(Code::InvalidArgument, "cannot start a container without process");
    TRY(tune_self_in_child(*spec.linux));
    const std::string failure = "exec " + program->path;
    ExecStage stage = exec_stage_of(*launch.identity, *program, launch.options.seccomp_bpf,
                                    launch.seccomp_flags, channel.fd, failure);
    stage.die_with_parent = launch.options.die_with_parent;
    stage.preserved_fds = launch.options.preserved_fds;
    if (spec.hooks) {
        TRY(run_hooks_in_child(
            spec.hooks->start_container,
            hook_state(spec, launch.options.id, launch.options.bundle, own_pid, "created"),
            *launch.identity, stage));
    }
    if (launch.host_proc) {
        TRY(set_label_in_child(launch.host_proc, *spec.process));
        launch.host_proc.reset();
    }
    TRY(drop_in_child(*launch.identity));
    execute_in_child(stage);
}

}  // namespace

void init_in_child(void* argument) {
    InitArgument& init = *static_cast<InitArgument*>(argument);
    Channel channel{init.sync.get()};
    const auto failed = run_init(init, channel);
    static_cast<void>(send_report_in_child(channel.fd, to_report(failed.error())));
    ::_exit(exit_status_of(failed.error()));
}

}  // namespace coffer::runtime
