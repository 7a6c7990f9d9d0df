#include "runtime/talk.hpp"

#include <sys/socket.h>

#include <optional>

#include "runtime/sync.hpp"
#include "sys/clone.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

// The reports of two children may overtake each other, and one that failed must still be known to
// be reaped: after a failure we read to the end of the stream.
Result<void> hear(int socket, Answers& answers, const AtHooks& at_hooks) {
    std::optional<Error> failure;
    bool ready = false;
    bool hooks = false;
    while (failure || !ready || !answers.process) {
        if (hooks && answers.process && !failure) {
            hooks = false;
            const int pid = answers.process.pid();
            if (const auto done = at_hooks ? at_hooks(pid) : Result<void>(); done) {
                Report proceed;
                proceed.kind = ReportKind::Proceed;
                proceed.pid = pid;
                TRY(send_report(socket, proceed));
            } else {
                failure = done.error();
                ::shutdown(socket, SHUT_WR);
            }
        }
        auto received = TRY(receive_report(socket));
        if (!received) break;
        switch (received->report.kind) {
            case ReportKind::Failed:
                if (!failure) failure = to_error(received->report);
                break;
            case ReportKind::Born:
                answers.process =
                    sys::Process(received->report.pid, TRY(sys::open_pidfd(received->report.pid)));
                break;
            case ReportKind::Hooks:
                hooks = true;
                break;
            case ReportKind::Console:
                answers.console = std::move(received->fd);
                break;
            case ReportKind::Ready:
                ready = true;
                break;
            case ReportKind::Proceed:
            case ReportKind::Start:
            case ReportKind::Listener:
                return fail(Code::Internal, "an unexpected report from the child");
        }
    }
    if (failure) return fail(*std::move(failure));
    if (!ready) return fail(Code::Internal, "the child ended before it was ready");
    return {};
}

Result<void> send_start(int socket, const OnListener& on_listener) {
    Report start;
    start.kind = ReportKind::Start;
    TRY(send_report(socket, start));
    for (;;) {
        auto answer = TRY(receive_report(socket));
        if (!answer) return {};
        if (answer->report.kind != ReportKind::Listener) return fail(to_error(answer->report));
        if (!on_listener) {
            return fail(Code::InvalidArgument,
                        "nobody takes the listener of the system call filter");
        }
        TRY(on_listener(std::move(answer->fd)));
    }
}

Result<int> pid_of(int pidfd) {
    const std::string text = TRY(sys::read_file(format("/proc/self/fdinfo/{}", pidfd), 4096));
    for (const std::string& line : split(text, '\n')) {
        if (!line.starts_with("Pid:")) continue;
        const auto pid = parse_int(trim(std::string_view(line).substr(4)));
        if (pid && *pid > 0) return static_cast<int>(*pid);
    }
    return fail(Code::NotFound, "the container's init has ended");
}

ExecStage exec_stage_of(const Identity& identity, const Program& program, const std::string& bpf,
                        unsigned bpf_flags, int report_fd, const std::string& failure_text) {
    return {.path = program.path.c_str(),
            .argv = program.argv.data(),
            .envp = program.envp.data(),
            .bpf = bpf.empty() ? nullptr : bpf.data(),
            .bpf_size = bpf.size(),
            .bpf_flags = bpf_flags,
            .no_new_privileges = identity.no_new_privileges,
            .effective = identity.capabilities.effective,
            .permitted = identity.capabilities.permitted,
            .inheritable = identity.capabilities.inheritable,
            .ambient = identity.capabilities.ambient,
            .last_capability = sys::cred::last_capability(),
            .report_fd = report_fd,
            .failure_text = failure_text.c_str()};
}

}  // namespace coffer::runtime
