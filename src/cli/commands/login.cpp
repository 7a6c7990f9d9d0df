// coffer login and logout.
#include <unistd.h>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/user_config.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kLoginFlags = {
    text("password", 'p', "Password or Personal Access Token (PAT)"),
    toggle("password-stdin", 0, "Take the Password or Personal Access Token (PAT) from stdin"),
    text("username", 'u', "Username"),
};

Result<std::string> ask_line(std::string_view prompt) {
    TRY(print(prompt));
    std::string line;
    char c = 0;
    while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
    return std::string(trim(line));
}

Result<int> login(Invocation& call) {
    const Values& flags = call.flags;
    std::string user = flags.text("username");
    std::string password = flags.text("password");
    if (flags.is_set("password-stdin")) {
        if (flags.given("password")) {
            return fail(Code::InvalidArgument,
                        "conflicting options: cannot specify both --password and --password-stdin");
        }
        if (user.empty()) {
            return fail(Code::InvalidArgument,
                        "the --password-stdin option requires --username to be set");
        }
        password = TRY(sys::read_all(STDIN_FILENO, 65536));
        while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
    } else if (flags.given("password")) {
        warn_line("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if ((user.empty() || password.empty()) && !is_terminal(STDIN_FILENO)) {
        return fail(Code::InvalidArgument,
                    "Cannot perform an interactive login from a non TTY "
                    "device");
    }
    if (user.empty()) user = TRY(ask_line("Username: "));
    if (password.empty()) password = TRY(read_password("Password: "));
    const std::string server = login_key(call.args.empty() ? "" : call.args[0]);
    json::Value login(
        json::Object{{"username", user}, {"password", password}, {"serveraddress", server}});
    const json::Value reply = TRY(call.api.post("/auth", {}, login));
    if (const std::string token = text_of(reply, "IdentityToken"); !token.empty()) {
        login.set("identitytoken", token);
    }
    TRY_CONTEXT(call.config.store_login(server, login), "Error saving credentials");
    if (const std::string status = text_of(reply, "Status"); !status.empty()) {
        TRY(print_line(status));
    }
    return 0;
}

Result<int> logout(Invocation& call) {
    const std::string server = login_key(call.args.empty() ? "" : call.args[0]);
    TRY(print_line("Removing login credentials for " +
                   (call.args.empty() ? std::string("https://index.docker.io/v1/") : server)));
    if (!TRY(call.config.remove_login(server))) {
        TRY(print_line("Not logged in to " + server));
    }
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kLogin{
    .name = "login",
    .arguments = "[OPTIONS] [SERVER]",
    .summary = "Authenticate to a registry",
    .run = &login,
    .flags = {kLoginFlags},
    .max_args = 1,
    .common = 8,
};
constinit const Command kLogout{
    .name = "logout",
    .arguments = "[SERVER]",
    .summary = "Log out from a registry",
    .run = &logout,
    .max_args = 1,
    .common = 9,
};

}  // namespace commands

}  // namespace coffer::cli
