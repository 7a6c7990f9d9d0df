#include "runtime/systemd.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::runtime::systemd {

namespace {

using Words = std::vector<std::string>;

constexpr std::chrono::seconds kCallLimit{25};
constexpr std::chrono::seconds kStartLimit{10};

// A property is its name, its signature and its value, as busctl takes them.
struct Properties {
    Words words;
    std::size_t count = 0;
    void add(std::string name, std::string signature, const Words& value) {
        words.push_back(std::move(name));
        words.push_back(std::move(signature));
        words.insert(words.end(), value.begin(), value.end());
        ++count;
    }
    void number(std::string name, std::uint64_t value) {
        add(std::move(name), "t", {format("{}", value)});
    }
};

Result<void> call(Bus bus, const std::string& method, const std::string& signature,
                  const Words& arguments) {
    sys::SpawnOptions options;
    // What follows the two dashes may begin with one.
    options.argv = {"/usr/bin/busctl",
                    "--quiet",
                    bus == Bus::User ? "--user" : "--system",
                    "--",
                    "call",
                    "org.freedesktop.systemd1",
                    "/org/freedesktop/systemd1",
                    "org.freedesktop.systemd1.Manager",
                    method,
                    signature};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    for (const char* name :
         {"DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"}) {
        const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
        if (value != nullptr) options.env.push_back(format("{}={}", name, value));
    }
    const sys::Output output = TRY_CONTEXT(sys::run(options, "", kCallLimit), "ask systemd");
    if (output.status != 0) {
        return fail(Code::Unavailable, "systemd: {}: {}", method, trim(output.err));
    }
    return {};
}

std::uint64_t or_infinite(std::int64_t value) {
    return value < 0 ? UINT64_MAX : static_cast<std::uint64_t>(value);
}

void add_limits(const sys::cgroup::Limits& limits, Properties& properties) {
    const bool v1 = sys::cgroup::host_layout().version == 1;
    if (limits.memory)
        properties.number(v1 ? "MemoryLimit" : "MemoryMax", or_infinite(*limits.memory));
    if (limits.memory_reservation && !v1) {
        properties.number("MemoryLow", or_infinite(*limits.memory_reservation));
    }
    if (limits.pids) {
        properties.number(
            "TasksMax", *limits.pids <= 0 ? UINT64_MAX : static_cast<std::uint64_t>(*limits.pids));
    }
    if (limits.cpu_shares.value_or(0) != 0) {
        if (v1) {
            properties.number("CPUShares", *limits.cpu_shares);
        } else {
            properties.number("CPUWeight", sys::cgroup::cpu_weight_of_shares(*limits.cpu_shares));
        }
    }
    if (limits.cpu_quota.value_or(0) != 0) {
        const std::uint64_t period = limits.cpu_period.value_or(0);
        const std::uint64_t length = period == 0 ? 100'000 : period;
        properties.number("CPUQuotaPerSecUSec",
                          *limits.cpu_quota < 0
                              ? UINT64_MAX
                              : static_cast<std::uint64_t>(*limits.cpu_quota) * 1'000'000 / length);
    }
}

// The group of a process in the hierarchy that systemd manages.
Result<std::string> group_of(int pid) {
    for (const std::string& line :
         split(TRY(sys::read_file(format("/proc/{}/cgroup", pid))), '\n')) {
        const auto id = cut(line, ":");
        const auto names = id ? cut(id->second, ":") : std::nullopt;
        if (!names) continue;
        const bool v1 = sys::cgroup::host_layout().version == 1;
        if (v1 ? names->first == "name=systemd" : names->first.empty()) {
            return std::string(names->second);
        }
    }
    return fail(Code::Unavailable, "systemd manages no control groups here");
}

bool is_plain(const std::string& text) {
    return text.find_first_of("/ \t\n\\") == std::string::npos;
}

}  // namespace

Result<Scope> parse_path(const std::string& path, const std::string& id, Bus bus) {
    std::vector<std::string> parts = split(path.empty() ? ":coffer-oci:" + id : path, ':');
    if (parts.size() != 3 || parts[2].empty() || !is_plain(parts[0]) || !is_plain(parts[1]) ||
        !is_plain(parts[2])) {
        return fail(Code::InvalidArgument, "linux.cgroupsPath '{}' is not slice:prefix:name", path);
    }
    if (parts[2].ends_with(".slice")) {
        return fail(Code::NotImplemented, "linux.cgroupsPath '{}': a slice is not supported", path);
    }
    Scope scope;
    scope.slice = parts[0].empty() ? (bus == Bus::User ? "user.slice" : "system.slice") : parts[0];
    if (!scope.slice.ends_with(".slice")) {
        return fail(Code::InvalidArgument, "linux.cgroupsPath '{}': '{}' is not a slice", path,
                    scope.slice);
    }
    scope.unit = (parts[1].empty() ? parts[2] : parts[1] + "-" + parts[2]) + ".scope";
    return scope;
}

Result<std::string> start(Bus bus, const Scope& scope, int pid, const sys::cgroup::Limits& limits) {
    Properties properties;
    properties.add("Description", "s", {"coffer container " + scope.unit});
    properties.add("Slice", "s", {scope.slice});
    properties.add("PIDs", "au", {"1", format("{}", pid)});
    properties.add("Delegate", "b", {"true"});
    properties.add("DefaultDependencies", "b", {"false"});
    properties.add("CollectMode", "s", {"inactive-or-failed"});
    add_limits(limits, properties);
    Words arguments = {scope.unit, "fail", format("{}", properties.count)};
    arguments.insert(arguments.end(), properties.words.begin(), properties.words.end());
    arguments.emplace_back("0");  // no further units
    TRY_CONTEXT(call(bus, "StartTransientUnit", "ssa(sv)a(sa(sv))", arguments), "start '{}'",
                scope.unit);
    // The answer comes when the job is queued; it is done when the process has moved.
    const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
    for (;;) {
        std::string group = TRY(group_of(pid));
        if (group.ends_with("/" + scope.unit)) return group;
        if (std::chrono::steady_clock::now() > deadline) {
            stop(bus, scope.unit);
            return fail(Code::Unavailable, "systemd does not start '{}': the process is in '{}'",
                        scope.unit, group);
        }
        ::usleep(2000);
    }
}

Result<void> set_limits(Bus bus, const std::string& unit, const sys::cgroup::Limits& limits) {
    Properties properties;
    add_limits(limits, properties);
    if (properties.count == 0) return {};
    Words arguments = {unit, "true", format("{}", properties.count)};
    arguments.insert(arguments.end(), properties.words.begin(), properties.words.end());
    return call(bus, "SetUnitProperties", "sba(sv)", arguments);
}

void stop(Bus bus, const std::string& unit) {
    ignore(call(bus, "StopUnit", "ss", {unit, "replace"}), "it goes with its last process");
}

}  // namespace coffer::runtime::systemd
