// coffer update: limits and restart policy of containers, also while they run.
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    counted(value("uint16", "blkio-weight", 0, &check_uint16,
                  "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)")),
    counted(value("int", "cpu-period", 0, &check_int,
                  "Limit CPU CFS (Completely Fair Scheduler) period")),
    counted(value("int", "cpu-quota", 0, &check_int,
                  "Limit CPU CFS (Completely Fair Scheduler) quota")),
    counted(value("int", "cpu-rt-period", 0, &check_int,
                  "Limit the CPU real-time period in microseconds")),
    counted(value("int", "cpu-rt-runtime", 0, &check_int,
                  "Limit the CPU real-time runtime in microseconds")),
    counted(value("int", "cpu-shares", 'c', &check_int, "CPU shares (relative weight)")),
    counted(value("decimal", "cpus", 0, &check_cpus, "Number of CPUs")),
    text("cpuset-cpus", 0, "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", 0, "MEMs in which to allow execution (0-3, 0,1)"),
    list("log-opt", 0, nullptr,
         "Limits of the log: max-size=SIZE, max-file=NUMBER; not beside other options"),
    counted(value("bytes", "memory", 'm', &check_bytes, "Memory limit")),
    counted(value("bytes", "memory-reservation", 0, &check_bytes, "Memory soft limit")),
    counted(value("bytes", "memory-swap", 0, &check_swap,
                  "Swap limit equal to memory plus swap: -1 to enable unlimited swap")),
    list("mount-add", 0, &check_mount,
         "Mount a bind, volume, tmpfs or image, also in a running container; not beside other "
         "options"),
    list("mount-rm", 0, nullptr, "Take a mount away: the path in the container"),
    counted(value("int", "pids-limit", 0, &check_int,
                  "Tune container pids limit (set -1 for unlimited)")),
    list("publish-add", 0, nullptr,
         "Publish a port, also of a running container; not beside other options"),
    list("publish-rm", 0, nullptr,
         "Take a published port back: CONTAINER_PORT, or as it was published"),
    text("restart", 0, "Restart policy to apply when a container exits"),
};

struct Field {
    std::string_view flag;
    std::string_view name;
};
constexpr Field kNumbers[] = {
    {"blkio-weight", "BlkioWeight"},
    {"cpu-period", "CpuPeriod"},
    {"cpu-quota", "CpuQuota"},
    {"cpu-rt-period", "CpuRealtimePeriod"},
    {"cpu-rt-runtime", "CpuRealtimeRuntime"},
    {"cpu-shares", "CpuShares"},
    {"cpus", "NanoCpus"},
    {"memory", "Memory"},
    {"memory-reservation", "MemoryReservation"},
    {"memory-swap", "MemorySwap"},
    {"pids-limit", "PidsLimit"},
};

Result<json::Value> body_of(const Values& flags) {
    json::Value body{json::Object{}};
    bool others = false;
    for (const auto& [flag, name] : kNumbers) {
        if (!flags.given(flag)) continue;
        body.set(name, flags.number(flag));
        others = true;
    }
    for (const auto& [flag, name] :
         {Field{"cpuset-cpus", "CpusetCpus"}, Field{"cpuset-mems", "CpusetMems"}}) {
        if (!flags.given(flag)) continue;
        body.set(name, flags.text(flag));
        others = true;
    }
    if (flags.given("restart")) {
        body.set("RestartPolicy", TRY(restart_policy(flags.text("restart"))));
        others = true;
    }
    const bool log = flags.given("log-opt");
    const bool ports = flags.given("publish-add") || flags.given("publish-rm");
    const bool mounts = flags.given("mount-add") || flags.given("mount-rm");
    const int kinds = int{others} + int{log} + int{ports} + int{mounts};
    if (kinds == 0)
        return fail(Code::InvalidArgument,
                    "you must provide one or more flags when using this command");
    if (kinds > 1)
        return fail(Code::InvalidArgument, "{} without other options",
                    log     ? "--log-opt goes"
                    : ports ? "--publish-add and --publish-rm go"
                            : "--mount-add and --mount-rm go");
    if (log) body.set("LogConfig", json::Object{{"Config", string_map(flags.list("log-opt"))}});
    if (flags.given("publish-add"))
        body.set("PublishAdd", TRY(port_bindings(flags.list("publish-add"))));
    if (flags.given("publish-rm"))
        body.set("PublishRemove", TRY(port_bindings(flags.list("publish-rm"))));
    if (flags.given("mount-add")) {
        json::Array added;
        for (const std::string& text : flags.list("mount-add"))
            added.push_back(TRY(parse_mount(text)));
        body.set("MountAdd", std::move(added));
    }
    if (flags.given("mount-rm")) body.set("MountRemove", string_array(flags.list("mount-rm")));
    return body;
}

Result<int> update(Invocation& call) {
    const json::Value body = TRY(body_of(call.flags));
    return one_by_one(call.args, [&](const std::string& name) -> Result<void> {
        const json::Value reply = TRY(call.api.post(container_path(name, "/update"), {}, body));
        for (const json::Value& warning : array_of(reply, "Warnings"))
            warn_line(template_text(warning));
        return {};
    });
}

}  // namespace

constinit const Command commands::kUpdate{
    .name = "update",
    .arguments = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Update configuration of one or more containers",
    .run = &update,
    .flags = {kFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
    .spellings = "container update, update",
};

}  // namespace coffer::cli
