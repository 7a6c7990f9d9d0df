// Who we are: the container process itself, already the wanted user, in all its namespaces, with
// no_new_privs where asked, still holding what capabilities are permitted.
//
// Only async-signal-safe calls: no allocation, no locks, no logger. After the filter is loaded,
// every call here must be one that any sane profile allows: it is the reason for the order.
//
//   with no_new_privs     capabilities, filter, descriptors, execve
//   without               filter (needs CAP_SYS_ADMIN), capabilities, descriptors, execve

#include "runtime/exec_stage.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "runtime/sync.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

namespace {

constexpr unsigned kCloseRangeCloexec = 4;

[[noreturn]] void give_up(const ExecStage& stage, int error, const char* text) noexcept {
    Report report;
    report.sys_errno = error;
    report.append_errno = true;
    set_text(report, text);
    static_cast<void>(send_report_in_child(stage.report_fd, report));
    ::_exit(error == ENOENT ? 127 : 126);
}

void set_capabilities(const ExecStage& stage) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const auto low = [](sys::cred::CapSet set) { return static_cast<__u32>(set & 0xffffffffU); };
    const auto high = [](sys::cred::CapSet set) { return static_cast<__u32>(set >> 32U); };
    const __user_cap_data_struct data[2] = {
        {low(stage.effective), low(stage.permitted), low(stage.inheritable)},
        {high(stage.effective), high(stage.permitted), high(stage.inheritable)},
    };
    if (::syscall(SYS_capset, &header, data) != 0) give_up(stage, errno, "set capabilities");
    __user_cap_data_struct now[2] = {};
    // A filter that is loaded already may refuse to tell; capset itself is all or nothing.
    const bool told = ::syscall(SYS_capget, &header, now) == 0;
    for (int i = 0; told && i < 2; ++i) {
        if (now[i].effective != data[i].effective || now[i].permitted != data[i].permitted ||
            now[i].inheritable != data[i].inheritable) {
            give_up(stage, EPERM, "capabilities are not what was set");
        }
    }
    if (stage.ambient == 0) return;
    for (unsigned n = 0; n <= stage.last_capability; ++n) {
        if ((stage.ambient >> n & 1U) == 0) continue;
        if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) != 0) {
            give_up(stage, errno, "raise ambient capability");
        }
    }
}

void load_filter(const ExecStage& stage) noexcept {
    if (stage.bpf == nullptr) return;
    const int listener = sys::seccomp::load_in_child(stage.bpf, stage.bpf_size, stage.bpf_flags);
    if (listener < 0) give_up(stage, -listener, "load system call filter");
    if ((stage.bpf_flags & sys::seccomp::kNewListener) == 0) return;
    Report report;
    report.kind = ReportKind::Listener;
    if (!send_descriptor_in_child(stage.report_fd, report, listener)) {
        give_up(stage, errno, "send the listener of the system call filter");
    }
}

void reset_signals() noexcept {
    struct sigaction initial {};
    initial.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &initial, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

void execute_in_child(const ExecStage& stage) noexcept {
    reset_signals();
    if (!stage.no_new_privileges) load_filter(stage);
    set_capabilities(stage);
    // After the last change of credentials, which would clear it.
    if (stage.die_with_parent && ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        give_up(stage, errno, "set the death signal");
    }
    // Nothing but 0, 1, 2 and what was asked for reaches the program, whatever was opened on the
    // way.
    if (::syscall(SYS_close_range, 3U + stage.preserved_fds, ~0U, kCloseRangeCloexec) != 0) {
        give_up(stage, errno, "close descriptors");
    }
    if (stage.no_new_privileges) load_filter(stage);
    ::execve(stage.path, stage.argv, stage.envp);
    give_up(stage, errno, stage.failure_text);
}

}  // namespace coffer::runtime
