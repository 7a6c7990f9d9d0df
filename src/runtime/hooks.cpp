#include "runtime/hooks.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>

#include "base/log.hpp"
#include "json/codec.hpp"
#include "sys/clone.hpp"
#include "sys/process.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

namespace {

constexpr std::chrono::hours kNoTimeout{24 * 7};
constexpr std::size_t kShownOutput = 1024;

std::chrono::milliseconds limit_of(const oci::Hook& hook) {
    return hook.timeout ? std::chrono::milliseconds(std::chrono::seconds(*hook.timeout))
                        : kNoTimeout;
}

Result<void> check_list(std::string_view kind, const std::vector<oci::Hook>& hooks) {
    for (std::size_t i = 0; i < hooks.size(); ++i) {
        const oci::Hook& hook = hooks[i];
        const auto bad = [&](std::string_view field, std::string_view why) {
            return fail(Code::InvalidArgument, "hooks.{}[{}].{} {}", kind, i, field, why);
        };
        const auto has_nul = [](const std::string& text) { return text.find('\0') != text.npos; };
        if (!hook.path.starts_with('/') || has_nul(hook.path)) {
            return bad("path", format("'{}' is not an absolute path", hook.path));
        }
        // Larger ones would not fit the clock.
        if (hook.timeout && (*hook.timeout <= 0 || *hook.timeout > 7 * 24 * 3600)) {
            return bad("timeout", format("of {} is not 1 to 604800 seconds", *hook.timeout));
        }
        for (const std::string& arg : hook.args) {
            if (has_nul(arg)) return bad("args", "has a NUL byte");
        }
        for (const std::string& entry : hook.env) {
            if (has_nul(entry) || !cut(entry, "=")) {
                return bad("env", format("entry '{}' is not NAME=value", entry));
            }
        }
    }
    return {};
}

Result<void> run_one(const oci::Hook& hook, const std::string& state) {
    sys::SpawnOptions options;
    options.path = hook.path;
    options.argv = hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args;
    options.env = hook.env;
    const sys::Output output = TRY(sys::run(options, state, limit_of(hook)));
    if (output.status == 0) return {};
    return fail(Code::Internal, "exit status {}: {}", output.status,
                to_utf8(trim(output.err + output.out).substr(0, kShownOutput)));
}

struct ConfinedHook {
    const Identity& identity;
    const ExecStage& stage;
    int state_fd;
};

void confined_hook_in_child(void* argument) {
    const ConfinedHook& hook = *static_cast<ConfinedHook*>(argument);
    if (::dup2(hook.state_fd, STDIN_FILENO) < 0 || !drop_in_child(hook.identity)) ::_exit(126);
    execute_in_child(hook.stage);
}

Result<void> run_confined(const oci::Hook& hook, const std::string& state, const Identity& identity,
                          ExecStage stage) {
    const sys::Fd input(::memfd_create("state", MFD_CLOEXEC));
    if (!input) return fail_errno("create memory file");
    TRY(sys::write_all(input.get(), state));
    if (::lseek(input.get(), 0, SEEK_SET) != 0) return fail_errno("rewind memory file");
    const std::vector<std::string> args =
        hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args;
    const std::vector<char*> argv = sys::pointers(args);
    const std::vector<char*> envp = sys::pointers(hook.env);
    stage.path = hook.path.c_str();
    stage.argv = argv.data();
    stage.envp = envp.data();
    stage.report_fd = -1;
    stage.die_with_parent = true;
    stage.preserved_fds = 0;
    // Nobody decides for a hook: calls that would be notified fail in it.
    stage.bpf_flags &= ~sys::seccomp::kNewListener;
    ConfinedHook argument{identity, stage, input.get()};
    sys::Cloned cloned = TRY(sys::clone_process({}, confined_hook_in_child, &argument));
    sys::Process process(cloned.pid, std::move(cloned.pidfd));
    const auto status = TRY(process.wait(limit_of(hook)));
    if (!status) {
        return fail(Code::Unavailable, "did not end within {} ms", limit_of(hook).count());
    }
    if (*status != 0) return fail(Code::Internal, "exit status {}", *status);
    return {};
}

template <class Run>
Result<void> each(std::string_view kind, const std::vector<oci::Hook>& hooks, const Run& run) {
    for (std::size_t i = 0; i < hooks.size(); ++i) {
        TRY_CONTEXT(run(hooks[i]), "hook {}[{}] '{}'", kind, i, hooks[i].path);
    }
    return {};
}

}  // namespace

Result<void> check_hooks(const oci::Hooks& hooks) {
    TRY(check_list("prestart", hooks.prestart));
    TRY(check_list("createRuntime", hooks.create_runtime));
    TRY(check_list("createContainer", hooks.create_container));
    TRY(check_list("startContainer", hooks.start_container));
    TRY(check_list("poststart", hooks.poststart));
    return check_list("poststop", hooks.poststop);
}

oci::State hook_state(const oci::Spec& spec, const std::string& id, const std::string& bundle,
                      int pid, const char* status) {
    return {spec.oci_version, id, status, pid, bundle, spec.annotations};
}

Result<void> run_hooks(std::string_view kind, const std::vector<oci::Hook>& hooks,
                       const oci::State& state) {
    const std::string text = json::encode(state);
    return each(kind, hooks, [&](const oci::Hook& hook) { return run_one(hook, text); });
}

void run_poststop_hooks(const oci::Spec& spec, const oci::State& state) {
    if (!spec.hooks) return;
    for (const oci::Hook& hook : spec.hooks->poststop) {
        const auto done = run_hooks("poststop", {hook}, state);
        if (!done) LOG_WARN("{}", done.error().message);
    }
}

Result<void> run_hooks_in_child(const std::vector<oci::Hook>& hooks, const oci::State& state,
                                const Identity& identity, const ExecStage& stage) {
    const std::string text = json::encode(state);
    return each("startContainer", hooks,
                [&](const oci::Hook& hook) { return run_confined(hook, text, identity, stage); });
}

}  // namespace coffer::runtime
