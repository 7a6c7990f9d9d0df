#pragma once
// What a spec says on when and where a process runs: limits, scheduler, I/O priority, processors,
// memory policy, personality. One thread.

#include <vector>

#include "oci/runtime_spec.hpp"
#include "sys/credentials.hpp"

namespace coffer::runtime {

// Names, ranges and combinations; the error names the field. Pure.
Result<void> check_tuning(const oci::Process& process);
Result<void> check_tuning(const oci::Linux& linux);

std::vector<sys::cred::Rlimit> rlimits_of(const oci::Process& process);
// By the caller, on a process that has not executed its program yet.
Result<void> tune_process(int pid, const oci::Process& process);
// execCPUAffinity, of exec only: before and after the process joins its control group.
enum class AffinityPhase { Initial, Final };
Result<void> set_exec_affinity(int pid, const oci::Process& process, AffinityPhase phase);
// By the process itself.
Result<void> tune_self_in_child(const oci::Linux& linux);

// For `features`.
std::vector<std::string_view> memory_policy_modes();
std::vector<std::string_view> memory_policy_flags();

}  // namespace coffer::runtime
