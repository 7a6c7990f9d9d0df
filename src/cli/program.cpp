#include "cli/program.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/text.hpp"
#include "cli/api_client.hpp"
#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/user_config.hpp"

namespace coffer::cli {

namespace {

std::string environment(const char* name) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this program never changes its environment
    const char* value = ::getenv(name);
    return value != nullptr ? value : "";
}

Result<HostOptions> host_options(const Values& globals, const UserConfig& config) {
    HostOptions out;
    const std::vector<std::string> hosts = globals.list("host");
    if (hosts.size() > 1) return fail(Code::InvalidArgument, "Specify only one -H");
    if (!hosts.empty()) out.host = hosts[0];
    for (const char* name : {"COFFER_HOST", "DOCKER_HOST"}) {
        if (out.host.empty()) out.host = environment(name);
    }
    if (out.host.empty()) out.host = "unix:///run/coffer.sock";
    out.tls_verify = globals.given("tlsverify") ? globals.is_set("tlsverify")
                                                : !environment("DOCKER_TLS_VERIFY").empty();
    out.tls = out.tls_verify || globals.is_set("tls") || !environment("DOCKER_TLS").empty();
    std::string folder = environment("DOCKER_CERT_PATH");
    if (folder.empty()) folder = config.folder();
    const auto file = [&](std::string_view flag, std::string_view name) {
        if (globals.given(flag)) return globals.text(flag);
        const std::string path = format("{}/{}", folder, name);
        return ::access(path.c_str(), R_OK) == 0 ? path : std::string();
    };
    if (out.tls) {
        out.files = {file("tlscacert", "ca.pem"), file("tlscert", "cert.pem"),
                     file("tlskey", "key.pem")};
    }
    return out;
}

std::string help_of(const Parsed& parsed) {
    const unsigned columns = window_size(STDIN_FILENO).columns;
    return help_text(*parsed.command, parsed.path, columns != 0 ? columns : 80);
}

Result<int> execute(Parsed parsed) {
    UserConfig config = TRY(UserConfig::load(parsed.globals.text("config")));
    const HostOptions options = TRY(host_options(parsed.globals, config));
    const std::unique_ptr<Api> api = TRY_CONTEXT(
        Api::create(options), "Failed to initialize: unable to resolve docker endpoint");
    Invocation call{*parsed.command,
                    parsed.path,
                    std::move(parsed.flags.values),
                    std::move(parsed.flags.args),
                    *api,
                    config};
    return parsed.command->run(call);
}

}  // namespace

int run_program(const std::vector<std::string>& args) {
    ParseOutcome outcome = parse_command_line(kRoot, args);
    if (!outcome.parsed) {
        warn_line(outcome.error.text);
        return outcome.error.status;
    }
    Parsed& parsed = *outcome.parsed;
    if (!parsed.flags.notice.empty()) warn_line(parsed.flags.notice);
    if (parsed.globals.is_set("version")) {
        ignore(print_line("Coffer version " COFFER_VERSION), "nowhere to tell it");
        return 0;
    }
    if (parsed.flags.help) {
        ignore(print(help_of(parsed)), "nowhere to tell it");
        return 0;
    }
    if (parsed.command->is_group()) {
        ignore(sys::write_all(STDERR_FILENO, help_of(parsed)), "nowhere to tell it");
        return 0;
    }
    const Result<int> status = execute(std::move(parsed));
    if (status) return *status;
    const Error& error = status.error();
    if (!error.message.empty()) warn_line(error.message);
    const bool by_signal = error.code == Code::Cancelled && error.sys_errno != 0;
    return by_signal ? 128 + error.sys_errno : 1;
}

}  // namespace coffer::cli
