// coffer exec.
#include <unistd.h>

#include "base/text.hpp"
#include "cli/attached.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/output.hpp"
#include "cli/user_config.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("detach", 'd', "Detached mode: run command in the background"),
    text("detach-keys", 0, "Override the key sequence for detaching a container"),
    list("env", 'e', &check_env, "Set environment variables"),
    list("env-file", 0, nullptr, "Read in a file of environment variables"),
    toggle("interactive", 'i', "Keep STDIN open even if not attached"),
    toggle("privileged", 0, "Give extended privileges to the command"),
    toggle("tty", 't', "Allocate a pseudo-TTY"),
    text("user", 'u', "Username or UID (format: \"<name|uid>[:<group|gid>]\")"),
    text("workdir", 'w', "Working directory inside the container"),
};

json::Value console_size() {
    const WindowSize size = window_size(STDOUT_FILENO);
    return json::Array{size.rows, size.columns};
}

Result<json::Value> exec_request(const Invocation& call, const std::string& detach_keys) {
    const Values& flags = call.flags;
    const bool attached = !flags.is_set("detach");
    json::Value body{json::Object{}};
    body.set("User", flags.text("user"));
    body.set("Privileged", flags.is_set("privileged"));
    body.set("Tty", flags.is_set("tty"));
    if (flags.is_set("tty")) body.set("ConsoleSize", console_size());
    body.set("AttachStdin", attached && flags.is_set("interactive"));
    body.set("AttachStderr", attached);
    body.set("AttachStdout", attached);
    body.set("DetachKeys", detach_keys);
    body.set("Env", string_array_or_null(TRY(environment_of(flags))));
    body.set("WorkingDir", flags.text("workdir"));
    body.set("Cmd", string_array({call.args.begin() + 1, call.args.end()}));
    return body;
}

Result<int> exec(Invocation& call) {
    const Values& flags = call.flags;
    const std::string& container = call.args[0];
    std::string detach_keys = flags.text("detach-keys");
    if (detach_keys.empty()) detach_keys = call.config.detach_keys();
    json::Value request = TRY(exec_request(call, detach_keys));
    const bool tty = flags.is_set("tty");
    const bool detached = flags.is_set("detach");
    const bool input = bool_of(request, "AttachStdin");
    TRY(call.api.get(container_path(container, "/json")));  // "no such container" comes first
    if (!detached && input && tty && !is_terminal(STDIN_FILENO)) {
        return fail(Code::InvalidArgument, "the input device is not a TTY");
    }
    const json::Value created =
        TRY(call.api.post(container_path(container, "/exec"), {}, std::move(request)));
    const std::string id = text_of(created, "Id");
    if (id.empty()) return fail(Code::Internal, "exec ID empty");
    json::Value start(json::Object{{"Detach", detached}, {"Tty", tty}});
    if (tty) start.set("ConsoleSize", console_size());
    if (detached) {
        TRY(call.api.post("/exec/" + id + "/start", {}, std::move(start)));
        return 0;
    }
    http::Upgraded connection = TRY(call.api.hijack(ApiCall{
        .method = http::Method::Post, .path = "/exec/" + id + "/start", .body = std::move(start)}));
    AttachOptions options;
    options.input = input;
    options.tty = tty;
    options.detach_keys = detach_keys;
    options.resize_path = "/exec/" + id + "/resize";
    AttachedSession session =
        TRY(AttachedSession::start(call.api, std::move(connection), std::move(options)));
    if (tty && is_terminal(STDIN_FILENO)) session.send_size();
    const AttachedSession::Outcome outcome = TRY(session.run(nullptr));
    if (outcome.end == AttachedSession::End::Detached) {
        return fail(Code::Cancelled, "read escape sequence");
    }
    const json::Value ended = TRY(call.api.get("/exec/" + id + "/json"));
    return static_cast<int>(int_of(ended, "ExitCode"));
}

}  // namespace

constinit const Command commands::kExec{
    .name = "exec",
    .arguments = "[OPTIONS] CONTAINER COMMAND [ARG...]",
    .summary = "Execute a command in a running container",
    .run = &exec,
    .flags = {kFlags},
    .min_args = 2,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .interspersed = Interspersed::No,
    .spellings = "container exec, exec",
    .common = 2,
};

}  // namespace coffer::cli
