#include "runtime/talk.hpp"

#include <optional>

#include "runtime/sync.hpp"
#include "sys/clone.hpp"

namespace coffer::runtime {

// The reports of two children may overtake each other, and one that failed must still be known to
// be reaped: after a failure we read to the end of the stream.
Result<void> hear(int socket, Answers& answers) {
    std::optional<Error> failure;
    bool ready = false;
    while (failure || !ready || !answers.process) {
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
            case ReportKind::Console:
                answers.console = std::move(received->fd);
                break;
            case ReportKind::Ready:
                ready = true;
                break;
            case ReportKind::Start:
                return fail(Code::Internal, "an unexpected report from the child");
        }
    }
    if (failure) return fail(*std::move(failure));
    if (!ready) return fail(Code::Internal, "the child ended before it was ready");
    return {};
}

Result<void> send_start(int socket) {
    Report start;
    start.kind = ReportKind::Start;
    TRY(send_report(socket, start));
    const auto answer = TRY(receive_report(socket));
    if (answer) return fail(to_error(answer->report));
    return {};
}

std::vector<sys::cred::Rlimit> rlimits_of(const oci::Process& process) {
    std::vector<sys::cred::Rlimit> limits;
    for (const oci::Rlimit& limit : process.rlimits) {
        if (const auto number = sys::cred::rlimit_number(limit.type)) {
            limits.push_back({*number, limit.soft, limit.hard});
        }
    }
    return limits;
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
