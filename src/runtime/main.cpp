// coffer-oci: an OCI runtime with runc's command line, over the same library as coffer-shim.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/time.hpp"
#include "json/value.hpp"
#include "runtime/commands.hpp"
#include "sys/memfd.hpp"

namespace {

using coffer::runtime::Args;
using coffer::runtime::Flag;

const std::vector<Flag> kGlobalFlags = {
    {"root", '\0', true},
    {"log", '\0', true},
    {"log-format", '\0', true},
    {"debug", '\0', false},
    {"version", 'v', false},
    {"help", 'h', false},
    {"systemd-cgroup", '\0', false},
    {"criu", '\0', true},
    {"rootless", '\0', true},
};

// Engines read the last error of the log to tell their users.
void log_error(const Args& args, const std::string& message) {
    std::string line;
    const std::string time = coffer::to_rfc3339_short(coffer::now());
    if (args.get("log-format") == "json") {
        line = coffer::json::write(
                   coffer::json::Object{{"level", "error"}, {"msg", message}, {"time", time}}) +
               "\n";
    } else {
        line = coffer::format("time=\"{}\" level=error msg={}\n", time,
                              coffer::json::write(message, {coffer::json::Escape::Plain}));
    }
    if (args.has("log")) {
        const auto file =
            coffer::sys::open_file(args.get("log"), O_WRONLY | O_CREAT | O_APPEND, 0644);
        if (file) coffer::ignore(coffer::sys::write_all(file->get(), line), "nobody left to tell");
    }
    fmt::print(stderr, "{}\n", message);
}

// Their processes show our program to those of a container.
bool makes_processes(const std::string& command) {
    return command == "create" || command == "run" || command == "exec";
}

coffer::Result<int> run(const Args& args, char* const* argv) {
    using coffer::Code;
    if (args.has("version")) {
        fmt::print("coffer-oci version {}\nspec: {}\n", COFFER_VERSION,
                   coffer::oci::kRuntimeSpecVersion);
        return 0;
    }
    if (args.has("help") || args.rest.empty() || args.rest[0] == "help") {
        fmt::print(
            "coffer-oci [--root DIR] [--log FILE] [--log-format text|json] COMMAND ...\n\n{}",
            coffer::runtime::command_help());
        return 0;
    }
    if (args.has("systemd-cgroup")) {
        return coffer::fail(Code::NotImplemented,
                            "--systemd-cgroup is not supported: use cgroupfs");
    }
    if (args.has("criu")) return coffer::fail(Code::NotImplemented, "--criu is not supported");
    if (args.get("rootless") == "true") {
        return coffer::fail(Code::NotImplemented, "--rootless is not supported");
    }
    const std::string form = args.get("log-format");
    if (!form.empty() && form != "text" && form != "json") {
        return coffer::fail(Code::InvalidArgument, "unknown log-format \"{}\"", form);
    }
    if (makes_processes(args.rest[0])) TRY(coffer::sys::run_from_sealed_copy(argv));
    const coffer::runtime::Containers containers(args.has("root") ? args.get("root")
                                                                  : "/run/coffer-oci");
    return coffer::runtime::run_command(
        containers, args.rest[0], coffer::runtime::Words(args.rest.begin() + 1, args.rest.end()));
}

}  // namespace

int main(int argc, char** argv) {
    // 0, 1 and 2 must be taken, or the first files opened would be the container's standard ones.
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));  // NOLINT
    }
    const auto args =
        coffer::runtime::parse_args(std::vector<std::string>(argv + 1, argv + argc), kGlobalFlags);
    if (!args) {
        fmt::print(stderr, "{}\n", args.error().message);
        return 1;
    }
    const auto status = run(*args, argv);
    if (status) return *status;
    log_error(*args, status.error().message);
    // What a program run by exec can hardly have meant.
    return !args->rest.empty() && args->rest[0] == "exec" ? 255 : 1;
}
