#pragma once
// Health checks: what they are, and what their results mean, as docker defines it. Pure.
//
// Docker's tests are CMD, CMD-SHELL and NONE. Two more need no program in the image: {"TCP",
// "5432"} and {"HTTP", "http://:8080/healthz"} connect from inside the container's network. The
// labels coffer.health.tcp, coffer.health.http and coffer.health.on-failure say the same for
// clients that cannot.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "api/container.hpp"
#include "base/result.hpp"

namespace coffer::engine {

struct HealthProbe {
    std::vector<std::string> command;  // of an exec; empty: a connection
    std::string host;                  // empty: loopback
    std::uint16_t port = 0;
    std::string path;  // of an HTTP request; empty: plain TCP
};

// Settles the labels into the configuration and checks it, with docker's texts.
Result<void> prepare_health(api::ContainerConfig& config);
// nullopt: there is none, or it is off.
Result<std::optional<HealthProbe>> probe_of(const api::ContainerConfig& config);

enum class HealthAction { None, Kill, Restart, Stop };
HealthAction health_action(const api::ContainerConfig& config);

// The times with docker's defaults.
struct HealthTimes {
    std::chrono::nanoseconds interval;
    std::chrono::nanoseconds timeout;
    std::chrono::nanoseconds start_period;
    std::chrono::nanoseconds start_interval;
};
HealthTimes health_times(const api::ContainerConfig& config);

// Adds a result; true when the status has changed. `since_start`: when the check began.
bool note_result(api::Health& health, const api::ContainerConfig& config, api::HealthLog result,
                 std::chrono::nanoseconds since_start);

}  // namespace coffer::engine
