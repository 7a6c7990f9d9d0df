#pragma once
// Device access on cgroup v2: rules as a BPF program of type cgroup/dev, attached to the group's
// folder. Written as instructions by hand: a handful of comparisons need no compiler. Pure but for
// restrict_devices().

#include <cstdint>
#include <vector>

#include "sys/cgroup.hpp"

namespace coffer::sys::cgroup {

// The instructions (struct bpf_insn, 8 bytes each). The last rule that matches an access decides;
// what no rule matches is refused.
std::vector<std::uint64_t> device_program(const std::vector<DeviceRule>& rules);
// Attaches the program of the rules to the folder, in place of one that is there.
Result<void> restrict_devices(int folder_fd, const std::vector<DeviceRule>& rules);

}  // namespace coffer::sys::cgroup
