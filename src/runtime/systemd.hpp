#pragma once
// Control groups that systemd owns: a container's is a transient scope. Asked for through busctl,
// which is wherever systemd is; libsystemd cannot be part of a static program. One thread.

#include <string>

#include "base/result.hpp"
#include "sys/cgroup.hpp"

namespace coffer::runtime::systemd {

enum class Bus { System, User };

struct Scope {
    std::string slice;  // "system.slice"
    std::string unit;   // "coffer-oci-ID.scope"
};
// From linux.cgroupsPath, "slice:prefix:name" or empty. Pure.
Result<Scope> parse_path(const std::string& path, const std::string& id, Bus bus);

// Starts the scope around a process; the result is the path of its group.
Result<std::string> start(Bus bus, const Scope& scope, int pid, const sys::cgroup::Limits& limits);
// The limits that systemd would otherwise write over.
Result<void> set_limits(Bus bus, const std::string& unit, const sys::cgroup::Limits& limits);
// A scope that has gone by itself is no error.
void stop(Bus bus, const std::string& unit);

}  // namespace coffer::runtime::systemd
