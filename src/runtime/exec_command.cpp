#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

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

// What --cgroup asks for: "path" or "controller[,controller...]:path", below the container's group.
struct Groups {
    sys::cgroup::Cgroup whole;
    std::vector<std::string> task_files;  // of single controllers, entered after it
};

Result<void> add_controllers(const State& state, std::string_view controllers,
                             const std::string& below, Groups& groups) {
    const sys::cgroup::Layout& layout = sys::cgroup::host_layout();
    if (layout.version != 1) {
        return fail(Code::InvalidArgument,
                    "--cgroup '{}:{}': controllers share one path on cgroup v2", controllers,
                    below);
    }
    for (const std::string& controller : split(controllers, ',')) {
        const auto place =
            std::find_if(layout.v1.begin(), layout.v1.end(), [&](const auto& hierarchy) {
                const auto& names = hierarchy.controllers;
                return std::find(names.begin(), names.end(), controller) != names.end();
            });
        if (place == layout.v1.end()) {
            return fail(Code::InvalidArgument, "--cgroup: controller '{}' is not mounted",
                        controller);
        }
        const std::string folder =
            sys::cgroup::folder_of(*place, state.cgroup_path + clean_path(below));
        if (!sys::exists(folder)) return fail(Code::NotFound, "--cgroup: no cgroup '{}'", folder);
        groups.task_files.push_back(folder + "/tasks");
    }
    return {};
}

Result<Groups> groups_of(const Args& args, const State& state) {
    Groups groups;
    if (state.cgroup_path.empty()) {
        if (!args.has("cgroup")) return groups;
        return fail(Code::InvalidArgument, "--cgroup: container '{}' has no control group",
                    state.id);
    }
    std::string path = state.cgroup_path;
    for (const std::string& word : args.all("cgroup")) {
        if (const auto parts = cut(word, ":")) {
            TRY(add_controllers(state, parts->first, std::string(parts->second), groups));
        } else if (clean_path(word) != "/") {
            path = state.cgroup_path + clean_path(word);
        }
    }
    groups.whole = TRY_CONTEXT(sys::cgroup::Cgroup::open(path), "join '{}'", path);
    return groups;
}

}  // namespace

Result<int> exec_command(const Containers& containers, const Args& args) {
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
    const Groups groups = TRY(groups_of(args, container.state));
    if (groups.whole) options.cgroup = &groups.whole;
    options.task_files = groups.task_files;
    if (!container.state.resctrl.folder.empty()) {
        for (std::string& file : container.state.resctrl.task_files()) {
            options.task_files.push_back(std::move(file));
        }
    }
    options.linux = spec.linux ? &*spec.linux : nullptr;
    options.preserved_fds = preserved;
    options.on_listener = listener_sender(spec, container.state);
    const sys::Fd pidfd = TRY(sys::open_pidfd(container.state.pid));
    if (live_start_time(container.state.pid) != container.state.pid_start_time) {
        return fail(Code::NotFound, "container not running");
    }
    const sys::Fd signals = detach ? sys::Fd() : TRY(watch_signals());
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
    return attend(foreground, signals);
}

}  // namespace coffer::runtime
