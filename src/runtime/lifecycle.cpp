#include "runtime/lifecycle.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>

#include "base/rollback.hpp"
#include "base/time.hpp"
#include "json/codec.hpp"
#include "runtime/seccomp_cache.hpp"
#include "runtime/terminal.hpp"
#include "sys/clone.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

constexpr std::size_t kSpecLimit = 16U << 20U;
constexpr std::chrono::seconds kDeathLimit{10};

// systemd's "slice:prefix:name" is for a cgroup driver that we do not have.
Result<std::string> cgroup_path(const oci::Spec& spec, const std::string& id) {
    const std::string path = spec.linux ? spec.linux->cgroups_path : std::string();
    if (path.empty()) return "/coffer-oci/" + id;
    if (path.find(':') != std::string::npos) {
        return fail(Code::NotImplemented, "the systemd cgroup path '{}' is not supported", path);
    }
    return path;
}

// Made with a container and kept for it, or undone.
struct Making {
    StateFolder folder;
    State state;
    sys::cgroup::Cgroup cgroup;
    Created created;
    bool kept = false;

    explicit Making(StateFolder made) : folder(std::move(made)) {}
    ~Making() {
        if (kept) return;
        if (created.pidfd) {
            sys::Process(created.pid, std::move(created.pidfd)).reset();
        }
        cgroup = {};
        ignore(folder.remove(), "the error that brought us here matters more");
    }
    Making(Making&&) = default;
    Making& operator=(Making&&) = delete;
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;
};

// The live process of a container, or why there is none.
Result<sys::Fd> open_process(const Inspection& container) {
    const State& state = container.state;
    if (container.status == Status::Stopped || container.status == Status::Creating) {
        return fail(Code::NotFound, "container not running");
    }
    sys::Fd pidfd = TRY(sys::open_pidfd(state.pid));
    // Opened before the second look: from here on it cannot be another process.
    if (live_start_time(state.pid) != state.pid_start_time) {
        return fail(Code::NotFound, "container not running");
    }
    return pidfd;
}

Result<void> send_signal(int pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) {
        return fail_errno("send signal {}", signal);
    }
    return {};
}

Result<void> wait_for_death(const State& state) {
    const auto deadline = std::chrono::steady_clock::now() + kDeathLimit;
    while (live_start_time(state.pid) == state.pid_start_time) {
        if (std::chrono::steady_clock::now() > deadline) {
            return fail(Code::Unavailable, "container '{}' does not die", state.id);
        }
        ::usleep(1000);
    }
    return {};
}

Result<Making> make(const Containers& containers, const ContainerRequest& request, Stdio stdio,
                    int listener_fd, StateFolder folder) {
    oci::Spec spec = TRY(load_spec(request.bundle));
    if (spec.process && spec.process->terminal && request.console_socket.empty()) {
        // Programs ask for it as soon as they run.
        spec.process->console_size = own_window_size();
    }
    Making making(std::move(folder));
    State& state = making.state;
    state.id = request.id;
    state.bundle = request.bundle;
    state.oci_version = spec.oci_version;
    state.created = to_rfc3339(now());
    state.annotations = spec.annotations;
    if (spec.root) {
        state.rootfs = spec.root->path.starts_with('/') ? spec.root->path
                                                        : request.bundle + "/" + spec.root->path;
    }
    state.cgroup_path = TRY(cgroup_path(spec, request.id));
    // Before anything is made that somebody would have to find and remove after a crash.
    TRY(making.folder.save(state));

    CreateOptions options;
    options.id = request.id;
    options.bundle = request.bundle;
    options.stdio = stdio;
    options.start_listener_fd = listener_fd;
    if (spec.linux && spec.linux->seccomp) {
        options.seccomp_bpf = TRY(cached_filter(containers.filters(), *spec.linux->seccomp));
    }
    const sys::cgroup::Limits limits = TRY(limits_of(spec));
    making.cgroup = TRY(sys::cgroup::Cgroup::create(state.cgroup_path, limits));
    options.cgroup = &making.cgroup;
    making.created = TRY(runtime::create(spec, options));
    state.pid = making.created.pid;
    state.pid_start_time = live_start_time(state.pid).value_or(0);
    TRY(making.folder.save(state));
    if (making.created.console && !request.console_socket.empty()) {
        TRY(send_console(request.console_socket, making.created.console.get()));
        making.created.console.reset();
    }
    if (!request.pid_file.empty()) TRY(write_pid_file(request.pid_file, state.pid));
    return making;
}

}  // namespace

Result<oci::Spec> load_spec(const std::string& bundle) {
    const std::string path = bundle + "/config.json";
    auto text = sys::read_regular_file(AT_FDCWD, path, kSpecLimit);
    if (!text && text.error().sys_errno == ENOENT) {
        return fail(Code::NotFound, "JSON specification file {} not found", path);
    }
    if (!text) return fail(std::move(text).error());
    return TRY_CONTEXT(json::decode<oci::Spec>(*text), "{}", path);
}

Result<void> write_pid_file(const std::string& path, int pid) {
    const std::string temporary = path + ".new";
    TRY(sys::write_file(temporary, format("{}", pid), 0644));
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("replace '{}'", path);
    return {};
}

Result<void> send_console(const std::string& path, int console_fd) {
    const sys::Fd socket = TRY(sys::connect_unix(path, SOCK_STREAM));
    const int fds[] = {console_fd};
    // The name is what runc sends; receivers only look at the descriptor.
    return sys::send_message(socket.get(), "/dev/ptmx", fds);
}

std::optional<int> parse_signal(std::string_view text) {
    if (const auto number = parse_uint(text)) {
        return *number < NSIG ? std::optional(static_cast<int>(*number)) : std::nullopt;
    }
    std::string name(text);
    for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    if (name.starts_with("SIG")) name.erase(0, 3);
    for (int number = 1; number < NSIG; ++number) {
        const char* known = ::sigabbrev_np(number);
        if (known != nullptr && name == known) return number;
    }
    const auto realtime = [&](std::string_view base, int first, int sign) -> std::optional<int> {
        if (!std::string_view(name).starts_with(base)) return std::nullopt;
        if (name.size() == base.size()) return first;
        const auto offset = parse_uint(std::string_view(name).substr(base.size() + 1));
        if (name[base.size()] != (sign > 0 ? '+' : '-') || !offset || *offset > 30) {
            return std::nullopt;
        }
        return first + sign * static_cast<int>(*offset);
    };
    if (const auto number = realtime("RTMIN", 34, 1)) return number;
    return realtime("RTMAX", 64, -1);
}

Result<void> Containers::create(const ContainerRequest& request) const {
    StateFolder folder = TRY(StateFolder::create(root_, request.id));
    const auto listener = sys::listen_unix(folder.start_socket(), 0600, SOCK_SEQPACKET);
    if (!listener) {
        ignore(folder.remove(), "the socket's error matters more");
        return fail(listener.error());
    }
    const Stdio inherited{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    Making making = TRY(make(*this, request, inherited, listener->get(), std::move(folder)));
    making.kept = true;
    making.cgroup.release();
    return {};
}

Result<void> Containers::start(const std::string& id) const {
    const StateFolder folder = TRY(StateFolder::open(root_, id));
    const State state = TRY(folder.load());
    const Status status = status_of(state, folder.path());
    if (status == Status::Stopped) {
        return fail(Code::Conflict, "cannot start a container that has stopped");
    }
    if (status != Status::Created) {
        return fail(Code::Conflict, "cannot start an already {} container", to_text(status));
    }
    auto started = start_over_socket(folder.start_socket());
    ::unlink(folder.start_socket().c_str());
    return started;
}

Result<Created> Containers::run(const ContainerRequest& request) const {
    StateFolder folder = TRY(StateFolder::create(root_, request.id));
    const Stdio inherited{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    Making making = TRY(make(*this, request, inherited, -1, std::move(folder)));
    TRY(runtime::start(making.created));
    making.kept = true;
    making.cgroup.release();
    return std::move(making.created);
}

Result<Inspection> Containers::inspect(const std::string& id) const {
    Inspection container;
    container.state = TRY(load_state(root_, id));
    container.status = status_of(container.state, folder_of(id));
    if (container.status == Status::Running) {
        const auto group = sys::cgroup::Cgroup::open(container.state.cgroup_path);
        if (group && TRY(group->is_frozen())) container.status = Status::Paused;
    }
    return container;
}

Result<std::vector<Inspection>> Containers::list() const {
    std::vector<Inspection> all;
    for (const std::string& id : TRY(list_ids(root_))) {
        auto container = inspect(id);
        if (container) all.push_back(*std::move(container));
    }
    return all;
}

Result<void> Containers::kill(const std::string& id, int signal, Whom whom) const {
    const Inspection container = TRY(inspect(id));
    if (whom == Whom::All) {
        const auto group = TRY(sys::cgroup::Cgroup::open(container.state.cgroup_path));
        return group.signal_all(signal);
    }
    const sys::Fd pidfd = TRY(open_process(container));
    TRY(send_signal(pidfd.get(), signal));
    // cgroup v1 lets nobody die who is frozen.
    if (signal == SIGKILL && container.status == Status::Paused) {
        return TRY(sys::cgroup::Cgroup::open(container.state.cgroup_path)).thaw();
    }
    return {};
}

Result<void> Containers::pause(const std::string& id) const {
    const StateFolder locked = TRY(StateFolder::open(root_, id));
    const Inspection container = TRY(inspect(id));
    if (container.status != Status::Running) return fail(Code::Conflict, "container not running");
    return TRY(sys::cgroup::Cgroup::open(container.state.cgroup_path)).freeze();
}

Result<void> Containers::resume(const std::string& id) const {
    const StateFolder locked = TRY(StateFolder::open(root_, id));
    const Inspection container = TRY(inspect(id));
    if (container.status != Status::Paused) return fail(Code::Conflict, "container not paused");
    return TRY(sys::cgroup::Cgroup::open(container.state.cgroup_path)).thaw();
}

Result<void> Containers::remove(const std::string& id, Force force) const {
    auto opened = StateFolder::open(root_, id);
    if (!opened && opened.error().code == Code::NotFound && force == Force::Yes) return {};
    StateFolder folder = TRY(std::move(opened));
    const State state = TRY(folder.load());
    const Status status = status_of(state, folder.path());
    if (status == Status::Running && force == Force::No) {
        return fail(Code::Conflict, "cannot delete container {} that is not stopped: {}", id,
                    to_text(status));
    }
    if (status == Status::Running || status == Status::Created) {
        const sys::Fd pidfd = TRY(open_process({state, status}));
        TRY(send_signal(pidfd.get(), SIGKILL));
        if (const auto group = sys::cgroup::Cgroup::open(state.cgroup_path)) {
            ignore(group->thaw(), "it was hardly frozen; else it does not die, which is told");
        }
        TRY(wait_for_death(state));
    }
    if (!state.cgroup_path.empty()) {
        auto group = sys::cgroup::Cgroup::open(state.cgroup_path);
        if (group) TRY(group->remove());
    }
    return folder.remove();
}

Result<std::vector<int>> Containers::pids(const std::string& id) const {
    const Inspection container = TRY(inspect(id));
    return TRY(sys::cgroup::Cgroup::open(container.state.cgroup_path)).pids();
}

}  // namespace coffer::runtime
