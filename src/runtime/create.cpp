// The caller's half of a start: see create.hpp and sync.hpp. We are root on the host and single
// threaded; nothing here changes our own namespaces or mounts.

#include "runtime/create.hpp"

#include <sys/socket.h>

#include "runtime/launch.hpp"
#include "runtime/sync.hpp"
#include "sys/clone.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

// What the child said until it was ready, or until it executed.
struct Answers {
    sys::Process process;
    sys::Fd console;
    bool ready = false;
};

// Reads until the child is born and ready, or to the end of the stream: the reports of the stage
// and of init may overtake each other, and a child that failed must still be known to be reaped.
Result<void> hear(int socket, Answers& answers) {
    std::optional<Error> failure;
    while (failure || !answers.ready || !answers.process) {
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
                answers.ready = true;
                break;
            case ReportKind::Proceed:
            case ReportKind::Start:
                return fail(Code::Internal, "an unexpected report from the child");
        }
    }
    if (failure) return fail(*std::move(failure));
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

}  // namespace

Result<Created> create(const oci::Spec& spec, const CreateOptions& options) {
    sys::assert_single_threaded();
    Launch launch = TRY(plan_launch(spec, options));
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    StageArgument argument{launch, pair.theirs};
    sys::Cloned cloned = TRY(sys::clone_process({}, stage_in_child, &argument));
    sys::Process stage(cloned.pid, std::move(cloned.pidfd));
    pair.theirs.reset();

    // Meanwhile the stage assembles the root file system; joining v1 groups takes as long.
    if (options.cgroup != nullptr) TRY(options.cgroup->add_process(stage.pid()));
    Report proceed;
    proceed.kind = ReportKind::Proceed;
    // A stage that has failed has said why: that is the error to hear, not the broken pipe.
    ignore(send_report(pair.ours.get(), proceed), "the answer says more");
    Answers answers;
    TRY(hear(pair.ours.get(), answers));
    if (!answers.ready || !answers.process) {
        return fail(Code::Internal, "the container's init ended before it was ready");
    }
    TRY(stage.wait());
    for (const sys::cred::Rlimit& limit : launch.rlimits) {
        TRY(sys::cred::set_rlimit(answers.process.pid(), limit));
    }
    Created created;
    created.pid = answers.process.pid();
    created.pidfd = TRY(sys::open_pidfd(created.pid));
    created.console = std::move(answers.console);
    created.sync = std::move(pair.ours);
    answers.process.release();
    return created;
}

Result<void> start(Created& created) {
    const sys::Fd sync = std::move(created.sync);
    return send_start(sync.get());
}

Result<void> start_over_socket(const std::string& socket_path) {
    const sys::Fd socket = TRY(sys::connect_unix(socket_path, SOCK_SEQPACKET));
    return send_start(socket.get());
}

int exit_status_of(const Error& error) {
    if (!error.message.starts_with("exec")) return 125;
    return error.sys_errno == ENOENT ? 127 : 126;
}

}  // namespace coffer::runtime
