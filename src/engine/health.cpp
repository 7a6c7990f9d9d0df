#include "engine/health.hpp"

#include "base/text.hpp"
#include "sys/socket_address.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kKeptResults = 5;
constexpr std::int64_t kDefaultRetries = 3;
constexpr std::chrono::seconds kDefaultInterval(30);
constexpr std::chrono::seconds kDefaultTimeout(30);
constexpr std::chrono::seconds kDefaultStartInterval(5);
constexpr std::chrono::nanoseconds kShortest = std::chrono::milliseconds(1);

const std::string& label(const api::ContainerConfig& config, const std::string& name) {
    static const std::string none;
    const auto found = config.labels.find("coffer.health." + name);
    return found == config.labels.end() ? none : found->second;
}

Result<std::uint16_t> parse_port(std::string_view text) {
    const auto port = parse_uint(text);
    if (!port || *port == 0 || *port > 65535) {
        return fail(Code::InvalidArgument, "invalid health check: '{}' is no port", text);
    }
    return static_cast<std::uint16_t>(*port);
}

// "[host:]port", with [...] around an IPv6 address.
Result<HealthProbe> parse_target(std::string_view text) {
    HealthProbe probe;
    const std::size_t colon = text.rfind(':');
    std::string_view host = colon == std::string_view::npos ? "" : text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host != "localhost") probe.host = std::string(host);
    if (!probe.host.empty() && !sys::SocketAddress::parse(probe.host, 0)) {
        return fail(Code::InvalidArgument,
                    "invalid health check: host '{}' is no address; without one the container's "
                    "loopback is meant",
                    host);
    }
    probe.port = TRY(parse_port(colon == std::string_view::npos ? text : text.substr(colon + 1)));
    return probe;
}

Result<HealthProbe> parse_url(std::string_view url) {
    constexpr std::string_view kScheme = "http://";
    if (!url.starts_with(kScheme)) {
        return fail(Code::InvalidArgument, "invalid health check: '{}' is no http:// URL", url);
    }
    const std::string_view rest = url.substr(kScheme.size());
    const std::size_t slash = rest.find('/');
    std::string target(rest.substr(0, slash));
    const std::size_t colon = target.rfind(':');
    if (colon == std::string::npos || target.ends_with(']')) target += ":80";
    HealthProbe probe = TRY(parse_target(target));
    probe.path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
    for (const char c : probe.path) {
        if (c <= ' ' || c == '\x7f') {
            return fail(Code::InvalidArgument, "invalid health check: '{}' has blanks", url);
        }
    }
    return probe;
}

Result<void> check_time(std::int64_t time, std::string_view name) {
    if (time == 0 || std::chrono::nanoseconds(time) >= kShortest) return {};
    return fail(Code::InvalidArgument, "{} in Healthcheck cannot be less than 1ms", name);
}

}  // namespace

Result<void> prepare_health(api::ContainerConfig& config) {
    for (const auto& [name, kind] : {std::pair("tcp", "TCP"), std::pair("http", "HTTP")}) {
        const std::string& target = label(config, name);
        if (target.empty()) continue;
        if (!config.healthcheck) config.healthcheck.emplace();
        if (config.healthcheck->test.empty()) config.healthcheck->test = {kind, target};
    }
    const std::string& action = label(config, "on-failure");
    if (!action.empty() && action != "none" && action != "kill" && action != "restart" &&
        action != "stop") {
        return fail(Code::InvalidArgument,
                    "invalid action '{}' on a failed health check; use one of 'none', 'kill', "
                    "'restart', or 'stop'",
                    action);
    }
    if (!config.healthcheck) return {};
    const api::HealthConfig& check = *config.healthcheck;
    TRY(check_time(check.interval, "Interval"));
    TRY(check_time(check.timeout, "Timeout"));
    if (check.retries < 0) {
        return fail(Code::InvalidArgument, "Retries in Healthcheck cannot be negative");
    }
    TRY(check_time(check.start_period, "StartPeriod"));
    TRY(check_time(check.start_interval, "StartInterval"));
    TRY(probe_of(config));
    return {};
}

Result<std::optional<HealthProbe>> probe_of(const api::ContainerConfig& config) {
    if (!config.healthcheck || config.healthcheck->test.empty()) {
        return std::optional<HealthProbe>();
    }
    const api::Strings& test = config.healthcheck->test;
    const std::string& kind = test.front();
    if (kind == "NONE") return std::optional<HealthProbe>();
    if (kind == "TCP" || kind == "HTTP") {
        if (test.size() != 2) {
            return fail(Code::InvalidArgument, "invalid health check: {} takes one target", kind);
        }
        return std::optional(kind == "TCP" ? TRY(parse_target(test[1])) : TRY(parse_url(test[1])));
    }
    HealthProbe probe;
    if (kind == "CMD-SHELL") {
        probe.command =
            config.shell && !config.shell->empty() ? *config.shell : api::Strings{"/bin/sh", "-c"};
    } else if (kind != "CMD") {
        return fail(Code::InvalidArgument,
                    "Unknown healthcheck type '{}' (expected 'CMD', 'CMD-SHELL', 'TCP', 'HTTP' or "
                    "'NONE')",
                    kind);
    }
    probe.command.insert(probe.command.end(), test.begin() + 1, test.end());
    if (probe.command.empty() || test.size() < 2) {
        return fail(Code::InvalidArgument, "invalid health check: {} without a command", kind);
    }
    return std::optional(probe);
}

HealthAction health_action(const api::ContainerConfig& config) {
    const std::string& action = label(config, "on-failure");
    if (action == "kill") return HealthAction::Kill;
    if (action == "restart") return HealthAction::Restart;
    if (action == "stop") return HealthAction::Stop;
    return HealthAction::None;
}

HealthTimes health_times(const api::ContainerConfig& config) {
    const api::HealthConfig check = config.healthcheck.value_or(api::HealthConfig());
    const auto or_default = [](std::int64_t time, std::chrono::nanoseconds otherwise) {
        return time > 0 ? std::chrono::nanoseconds(time) : otherwise;
    };
    return {or_default(check.interval, kDefaultInterval),
            or_default(check.timeout, kDefaultTimeout), or_default(check.start_period, {}),
            or_default(check.start_interval, kDefaultStartInterval)};
}

bool note_result(api::Health& health, const api::ContainerConfig& config, api::HealthLog result,
                 std::chrono::nanoseconds since_start) {
    const std::string before = health.status;
    const bool failed = result.exit_code != 0;
    health.log.push_back(std::move(result));
    if (health.log.size() > kKeptResults) health.log.erase(health.log.begin());
    if (!failed) {
        health.failing_streak = 0;
        health.status = "healthy";
    } else if (before != "starting" || since_start >= health_times(config).start_period) {
        // Before the first success, failures of the start period do not count.
        const std::int64_t retries = config.healthcheck ? config.healthcheck->retries : 0;
        if (++health.failing_streak >= (retries > 0 ? retries : kDefaultRetries)) {
            health.status = "unhealthy";
        }
    }
    return health.status != before;
}

}  // namespace coffer::engine
