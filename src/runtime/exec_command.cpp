#include <fcntl.h>
#include <unistd.h>

#include "json/codec.hpp"
#include "runtime/commands.hpp"
#include "runtime/exec.hpp"
#include "runtime/listener.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/seccomp_cache.hpp"
#include "runtime/seccomp_profile.hpp"
#include "runtime/terminal.hpp"
#include "sys/clone.hpp"

namespace coffer::runtime {

namespace {

constexpr std::size_t kProcessLimit = 16U << 20U;

const std::vector<Flag> kExecFlags = {
    {"console-socket", '\0', true},
    {"cwd", '\0', true},
    {"env", 'e', true},
    {"tty", 't', false},
    {"user", 'u', true},
    {"additional-gids", 'g', true},
    {"process", 'p', true},
    {"detach", 'd', false},
    {"pid-file", '\0', true},
    {"process-label", '\0', true},
    {"apparmor", '\0', true},
    {"no-new-privs", '\0', false},
    {"cap", 'c', true},
    {"preserve-fds", '\0', true},
    {"cgroup", '\0', true},
    {"ignore-paused", '\0', false},
    {"no-subreaper", '\0', false},
};

Result<std::uint32_t> parse_id(std::string_view text) {
    const auto id = parse_uint(text);
    if (!id || *id > 2147483647) {
        return fail(Code::InvalidArgument, "'{}' is not a numeric id", text);
    }
    return static_cast<std::uint32_t>(*id);
}

// The container's own process, changed by the flags, or the one given as a file.
Result<oci::Process> make_process(const Args& args, const oci::Spec& spec) {
    if (args.has("process")) {
        // May be a pipe: containerd and podman give files, people give <(...).
        const std::string text = TRY(sys::read_file(args.get("process"), kProcessLimit));
        return json::decode<oci::Process>(text);
    }
    if (args.rest.size() < 2) {
        return fail(Code::InvalidArgument, "process args cannot be empty");
    }
    if (!spec.process) return fail(Code::InvalidArgument, "the container's spec has no process");
    oci::Process process = *spec.process;
    process.args.assign(args.rest.begin() + 1, args.rest.end());
    process.terminal = args.has("tty");
    process.console_size = own_window_size();
    if (args.has("cwd")) process.cwd = args.get("cwd");
    for (const std::string& entry : args.all("env")) process.env.push_back(entry);
    if (args.has("no-new-privs")) process.no_new_privileges = true;
    if (args.has("apparmor")) process.apparmor_profile = args.get("apparmor");
    if (args.has("process-label")) process.selinux_label = args.get("process-label");
    for (const std::string& cap : args.all("cap")) {
        if (!process.capabilities) process.capabilities.emplace();
        process.capabilities->bounding.push_back(cap);
        process.capabilities->effective.push_back(cap);
        process.capabilities->permitted.push_back(cap);
    }
    if (args.has("user")) {
        const std::string user = args.get("user");
        const auto parts = cut(user, ":");
        process.user.uid = TRY(parse_id(parts ? parts->first : std::string_view(user)));
        if (parts) process.user.gid = TRY(parse_id(parts->second));
    }
    for (const std::string& gid : args.all("additional-gids")) {
        process.user.additional_gids.push_back(TRY(parse_id(gid)));
    }
    return process;
}

// The container's group, or the one that --cgroup names below it.
Result<sys::cgroup::Cgroup> group_of(const Args& args, const State& state) {
    if (state.cgroup_path.empty()) {
        if (!args.has("cgroup")) return sys::cgroup::Cgroup();
        return fail(Code::InvalidArgument, "--cgroup: container '{}' has no control group",
                    state.id);
    }
    const std::string below = args.get("cgroup");
    if (below.find(':') != std::string::npos) {
        return fail(Code::NotImplemented, "--cgroup '{}': a controller is not supported", below);
    }
    const std::string path =
        below.empty() ? state.cgroup_path : state.cgroup_path + clean_path(below);
    return TRY_CONTEXT(sys::cgroup::Cgroup::open(path), "join '{}'", path);
}

}  // namespace

Result<int> exec_command(const Containers& containers, const Words& words) {
    const Args args = TRY(parse_args(words, kExecFlags));
    const unsigned preserved = TRY(preserved_fds(args));
    if (args.rest.empty()) return fail(Code::InvalidArgument, "exec: a container id is needed");
    const Inspection container = TRY(containers.inspect(args.rest[0]));
    if (container.status == Status::Paused && !args.has("ignore-paused")) {
        return fail(Code::Conflict,
                    "cannot exec in a paused container (use --ignore-paused to override)");
    }
    if (container.status != Status::Running && container.status != Status::Paused) {
        return fail(Code::Conflict, "cannot exec in a {} container", to_text(container.status));
    }
    const oci::Spec spec = TRY(containers.spec_of(container.state.id));
    oci::Process process = TRY(make_process(args, spec));
    for (std::string& entry : listen_environment()) process.env.push_back(std::move(entry));
    const bool detach = args.has("detach");
    const std::string console_socket = args.get("console-socket");
    if (process.terminal && detach && console_socket.empty()) {
        return fail(Code::InvalidArgument,
                    "cannot allocate tty if runc will detach without setting console socket");
    }
    ExecOptions options;
    options.stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    if (spec.linux && spec.linux->seccomp) {
        options.seccomp_bpf = TRY(cached_filter(containers.filters(), *spec.linux->seccomp));
        options.seccomp_flags = TRY(seccomp_flags_of(*spec.linux->seccomp));
    }
    const auto cgroup = TRY(group_of(args, container.state));
    if (cgroup) options.cgroup = &cgroup;
    options.linux = spec.linux ? &*spec.linux : nullptr;
    options.preserved_fds = preserved;
    options.on_listener = listener_sender(spec, container.state);
    const sys::Fd pidfd = TRY(sys::open_pidfd(container.state.pid));
    if (live_start_time(container.state.pid) != container.state.pid_start_time) {
        return fail(Code::NotFound, "container not running");
    }
    Executed executed = TRY(runtime::exec(pidfd.get(), process, options));
    if (!args.get("pid-file").empty()) TRY(write_pid_file(args.get("pid-file"), executed.pid));
    if (executed.console && !console_socket.empty()) {
        TRY(send_console(console_socket, executed.console.get()));
        executed.console.reset();
    }
    if (detach) return 0;
    Created foreground;
    foreground.pid = executed.pid;
    foreground.pidfd = std::move(executed.pidfd);
    foreground.console = std::move(executed.console);
    return attend(foreground);
}

}  // namespace coffer::runtime
