#pragma once
// Limits as the list of writes that sets them: what goes where, without touching a file. Pure.

#include "sys/cgroup_backend.hpp"

namespace coffer::sys::cgroup {

Result<std::vector<Setting>> plan_v1(const Limits& limits);
// Devices are not among them: v2 restricts those by a program (cgroup_devices.hpp). `swap` needs
// both limits, so an update that gives memory and swap together is the rule on v2.
Result<std::vector<Setting>> plan_v2(const Limits& limits);

// 10..1000 -> 1..10000, as the OCI runtimes convert them.
std::uint64_t io_weight_of_blkio(std::uint64_t weight);

}  // namespace coffer::sys::cgroup
