#include "runtime/lifecycle.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>

#include "json/codec.hpp"
#include "runtime/hooks.hpp"
#include "runtime/listener.hpp"
#include "runtime/making.hpp"
#include "sys/clone.hpp"
#include "sys/signal.hpp"

namespace coffer::runtime {

namespace {

constexpr std::size_t kSpecLimit = 16U << 20U;
constexpr std::chrono::seconds kDeathLimit{10};

// NotFound when it has ended.
Result<void> send_signal(const Inspection& container, int signal) {
    const sys::Fd pidfd = TRY(open_init(container));
    return sys::signals::send(pidfd.get(), signal);
}

void stop(const State& state) {
    ignore(send_signal({state, Status::Running}, SIGKILL), "it may have ended");
}

// What a failure asks for: the container is stopped, its removal is the caller's.
Result<void> run_poststart_hooks(const oci::Spec& spec, const State& state) {
    if (!spec.hooks || spec.hooks->poststart.empty()) return {};
    auto done = run_hooks("poststart", spec.hooks->poststart,
                          hook_state(spec, state.id, state.bundle, state.pid, "running"));
    if (!done) stop(state);
    return done;
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

}  // namespace

Result<sys::Fd> open_init(const Inspection& container) {
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

Result<sys::cgroup::Cgroup> open_cgroup(const State& state) {
    if (state.cgroup_path.empty()) {
        return fail(Code::NotFound, "container '{}' has no control group of its own", state.id);
    }
    return sys::cgroup::Cgroup::open(state.cgroup_path);
}

Result<oci::Spec> load_spec(const std::string& folder) {
    const std::string path = folder + "/config.json";
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
    StateFolder folder = TRY(claim_folder(settings_, request.id));
    const auto listener = sys::listen_unix(folder.start_socket(), 0600, SOCK_SEQPACKET);
    if (!listener) {
        ignore(folder.remove(), "the socket's error matters more");
        return fail(listener.error());
    }
    Making making = TRY(make(*this, request, listener->get(), std::move(folder)));
    making.keep();
    return {};
}

Result<void> Containers::start(const std::string& id) const {
    const StateFolder folder = TRY(StateFolder::open(settings_.root, id));
    const State state = TRY(folder.load());
    const Status status = status_of(state, folder.path());
    if (status == Status::Stopped) {
        return fail(Code::Conflict, "cannot start a container that has stopped");
    }
    if (status != Status::Created) {
        return fail(Code::Conflict, "cannot start an already {} container", to_text(status));
    }
    const oci::Spec spec = TRY(load_spec(folder.path()));
    auto started =
        start_over_socket(folder.start_socket(), listener_sender(spec, state, "created"));
    ::unlink(folder.start_socket().c_str());
    if (!started) {
        stop(state);
        return started;
    }
    return run_poststart_hooks(spec, state);
}

Result<Created> Containers::run(const ContainerRequest& request) const {
    StateFolder folder = TRY(claim_folder(settings_, request.id));
    Making making = TRY(make(*this, request, -1, std::move(folder)));
    TRY(runtime::start(making.created, listener_sender(making.spec, making.state, "created")));
    TRY(run_poststart_hooks(making.spec, making.state));
    return making.keep();
}

Result<Inspection> Containers::inspect(const std::string& id) const {
    Inspection container;
    container.state = TRY(load_state(settings_.root, id));
    container.status = status_of(container.state, folder_of(id));
    if (container.status != Status::Running) return container;
    const auto group = open_cgroup(container.state);
    if (group && TRY(group->is_frozen())) container.status = Status::Paused;
    return container;
}

Result<std::vector<Inspection>> Containers::list() const {
    std::vector<Inspection> all;
    for (const std::string& id : TRY(list_ids(settings_.root))) {
        auto container = inspect(id);
        if (container) all.push_back(*std::move(container));
    }
    return all;
}

Result<void> Containers::kill(const std::string& id, int signal, Whom whom) const {
    const Inspection container = TRY(inspect(id));
    const auto group = open_cgroup(container.state);
    if (whom == Whom::All && group) {
        TRY(group->signal_all(signal));
    } else if (whom == Whom::Init || container.status != Status::Stopped) {
        TRY(send_signal(container, signal));
    }
    // A frozen process dies once it is thawed.
    if (signal == SIGKILL && container.status == Status::Paused) return group->thaw();
    return {};
}

Result<void> Containers::remove(const std::string& id, Force force) const {
    auto opened = StateFolder::open(settings_.root, id);
    if (!opened && opened.error().code == Code::NotFound && force == Force::Yes) return {};
    StateFolder folder = TRY(std::move(opened));
    auto loaded = folder.load();
    if (!loaded && force == Force::No) return fail(loaded.error());
    // Of one that cannot be read nothing can be trusted but its name.
    const State state = loaded ? *std::move(loaded) : State{.id = id};
    const Status status = status_of(state, folder.path());
    if (status == Status::Running && force == Force::No) {
        return fail(Code::Conflict, "cannot delete container {} that is not stopped: {}", id,
                    to_text(TRY(inspect(id)).status));
    }
    if (status == Status::Running || status == Status::Created) {
        auto killed = send_signal({state, status}, SIGKILL);
        if (!killed && killed.error().code != Code::NotFound) return killed;
        if (const auto group = open_cgroup(state)) {
            ignore(group->thaw(), "without a freezer nothing is frozen");
        }
        TRY(wait_for_death(state));
    }
    const auto spec = load_spec(folder.path());
    TRY(destroy(settings_, std::move(folder), state));
    if (spec) run_poststop_hooks(*spec, hook_state(*spec, id, state.bundle, 0, "stopped"));
    return {};
}

Result<std::vector<int>> Containers::pids(const std::string& id) const {
    const Inspection container = TRY(inspect(id));
    return TRY(open_cgroup(container.state)).pids();
}

Result<oci::Spec> Containers::spec_of(const std::string& id) const {
    return load_spec(folder_of(id));
}

}  // namespace coffer::runtime
