// Commands on a container that runs: pause, resume, update, events.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "json/codec.hpp"
#include "runtime/commands.hpp"
#include "runtime/events.hpp"

namespace coffer::runtime {

namespace {

constexpr std::size_t kResourcesLimit = 1U << 20U;

// Sets `target` when the flag is given.
template <class Number>
Result<void> take_number(const Args& args, std::string_view flag, std::optional<Number>& target) {
    if (args.get(flag).empty()) return {};
    const auto value = parse_int(args.get(flag));
    const auto number = static_cast<Number>(value.value_or(0));
    if (!value || static_cast<std::int64_t>(number) != *value ||
        (std::is_unsigned_v<Number> && *value < 0)) {
        return fail(Code::InvalidArgument, "invalid value for {}: {}", flag, args.get(flag));
    }
    target = number;
    return {};
}

// A number of bytes, also "512m"; -1 lifts the limit.
Result<void> take_bytes(const Args& args, std::string_view flag,
                        std::optional<std::int64_t>& target) {
    const std::string text = args.get(flag);
    if (text.empty()) return {};
    target = text == "-1" ? std::optional<std::int64_t>(-1) : parse_bytes(text);
    if (!target) return fail(Code::InvalidArgument, "invalid value for {}: {}", flag, text);
    return {};
}

Result<oci::LinuxResources> resources_of(const Args& args) {
    if (args.has("resources")) {
        const std::string path = args.get("resources");
        const std::string text = path == "-" ? TRY(sys::read_all(STDIN_FILENO, kResourcesLimit))
                                             : TRY(sys::read_file(path, kResourcesLimit));
        return TRY_CONTEXT(json::decode<oci::LinuxResources>(text), "resources '{}'", path);
    }
    oci::LinuxResources resources;
    TRY(take_number(args, "blkio-weight", resources.block_io.emplace().weight));
    oci::LinuxCpu& cpu = resources.cpu.emplace();
    TRY(take_number(args, "cpu-period", cpu.period));
    TRY(take_number(args, "cpu-quota", cpu.quota));
    TRY(take_number(args, "cpu-burst", cpu.burst));
    TRY(take_number(args, "cpu-share", cpu.shares));
    TRY(take_number(args, "cpu-rt-period", cpu.realtime_period));
    TRY(take_number(args, "cpu-rt-runtime", cpu.realtime_runtime));
    TRY(take_number(args, "cpu-idle", cpu.idle));
    cpu.cpus = args.get("cpuset-cpus");
    cpu.mems = args.get("cpuset-mems");
    oci::LinuxMemory& memory = resources.memory.emplace();
    TRY(take_bytes(args, "memory", memory.limit));
    TRY(take_bytes(args, "memory-reservation", memory.reservation));
    TRY(take_bytes(args, "memory-swap", memory.swap));
    TRY(take_bytes(args, "kernel-memory", memory.kernel));
    TRY(take_bytes(args, "kernel-memory-tcp", memory.kernel_tcp));
    TRY(take_number(args, "pids-limit", resources.pids.emplace().limit));
    return resources;
}

void print_event(const std::string& type, const std::string& id, json::Object data) {
    json::Object event{{"type", type}, {"id", id}};
    if (!data.empty()) event.push_back({"data", std::move(data)});
    fmt::print("{}\n", json::write(event));
    std::fflush(stdout);
}

// The count of OOM events after what `oom_fd` reports.
Result<std::uint64_t> take_oom_events(int oom_fd, const sys::cgroup::Cgroup& group,
                                      std::uint64_t before) {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::read(oom_fd, bytes.data(), bytes.size());
    if (sys::cgroup::host_layout().version != 1) return group.oom_kills();
    std::uint64_t events = 0;
    if (n != sizeof events || !group.stats()) return before;
    std::memcpy(&events, bytes.data(), sizeof events);
    return before + events;
}

// "5s", "500ms", "1m", as Go writes durations.
Result<std::chrono::milliseconds> parse_interval(const std::string& text) {
    static constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
    for (const auto& [unit, milliseconds] : kUnits) {
        if (!text.ends_with(unit)) continue;
        const auto count = parse_uint(text.substr(0, text.size() - unit.size()));
        if (!count) continue;
        if (*count == 0 || *count > 86'400'000) break;
        return std::chrono::milliseconds(static_cast<std::int64_t>(*count) * milliseconds);
    }
    return fail(Code::InvalidArgument, "duration interval '{}' must be greater than 0", text);
}

}  // namespace

Result<int> pause_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "pause"));
    TRY(containers.pause(id));
    return 0;
}

Result<int> resume_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "resume"));
    TRY(containers.resume(id));
    return 0;
}

Result<int> update_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "update"));
    TRY(containers.inspect(id));
    std::vector<std::string> schemata;
    for (const char* flag : {"l3-cache-schema", "mem-bw-schema"}) {
        if (args.has(flag)) schemata.push_back(args.get(flag));
    }
    if (!schemata.empty()) {
        TRY_CONTEXT(containers.update_schemata(id, schemata), "--l3-cache-schema, --mem-bw-schema");
    }
    const oci::LinuxResources changes = TRY(resources_of(args));
    TRY(containers.update(id, changes));
    return 0;
}

Result<int> events_command(const Containers& containers, const Args& args) {
    const std::string id = TRY(one_id(args, "events"));
    const auto interval =
        TRY(parse_interval(args.has("interval") ? args.get("interval") : std::string("5s")));
    const Inspection container = TRY(containers.inspect(id));
    if (container.status == Status::Stopped || container.status == Status::Creating) {
        return fail(Code::Conflict, "container with id {} is not running", id);
    }
    const auto group = TRY(open_cgroup(container.state));
    if (args.has("stats")) {
        const sys::cgroup::Stats stats = TRY(group.stats());
        print_event("stats", id, stats_document(stats));
        return 0;
    }
    const sys::Fd init = TRY(open_init(container));
    const sys::Fd oom = TRY(group.oom_events());
    std::uint64_t kills = TRY(group.oom_kills());
    auto next = std::chrono::steady_clock::now() + interval;
    for (;;) {
        pollfd polls[] = {{init.get(), POLLIN, 0}, {oom.get(), POLLIN | POLLPRI, 0}};
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
            next - std::chrono::steady_clock::now());
        const int limit = static_cast<int>(std::max<std::int64_t>(0, rest.count()));
        if (::poll(polls, 2, limit) < 0 && errno != EINTR) return fail_errno("wait for events");
        if (polls[1].revents != 0) {
            // v1 tells of the shortage before anything is killed, and once more at the group's end.
            const std::uint64_t now = TRY(take_oom_events(oom.get(), group, kills));
            for (; kills < now; ++kills) print_event("oom", id, {});
        }
        if (polls[0].revents != 0) return 0;
        if (std::chrono::steady_clock::now() < next) continue;
        if (auto stats = group.stats()) print_event("stats", id, stats_document(*stats));
        next += interval;
    }
}

}  // namespace coffer::runtime
