#include "runtime/commands.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>

#include "json/codec.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

unsigned listen_fds() {
    const char* text = std::getenv("LISTEN_FDS");  // NOLINT(concurrency-mt-unsafe): one thread
    const auto count = text == nullptr ? std::nullopt : parse_uint(text);
    return count && *count <= 1024 ? static_cast<unsigned>(*count) : 0;
}

Result<std::string> absolute(const std::string& path) {
    std::array<char, PATH_MAX> real{};
    if (::realpath(path.empty() ? "." : path.c_str(), real.data()) == nullptr) {
        return fail_errno("bundle '{}'", path);
    }
    return std::string(real.data());
}

std::string owner_of(const State& state) {
    return state.owner == 0 ? std::string("root") : format("#{}", state.owner);
}

json::Value to_value(const Inspection& container) {
    const State& state = container.state;
    const bool alive = container.status != Status::Stopped;
    json::Object annotations;
    for (const auto& [key, value] : state.annotations) annotations.push_back({key, value});
    json::Object object;
    object.push_back({"ociVersion", state.oci_version});
    object.push_back({"id", state.id});
    object.push_back({"pid", std::int64_t{alive ? state.pid : 0}});
    object.push_back({"status", to_text(container.status)});
    object.push_back({"bundle", state.bundle});
    object.push_back({"rootfs", state.rootfs});
    object.push_back({"created", state.created});
    if (!annotations.empty()) object.push_back({"annotations", std::move(annotations)});
    object.push_back({"owner", owner_of(state)});
    return object;
}

}  // namespace

Result<int> create_command(const Containers& containers, const Args& args) {
    const ContainerRequest request = TRY(make_request(args, "create"));
    TRY(check_console(request, false));
    TRY(containers.create(request));
    return 0;
}

Result<int> start_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "start"));
    TRY(containers.start(id));
    return 0;
}

Result<int> run_command(const Containers& containers, const Args& args) {
    ContainerRequest request = TRY(make_request(args, "run"));
    const bool detach = args.has("detach");
    request.attended = !detach && !args.has("keep");
    TRY(check_console(request, !detach));
    const sys::Fd signals = detach ? sys::Fd() : TRY(watch_signals());
    Created process = TRY(containers.run(request));
    if (detach) return 0;
    auto status = attend(process, signals);
    if (!args.has("keep")) TRY(containers.remove(request.id, Containers::Force::Yes));
    return status;
}

Result<int> state_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "state"));
    const Inspection container = TRY(containers.inspect(id));
    fmt::print("{}\n", json::write(to_value(container), {.indent = 2}));
    return 0;
}

Result<int> list_command(const Containers& containers, const Args& args) {
    const std::string form = args.has("format") ? args.get("format") : "table";
    const auto all = TRY(containers.list());
    if (args.has("quiet")) {
        for (const Inspection& container : all) fmt::print("{}\n", container.state.id);
        return 0;
    }
    if (form == "json") {
        json::Array array;
        for (const Inspection& container : all) array.push_back(to_value(container));
        fmt::print("{}\n", all.empty() ? "null" : json::write(array));
        return 0;
    }
    if (form != "table") return fail(Code::InvalidArgument, "invalid format option");
    std::size_t id_width = 2;
    std::size_t bundle_width = 6;
    for (const Inspection& container : all) {
        id_width = std::max(id_width, container.state.id.size());
        bundle_width = std::max(bundle_width, container.state.bundle.size());
    }
    const auto row = [&](std::string_view id, std::string_view pid, std::string_view status,
                         std::string_view bundle, std::string_view created,
                         std::string_view owner) {
        fmt::print("{:<{}}   {:<9}   {:<9}   {:<{}}   {:<30}   {}\n", id, id_width, pid, status,
                   bundle, bundle_width, created, owner);
    };
    row("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
    for (const Inspection& container : all) {
        const bool alive = container.status != Status::Stopped;
        row(container.state.id, format("{}", alive ? container.state.pid : 0),
            to_text(container.status), container.state.bundle, container.state.created,
            owner_of(container.state));
    }
    return 0;
}

Result<int> kill_command(const Containers& containers, const Args& args) {
    if (args.rest.empty() || args.rest.size() > 2) {
        return fail(Code::InvalidArgument, "kill: \"kill\" requires a container and a signal");
    }
    const std::string name = args.rest.size() == 2 ? args.rest[1] : "SIGTERM";
    const auto signal = parse_signal(name);
    if (!signal) return fail(Code::InvalidArgument, "unknown signal \"{}\"", name);
    TRY(containers.kill(args.rest[0], *signal,
                        args.has("all") ? Containers::Whom::All : Containers::Whom::Init));
    return 0;
}

Result<int> delete_command(const Containers& containers, const Args& args) {
    const auto force = args.has("force") ? Containers::Force::Yes : Containers::Force::No;
    const std::string id = TRY(one_id(args, "delete"));
    TRY(containers.remove(id, force));
    return 0;
}

Result<int> ps_command(const Containers& containers, const Args& args) {
    if (args.rest.empty()) return fail(Code::InvalidArgument, "ps: a container id is needed");
    std::vector<int> pids = TRY(containers.pids(args.rest[0]));
    std::sort(pids.begin(), pids.end());
    if (args.get("format") == "json") {
        json::Array array;
        for (const int pid : pids) array.emplace_back(std::int64_t{pid});
        fmt::print("{}\n", json::write(array));
        return 0;
    }
    std::vector<std::string> argv = {"/bin/ps"};
    argv.insert(argv.end(), args.rest.begin() + 1, args.rest.end());
    if (argv.size() == 1) argv.emplace_back("-ef");
    const sys::Output output =
        TRY(sys::run({.argv = argv, .env = {"PATH=/usr/bin:/bin"}}, "", std::chrono::seconds(10)));
    if (output.status != 0) return fail(Code::Internal, "ps: {}", trim(output.err));
    const std::vector<std::string> lines = split(output.out, '\n');
    const std::vector<std::string> titles = split_fields(lines[0]);
    const auto column =
        static_cast<std::size_t>(std::find(titles.begin(), titles.end(), "PID") - titles.begin());
    if (column == titles.size()) {
        return fail(Code::InvalidArgument, "couldn't find PID field in ps output");
    }
    fmt::print("{}\n", lines[0]);
    for (const std::string& line : lines) {
        const std::vector<std::string> fields = split_fields(line);
        if (fields.size() <= column) continue;
        const auto pid = parse_uint(fields[column]);
        if (pid && std::binary_search(pids.begin(), pids.end(), static_cast<int>(*pid))) {
            fmt::print("{}\n", line);
        }
    }
    return 0;
}

Result<ContainerRequest> make_request(const Args& args, const char* command) {
    ContainerRequest request;
    request.preserved_fds = TRY(preserved_fds(args));
    request.environment = listen_environment();
    request.no_pivot = args.has("no-pivot");
    request.no_new_keyring = args.has("no-new-keyring");
    request.id = TRY(one_id(args, command));
    TRY(check_id(request.id));
    request.bundle = TRY(absolute(args.get("bundle")));
    request.pid_file = args.get("pid-file");
    request.console_socket = args.get("console-socket");
    return request;
}

Result<void> check_console(const ContainerRequest& request, bool in_front) {
    const oci::Spec spec = TRY(load_spec(request.bundle));
    const bool terminal = spec.process && spec.process->terminal;
    if (terminal && !in_front && request.console_socket.empty()) {
        return fail(Code::InvalidArgument,
                    "cannot allocate tty if runc will detach without setting console socket");
    }
    if (!terminal && !request.console_socket.empty()) {
        return fail(Code::InvalidArgument, "cannot use console socket without a terminal");
    }
    return {};
}

Result<std::string> one_id(const Args& args, const char* command) {
    if (args.rest.size() == 1) return args.rest[0];
    return fail(Code::InvalidArgument, "{}: \"{}\" requires exactly 1 argument(s)", command,
                command);
}

Result<unsigned> preserved_fds(const Args& args) {
    const std::string text = args.has("preserve-fds") ? args.get("preserve-fds") : "0";
    const auto asked = parse_uint(text);
    if (!asked || *asked > 1024) {
        return fail(Code::InvalidArgument, "--preserve-fds of \"{}\"", text);
    }
    const unsigned count = static_cast<unsigned>(*asked) + listen_fds();
    for (unsigned i = 0; i < count; ++i) {
        // What we opened ourselves is closed on exec; what was given to us cannot be.
        const int flags = ::fcntl(static_cast<int>(3 + i), F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC) != 0) {
            return fail(Code::InvalidArgument, "preserved descriptor {} (of {}) is not open", 3 + i,
                        count);
        }
    }
    return count;
}

std::vector<std::string> listen_environment() {
    if (listen_fds() == 0) return {};
    return {format("LISTEN_FDS={}", listen_fds()), "LISTEN_PID=1"};
}

}  // namespace coffer::runtime
