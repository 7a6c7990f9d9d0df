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
    const auto log_options = flags.list("log-opt");
    const bool ports = flags.given("publish-add") || flags.given("publish-rm");
    if (!log_options.empty() && (others || ports))
        return fail(Code::InvalidArgument, "--log-opt goes without other options");
    if (ports && others)
        return fail(Code::InvalidArgument,
                    "--publish-add and --publish-rm go without other options");
    if (flags.given("publish-add"))
        body.set("PublishAdd", TRY(port_bindings(flags.list("publish-add"))));
    if (flags.given("publish-rm"))
        body.set("PublishRemove", TRY(port_bindings(flags.list("publish-rm"))));
    if (log_options.empty() && !others && !ports)
        return fail(Code::InvalidArgument,
                    "you must provide one or more flags when using this command");
    if (!log_options.empty())
        body.set("LogConfig", json::Object{{"Config", string_map(log_options)}});
    return body;
}

Result<int> update(Invocation& call) {
    const json::Value body = TRY(body_of(call.flags));
    int status = 0;
    for (const std::string& name : call.args) {
        const Result<json::Value> reply = call.api.post(container_path(name, "/update"), {}, body);
        if (!reply) {
            warn_line(reply.error().message);
            status = 1;
            continue;
        }
        for (const json::Value& warning : array_of(*reply, "Warnings"))
            warn_line(template_text(warning));
        TRY(print_line(name));
    }
    return status;
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
