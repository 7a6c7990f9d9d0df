// coffer-oci: an OCI runtime with runc's command line, over the same library as coffer-shim.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/log.hpp"
#include "base/time.hpp"
#include "json/value.hpp"
#include "runtime/command_table.hpp"
#include "sys/namespace.hpp"
#include "sys/own_program.hpp"

namespace {

using coffer::runtime::Args;
using coffer::runtime::kRoot;

struct Journal {
    coffer::sys::Fd file;  // empty: standard error
    bool json = false;
};
Journal& journal() {
    static Journal only;
    return only;
}

// Engines read the last error of the log to tell their users.
void write_record(coffer::log::Level level, std::string_view message) {
    const std::string time = coffer::to_rfc3339_short(coffer::now());
    const char* name = coffer::log::to_text(level);
    std::string line;
    if (journal().json) {
        line = coffer::json::write(
                   coffer::json::Object{{"level", name}, {"msg", message}, {"time", time}}) +
               "\n";
    } else {
        line = coffer::format("time=\"{}\" level={} msg={}\n", time, name,
                              coffer::json::write(message, {coffer::json::Escape::Plain}));
    }
    const int fd = journal().file ? journal().file.get() : STDERR_FILENO;
    coffer::ignore(coffer::sys::write_all(fd, line), "nobody left to tell");
}

coffer::Result<void> open_journal(const Args& args) {
    const std::string form = args.get("log-format");
    if (!form.empty() && form != "text" && form != "json") {
        return coffer::fail(coffer::Code::InvalidArgument, "unknown log-format \"{}\"", form);
    }
    journal().json = form == "json";
    if (!args.get("log").empty()) {
        journal().file =
            TRY(coffer::sys::open_file(args.get("log"), O_WRONLY | O_CREAT | O_APPEND, 0644));
    }
    coffer::log::set_writer(write_record);
    if (args.has("debug")) coffer::log::set_level(coffer::log::Level::Debug);
    return {};
}

// runc's words: a boolean, or "auto", which asks who we are.
coffer::Result<bool> is_rootless(const Args& args) {
    const std::string word = args.has("rootless") ? args.get("rootless") : "auto";
    if (word == "true") return true;
    if (word == "false") return false;
    if (word == "auto") return ::geteuid() != 0 || coffer::sys::ns::in_user_namespace();
    return coffer::fail(coffer::Code::InvalidArgument,
                        "invalid boolean value \"{}\" for --rootless", word);
}

coffer::Result<coffer::runtime::CgroupManager> cgroup_manager(const Args& args) {
    using coffer::runtime::CgroupManager;
    const std::string word = args.get("cgroup-manager");
    if (word == "systemd" || (word.empty() && args.has("systemd-cgroup"))) {
        return CgroupManager::Systemd;
    }
    if (word.empty() || word == "cgroupfs") return CgroupManager::Files;
    if (word == "disabled") return CgroupManager::Disabled;
    return coffer::fail(coffer::Code::InvalidArgument,
                        "--cgroup-manager \"{}\" is not cgroupfs, systemd or disabled", word);
}

coffer::Result<coffer::runtime::Settings> settings_of(const Args& args) {
    coffer::runtime::Settings settings;
    settings.rootless = TRY(is_rootless(args));
    settings.cgroups = TRY(cgroup_manager(args));
    settings.root = "/run/coffer-oci";
    const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
    if (settings.rootless && runtime_dir != nullptr && *runtime_dir != '\0') {
        settings.root = coffer::format("{}/coffer-oci", runtime_dir);
    }
    if (args.has("criu")) settings.criu = args.get("criu");
    if (args.has("root")) settings.root = args.get("root");
    return settings;
}

// Their processes show our program to those of a container.
bool makes_processes(std::string_view command) {
    return command == "create" || command == "run" || command == "exec";
}

coffer::Result<int> run(const Args& args, char* const* argv) {
    using coffer::Code;
    if (args.has("version")) {
        fmt::print("coffer-oci version {}\nspec: {}\n", COFFER_VERSION,
                   coffer::oci::kRuntimeSpecVersion);
        return 0;
    }
    if (args.has("help") || args.rest.empty()) {
        coffer::runtime::print_help(kRoot, std::string(kRoot.name));
        return 0;
    }
    const coffer::command::Command* command = coffer::command::find_child(kRoot, args.rest[0]);
    if (command == nullptr) {
        return coffer::fail(Code::InvalidArgument, "no such command: '{}'", args.rest[0]);
    }
    const std::span<const std::string> words = std::span(args.rest).subspan(1);
    const Args own = TRY(coffer::runtime::parse_args(words, command->flags));
    if (own.has("help")) {
        coffer::runtime::print_help(*command, coffer::format("{} {}", kRoot.name, command->name));
        return 0;
    }
    if (makes_processes(command->name)) TRY(coffer::sys::run_from_protected_program(argv));
    TRY(open_journal(args));
    LOG_DEBUG("command {}", command->name);
    // What is completed may have a --root of its own.
    const Args globals =
        command->hidden ? TRY(coffer::runtime::parse_args(own.rest, kRoot.flags)) : args;
    const coffer::runtime::Containers containers(TRY(settings_of(globals)));
    return coffer::runtime::handler_of(*command)(containers, own);
}

}  // namespace

int main(int argc, char** argv) {
    // 0, 1 and 2 must be taken, or the first files opened would be the container's standard ones.
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));  // NOLINT
    }
    // A hook, a client or an agent that does not listen is an error of its write.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    const auto args =
        coffer::runtime::parse_args(std::vector<std::string>(argv + 1, argv + argc), kRoot.flags);
    if (!args) {
        fmt::print(stderr, "{}\n", args.error().message);
        return 1;
    }
    const auto status = run(*args, argv);
    if (status) return *status;
    if (journal().file) write_record(coffer::log::Level::Error, status.error().message);
    fmt::print(stderr, "{}\n", status.error().message);
    // What a program run by exec can hardly have meant.
    return !args->rest.empty() && args->rest[0] == "exec" ? 255 : 1;
}
