// The caller's half of a start: see create.hpp and sync.hpp. We are root on the host and single
// threaded; nothing here changes our own namespaces or mounts.

#include "runtime/create.hpp"

#include <sys/socket.h>

#include "runtime/hooks.hpp"
#include "runtime/launch.hpp"
#include "runtime/talk.hpp"
#include "runtime/tuning.hpp"
#include "sys/clone.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

// Its namespaces and mounts are made, its root is not changed yet.
Result<void> while_init_waits(const oci::Spec& spec, const CreateOptions& options, int pid) {
    if (options.move_devices) TRY(options.move_devices(pid));
    if (!spec.hooks) return {};
    const oci::State state = hook_state(spec, options.id, options.bundle, pid, "creating");
    TRY(run_hooks("prestart", spec.hooks->prestart, state));
    return run_hooks("createRuntime", spec.hooks->create_runtime, state);
}

}  // namespace

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
    const auto up = hear(pair.ours.get(), answers,
                         [&](int pid) { return while_init_waits(spec, options, pid); });
    if (!up && options.cgroup != nullptr && options.cgroup->oom_kills().value_or(0) > 0) {
        return fail(Code::InvalidArgument,
                    "linux.resources.memory.limit: too small to start in: {}", up.error().message);
    }
    TRY(up);
    TRY(stage.wait());
    if (spec.process) TRY(tune_process(answers.process.pid(), *spec.process));
    Created created;
    created.pid = answers.process.pid();
    created.pidfd = TRY(sys::open_pidfd(created.pid));
    created.console = std::move(answers.console);
    created.sync = std::move(pair.ours);
    answers.process.release();
    return created;
}

Result<void> start(Created& created, const OnListener& on_listener) {
    const sys::Fd sync = std::move(created.sync);
    return send_start(sync.get(), on_listener);
}

Result<void> start_over_socket(const std::string& socket_path, const OnListener& on_listener) {
    const sys::Fd socket = TRY(sys::connect_unix(socket_path, SOCK_SEQPACKET));
    return send_start(socket.get(), on_listener);
}

int exit_status_of(const Error& error) {
    if (!error.message.starts_with("exec")) return 125;
    return error.sys_errno == ENOENT ? 127 : 126;
}

}  // namespace coffer::runtime
