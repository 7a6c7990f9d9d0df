#pragma once
// Kernel parameters of a container: a fixed table of keys that live in a namespace, each with the
// grammar of its value. Everything else is refused, also where the kernel would allow it. Pure.

#include <map>
#include <string>

#include "base/result.hpp"

namespace coffer::runtime {

// Which namespaces the container has to itself.
struct SysctlScope {
    bool ipc = false;
    bool network = false;
    bool uts = false;
};
Result<void> check_sysctl(const std::string& key, const std::string& value,
                          const SysctlScope& scope);
// "net.ipv4.ip_forward" -> "sys/net/ipv4/ip_forward", below /proc. A key with '/' keeps its dots.
std::string sysctl_path(const std::string& key);

// Writes each below our own procfs, whatever is mounted in it, and reads it back.
Result<void> write_sysctls_in_child(int proc_fd, const std::map<std::string, std::string>& values);

}  // namespace coffer::runtime
