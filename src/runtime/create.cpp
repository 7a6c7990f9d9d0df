// The caller's half of a start: see create.hpp and sync.hpp. We are root on the host and single
// threaded; nothing here changes our own namespaces or mounts.

#include "runtime/create.hpp"

#include <sys/socket.h>

#include "runtime/launch.hpp"
#include "runtime/talk.hpp"
#include "sys/clone.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

Result<Created> create(const oci::Spec& spec, const CreateOptions& options) {
    sys::assert_single_threaded();
    Launch launch = TRY(plan_launch(spec, options));
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    StageArgument argument{launch, pair.theirs, pair.ours};
    const sys::Fd group = options.cgroup == nullptr ? sys::Fd() : TRY(options.cgroup->clone_fd());
    sys::Cloned cloned =
        TRY(sys::clone_process({.cgroup_fd = group.get()}, stage_in_child, &argument));
    sys::Process stage(cloned.pid, std::move(cloned.pidfd));
    pair.theirs.reset();

    Answers answers;
    TRY(hear(pair.ours.get(), answers));
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
