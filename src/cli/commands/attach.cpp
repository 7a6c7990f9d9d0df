// coffer start and attach.
#include <unistd.h>

#include "base/text.hpp"
#include "cli/attached.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "cli/user_config.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kStartFlags = {
    toggle("attach", 'a', "Attach STDOUT/STDERR and forward signals"),
    text("detach-keys", 0, "Override the key sequence for detaching a container"),
    toggle("interactive", 'i', "Attach container's STDIN"),
};

constexpr std::array kAttachFlags = {
    text("detach-keys", 0, "Override the key sequence for detaching a container"),
    toggle("no-stdin", 0, "Do not attach STDIN"),
    with_default(toggle("sig-proxy", 0, "Proxy all received signals to the process"), "true",
                 "true"),
};

Result<AttachedSession> attach_to(Invocation& call, const std::string& id, AttachOptions options) {
    options.detach_keys = call.flags.text("detach-keys");
    if (options.detach_keys.empty()) options.detach_keys = call.config.detach_keys();
    options.resize_path = container_path(id, "/resize");
    options.kill_path = container_path(id, "/kill");
    Query query{{"stream", "1"}, {"stdout", "1"}, {"stderr", "1"}};
    if (options.input) query.emplace("stdin", "1");
    if (!options.detach_keys.empty()) query.emplace("detachKeys", options.detach_keys);
    http::Upgraded connection = TRY(call.api.hijack(ApiCall{
        .method = http::Method::Post, .path = container_path(id, "/attach"), .query = query}));
    return AttachedSession::start(call.api, std::move(connection), std::move(options));
}

Result<int> start_attached(Invocation& call) {
    if (call.args.size() > 1) {
        return fail(Code::InvalidArgument,
                    "you cannot start and attach multiple containers at once");
    }
    const json::Value found = TRY(call.api.get(container_path(call.args[0], "/json")));
    const std::string id = text_of(found, "Id");
    AttachOptions options;
    options.tty = bool_of(found, "Config.Tty");
    options.input = call.flags.is_set("interactive") && bool_of(found, "Config.OpenStdin");
    options.forward_signals = !options.tty;
    AttachedSession session = TRY(attach_to(call, id, options));
    const bool removed = bool_of(found, "HostConfig.AutoRemove");
    http::Response wait =
        TRY(call.api.open(ApiCall{.method = http::Method::Post,
                                  .path = container_path(id, "/wait"),
                                  .query = {{"condition", removed ? "removed" : "next-exit"}}}));
    TRY(call.api.post(container_path(id, "/start")));
    if (is_terminal(STDOUT_FILENO)) session.send_size();
    return TRY(session.run(&wait)).status.value_or(0);
}

Result<int> start(Invocation& call) {
    if (call.flags.is_set("attach") || call.flags.is_set("interactive")) {
        return start_attached(call);
    }
    std::vector<std::string> failed;
    for (const std::string& name : call.args) {
        const Result<json::Value> started = call.api.post(container_path(name, "/start"));
        if (started) {
            TRY(print_line(name));
        } else {
            warn_line(started.error().message);
            failed.push_back(name);
        }
    }
    if (failed.empty()) return 0;
    return fail(Code::Internal, "Error: failed to start containers: {}", join(failed, ", "));
}

Result<int> attach(Invocation& call) {
    // Asked first, so that an exit in between is not missed.
    http::Response wait = TRY(call.api.open(
        ApiCall{.method = http::Method::Post, .path = container_path(call.args[0], "/wait")}));
    const json::Value found = TRY(call.api.get(container_path(call.args[0], "/json")));
    if (!bool_of(found, "State.Running")) {
        return fail(Code::Conflict, "You cannot attach to a stopped container, start it first");
    }
    if (bool_of(found, "State.Paused")) {
        return fail(Code::Conflict, "You cannot attach to a paused container, unpause it first");
    }
    if (bool_of(found, "State.Restarting")) {
        return fail(Code::Conflict,
                    "You cannot attach to a restarting container, wait until it is running");
    }
    AttachOptions options;
    options.tty = bool_of(found, "Config.Tty");
    options.input = !call.flags.is_set("no-stdin") && bool_of(found, "Config.OpenStdin");
    options.forward_signals = call.flags.is_set("sig-proxy") && !options.tty;
    if (options.input && options.tty && !is_terminal(STDIN_FILENO)) {
        return fail(Code::InvalidArgument, "the input device is not a TTY");
    }
    AttachedSession session = TRY(attach_to(call, text_of(found, "Id"), options));
    if (is_terminal(STDOUT_FILENO)) session.send_size();
    const AttachedSession::Outcome outcome = TRY(session.run(&wait));
    if (outcome.end == AttachedSession::End::Detached) {
        return fail(Code::Cancelled, "read escape sequence");
    }
    return outcome.status.value_or(0);
}

}  // namespace

namespace commands {

constinit const Command kStart{
    .name = "start",
    .arguments = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Start one or more stopped containers",
    .run = &start,
    .flags = {kStartFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
    .spellings = "container start, start",
};

constinit const Command kAttach{
    .name = "attach",
    .arguments = "[OPTIONS] CONTAINER",
    .summary = "Attach local standard input, output, and error streams to a running container",
    .run = &attach,
    .flags = {kAttachFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::RunningContainers,
    .spellings = "container attach, attach",
};

}  // namespace commands

}  // namespace coffer::cli
