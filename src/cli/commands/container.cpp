// The life of containers: stop, restart, kill, pause, unpause, wait, rename, rm, logs, top, port,
// inspect and prune, and the group "container".
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/inspect_as.hpp"
#include "cli/commands/pruning.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"
#include "cli/units.hpp"
#include "http/stream.hpp"

namespace coffer::cli {

namespace {

constexpr Flag kTimeout = with_default(
    value("int", "timeout", 't', &check_int, "Seconds to wait before killing the container"), "0",
    {});
constexpr std::array kStopFlags = {
    text("signal", 's', "Signal to send to the container"),
    kTimeout,
    other_spelling("time", kTimeout),
};
constexpr std::array kKillFlags = {text("signal", 's', "Signal to send to the container")};
constexpr std::array kRmFlags = {
    toggle("force", 'f', "Force the removal of a running container (uses SIGKILL)"),
    toggle("link", 'l', "Remove the specified link"),
    toggle("volumes", 'v', "Remove anonymous volumes associated with the container"),
};
constexpr std::array kLogsFlags = {
    toggle("details", 0, "Show extra details provided to logs"),
    toggle("follow", 'f', "Follow log output"),
    text("since", 0,
         "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for "
         "42 minutes)"),
    with_default(text("tail", 'n', "Number of lines to show from the end of the logs"), "all",
                 "\"all\""),
    toggle("timestamps", 't', "Show timestamps"),
    text("until", 0,
         "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" "
         "for 42 minutes)"),
};
constexpr std::array kPruneFlags = {
    list("filter", 0, &check_filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    toggle("force", 'f', "Do not prompt for confirmation"),
};
constexpr std::array kInspectFlags = {
    kAsFlag,
    text("format", 'f', kInspectFormatHelp),
    toggle("size", 's', "Display total file sizes"),
};

// POST /containers/<name><action> for every name.
Result<int> post_each(Invocation& call, std::string_view action, const Query& query) {
    return for_each_name(call.args, [&](const std::string& name) -> Result<void> {
        TRY(call.api.post(container_path(name, action), query));
        return {};
    });
}

Query stop_query(const Values& flags) {
    Query query;
    if (flags.given("timeout")) query.emplace("t", flags.text("timeout"));
    if (const std::string signal = flags.text("signal"); !signal.empty()) {
        query.emplace("signal", signal);
    }
    return query;
}

Result<int> stop(Invocation& call) {
    return post_each(call, "/stop", stop_query(call.flags));
}

Result<int> restart(Invocation& call) {
    return post_each(call, "/restart", stop_query(call.flags));
}

Result<int> kill(Invocation& call) {
    Query query;
    if (const std::string signal = call.flags.text("signal"); !signal.empty()) {
        query.emplace("signal", signal);
    }
    return post_each(call, "/kill", query);
}

Result<int> pause(Invocation& call) {
    return post_each(call, "/pause", {});
}

Result<int> unpause(Invocation& call) {
    return post_each(call, "/unpause", {});
}

Result<int> wait(Invocation& call) {
    std::vector<std::string> errors;
    for (const std::string& name : call.args) {
        const Result<json::Value> ended = call.api.post(container_path(name, "/wait"));
        if (ended) {
            TRY(print(format("{}\n", int_of(*ended, "StatusCode"))));
        } else {
            errors.push_back(ended.error().message);
        }
    }
    if (errors.empty()) return 0;
    return fail(Code::Internal, "{}", join(errors, "\n"));
}

Result<int> rename(Invocation& call) {
    const std::string from(trim(call.args[0]));
    const std::string to(trim(call.args[1]));
    if (from.empty() || to.empty()) {
        return fail(Code::InvalidArgument, "Error: Neither old nor new names may be empty");
    }
    TRY(call.api.post(container_path(from, "/rename"), {{"name", to}}));
    return 0;
}

Result<int> rm(Invocation& call) {
    Query query;
    const bool force = call.flags.is_set("force");
    if (force) query.emplace("force", "1");
    if (call.flags.is_set("link")) query.emplace("link", "1");
    if (call.flags.is_set("volumes")) query.emplace("v", "1");
    const auto act = [&](const std::string& name) -> Result<void> {
        std::string_view bare = name;
        while (bare.starts_with('/')) bare.remove_prefix(1);
        while (bare.ends_with('/')) bare.remove_suffix(1);
        if (bare.empty()) return fail(Code::InvalidArgument, "container name cannot be empty");
        TRY(call.api.remove(container_path(bare), query));
        return {};
    };
    if (!force) return for_each_name(call.args, act);
    // With --force an absent container is told, but is no failure.
    std::vector<std::string> errors;
    for (const std::string& name : call.args) {
        const Result<void> removed = act(name);
        if (removed) {
            TRY(print_line(name));
        } else if (removed.error().code == Code::NotFound) {
            warn_line(removed.error().message);
        } else {
            errors.push_back(removed.error().message);
        }
    }
    if (errors.empty()) return 0;
    return fail(Code::Internal, "{}", join(errors, "\n"));
}

// What docker's client makes of --since and --until: unix seconds for durations and dates.
Result<std::string> log_time(const std::string& text, std::string_view flag) {
    if (text.empty()) return text;
    const Time reference = now();
    const auto time = parse_timestamp(text, reference);
    if (!time) {
        return fail(Code::InvalidArgument,
                    "invalid value for \"{}\": failed to parse value as time "
                    "or duration: {}",
                    flag, quoted(text));
    }
    const auto nanoseconds = time->time_since_epoch().count();
    return format("{}.{:09}", nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000);
}

Result<int> logs(Invocation& call) {
    const Values& flags = call.flags;
    const json::Value found = TRY(call.api.get(container_path(call.args[0], "/json")));
    Query query{{"stdout", "1"}, {"stderr", "1"}, {"tail", flags.text("tail")}};
    for (const std::string_view name : {"since", "until"}) {
        const std::string time = TRY(log_time(flags.text(name), name));
        if (!time.empty()) query.emplace(name, time);
    }
    for (const std::string_view name : {"follow", "timestamps", "details"}) {
        if (flags.is_set(name)) query.emplace(name, "1");
    }
    http::Response response = TRY(call.api.open(
        ApiCall{.path = container_path(text_of(found, "Id"), "/logs"), .query = query}));
    const bool tty = bool_of(found, "Config.Tty");
    http::FrameDecoder decoder;
    std::string buffer(32 * 1024, '\0');
    for (;;) {
        const std::size_t got = TRY(response.body().read(buffer.data(), buffer.size()));
        if (got == 0) return 0;
        const std::string_view bytes(buffer.data(), got);
        if (tty) {
            TRY(print(bytes));
            continue;
        }
        for (const http::Frame& frame : TRY(decoder.feed(bytes))) {
            if (frame.type == http::FrameType::SystemError) {
                return fail(Code::Internal, "error from daemon in stream: {}", frame.payload);
            }
            const bool is_error = frame.type == http::FrameType::Stderr;
            TRY(sys::write_all(is_error ? STDERR_FILENO : STDOUT_FILENO, frame.payload));
        }
    }
}

Result<int> top(Invocation& call) {
    Query query;
    if (call.args.size() > 1) {
        query.emplace("ps_args", join({call.args.begin() + 1, call.args.end()}, " "));
    }
    const json::Value reply = TRY(call.api.get(container_path(call.args[0], "/top"), query));
    std::string lines;
    const auto add = [&](const json::Array& cells) {
        std::vector<std::string> words;
        for (const json::Value& cell : cells) words.push_back(template_text(cell));
        lines += join(words, "\t") + "\n";
    };
    add(array_of(reply, "Titles"));
    for (const json::Value& process : array_of(reply, "Processes")) add(array_of(process, ""));
    TRY(print(align_columns(lines, {.min_width = 20})));
    return 0;
}

std::string host_and_port(const json::Value& binding) {
    const std::string ip = text_of(binding, "HostIp");
    const std::string port = text_of(binding, "HostPort");
    return ip.find(':') == std::string::npos ? ip + ":" + port : "[" + ip + "]:" + port;
}

// Digits compare as numbers, as docker sorts ports.
bool natural_less(const std::string& a, const std::string& b) {
    std::size_t i = 0;
    std::size_t j = 0;
    const auto digits = [](const std::string& text, std::size_t from) {
        std::size_t end = from;
        while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
        return end - from;
    };
    while (i < a.size() && j < b.size()) {
        const std::size_t left = digits(a, i);
        const std::size_t right = digits(b, j);
        if (left > 0 && right > 0) {
            const auto one = parse_uint(std::string_view(a).substr(i, left)).value_or(0);
            const auto other = parse_uint(std::string_view(b).substr(j, right)).value_or(0);
            if (one != other) return one < other;
            i += left;
            j += right;
        } else if (a[i] != b[j]) {
            return a[i] < b[j];
        } else {
            ++i;
            ++j;
        }
    }
    return a.size() - i < b.size() - j;
}

Result<int> port(Invocation& call) {
    const json::Value found = TRY(call.api.get(container_path(call.args[0], "/json")));
    const json::Value* settings = found.find("NetworkSettings");
    const json::Value* ports = settings != nullptr ? settings->find("Ports") : nullptr;
    const json::Value none;
    std::vector<std::string> lines;
    if (call.args.size() == 2) {
        const auto sides = cut(call.args[1], "/");
        const std::string number(sides ? sides->first : std::string_view(call.args[1]));
        const auto parsed = parse_uint(number);
        if (!parsed || *parsed > 65535) {
            return fail(Code::InvalidArgument,
                        "Error: invalid port ({}): strconv.ParseUint: parsing {}: {}", number,
                        quoted(number), parsed ? "value out of range" : "invalid syntax");
        }
        const std::string key =
            format("{}/{}", number, sides && !sides->second.empty() ? sides->second : "tcp");
        const json::Value* bindings = ports != nullptr ? ports->find(key) : nullptr;
        for (const json::Value& binding : array_of(bindings != nullptr ? *bindings : none, "")) {
            lines.push_back(host_and_port(binding));
        }
        if (lines.empty()) {
            return fail(Code::NotFound, "Error: No public port '{}' published for {}", call.args[1],
                        call.args[0]);
        }
    } else {
        for (const json::Member& member : object_of(ports != nullptr ? *ports : none, "")) {
            for (const json::Value& binding : array_of(member.value, "")) {
                lines.push_back(member.key + " -> " + host_and_port(binding));
            }
        }
    }
    std::sort(lines.begin(), lines.end(), natural_less);
    if (!lines.empty()) TRY(print_line(join(lines, "\n")));
    return 0;
}

Result<int> inspect(Invocation& call) {
    if (call.flags.given("as")) return inspect_as(call);
    Query query;
    if (call.flags.is_set("size")) query.emplace("size", "1");
    return print_inspected(
        call.args, call.flags.text("format"), [&](const std::string& name) -> Result<std::string> {
            return call.api.text(ApiCall{.path = container_path(name, "/json"), .query = query});
        });
}

Result<int> prune_stopped(Invocation& call) {
    return prune(call,
                 {.object = "container", .title = "Containers", .what = "all stopped containers"},
                 call.flags.list("filter"));
}

constexpr std::string_view kSome = "CONTAINER [CONTAINER...]";
constexpr std::string_view kSomeWithOptions = "[OPTIONS] CONTAINER [CONTAINER...]";

}  // namespace

namespace commands {

constinit const Command kStop{
    .name = "stop",
    .arguments = kSomeWithOptions,
    .summary = "Stop one or more running containers",
    .run = &stop,
    .flags = {kStopFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container stop, stop",
};
constinit const Command kRestart{
    .name = "restart",
    .arguments = kSomeWithOptions,
    .summary = "Restart one or more containers",
    .run = &restart,
    .flags = {kStopFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
    .spellings = "container restart, restart",
};
constinit const Command kKill{
    .name = "kill",
    .arguments = kSomeWithOptions,
    .summary = "Kill one or more running containers",
    .run = &kill,
    .flags = {kKillFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container kill, kill",
};
constinit const Command kPause{
    .name = "pause",
    .arguments = kSome,
    .summary = "Pause all processes within one or more containers",
    .run = &pause,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container pause, pause",
};
constinit const Command kUnpause{
    .name = "unpause",
    .arguments = kSome,
    .summary = "Unpause all processes within one or more containers",
    .run = &unpause,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container unpause, unpause",
};
constinit const Command kWait{
    .name = "wait",
    .arguments = kSome,
    .summary = "Block until one or more containers stop, then print their exit codes",
    .run = &wait,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container wait, wait",
};
constinit const Command kRename{
    .name = "rename",
    .arguments = "CONTAINER NEW_NAME",
    .summary = "Rename a container",
    .run = &rename,
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Containers,
    .spellings = "container rename, rename",
};
constinit const Command kRm{
    .name = "rm",
    .arguments = kSomeWithOptions,
    .summary = "Remove one or more containers",
    .run = &rm,
    .flags = {kRmFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
    .spellings = "container rm, container remove, rm",
    .other_names = "remove",
};
constinit const Command kLogs{
    .name = "logs",
    .arguments = "[OPTIONS] CONTAINER",
    .summary = "Fetch the logs of a container",
    .run = &logs,
    .flags = {kLogsFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Containers,
    .spellings = "container logs, logs",
};
constinit const Command kTop{
    .name = "top",
    .arguments = "CONTAINER [ps OPTIONS]",
    .summary = "Display the running processes of a container",
    .run = &top,
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .interspersed = Interspersed::No,
    .spellings = "container top, top",
};
constinit const Command kPort{
    .name = "port",
    .arguments = "CONTAINER [PRIVATE_PORT[/PROTO]]",
    .summary = "List port mappings or a specific mapping for the container",
    .run = &port,
    .min_args = 1,
    .max_args = 2,
    .completes = Completes::RunningContainers,
    .spellings = "container port, port",
};
constinit const Command kContainerPrune{
    .name = "prune",
    .arguments = "[OPTIONS]",
    .summary = "Remove all stopped containers",
    .run = &prune_stopped,
    .flags = {kPruneFlags},
};
constinit const Command kContainerInspect{
    .name = "inspect",
    .arguments = kSomeWithOptions,
    .summary = "Display detailed information on one or more containers",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
};

static constinit const std::array<const Command*, 26> kContainerCommands = {&kAttach,
                                                                            &kCommit,
                                                                            &kContainerInspect,
                                                                            &kContainerLs,
                                                                            &kContainerPrune,
                                                                            &kCp,
                                                                            &kCreate,
                                                                            &kDiff,
                                                                            &kExec,
                                                                            &kExport,
                                                                            &kKill,
                                                                            &kLogs,
                                                                            &kPause,
                                                                            &kPort,
                                                                            &kRename,
                                                                            &kRestart,
                                                                            &kRm,
                                                                            &kRun,
                                                                            &kStart,
                                                                            &kStats,
                                                                            &kStop,
                                                                            &kTop,
                                                                            &kUnpause,
                                                                            &kRecreate,
                                                                            &kUpdate,
                                                                            &kWait};
constinit const Command kContainer{
    .name = "container",
    .arguments = {},
    .summary = "Manage containers",
    .children = kContainerCommands,
};

}  // namespace commands

}  // namespace coffer::cli
