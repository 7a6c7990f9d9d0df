#include "runtime/tuning.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "sys/scheduling.hpp"

namespace coffer::runtime {

namespace {

template <class Value>
struct Named {
    std::string_view name;
    Value value;
};

constexpr Named<std::uint32_t> kPolicies[] = {
    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},       {"SCHED_BATCH", 3},
    {"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
};
constexpr std::uint32_t kFifo = 1;
constexpr std::uint32_t kRoundRobin = 2;
constexpr std::uint32_t kDeadline = 6;

constexpr Named<std::uint64_t> kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

constexpr Named<unsigned> kIoClasses[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};

constexpr Named<unsigned> kMemoryModes[] = {
    {"MPOL_DEFAULT", 0},
    {"MPOL_PREFERRED", 1},
    {"MPOL_BIND", 2},
    {"MPOL_INTERLEAVE", 3},
    {"MPOL_LOCAL", 4},
    {"MPOL_PREFERRED_MANY", 5},
    {"MPOL_WEIGHTED_INTERLEAVE", 6},
};
constexpr Named<unsigned> kMemoryFlags[] = {
    {"MPOL_F_STATIC_NODES", 1U << 15U},
    {"MPOL_F_RELATIVE_NODES", 1U << 14U},
    {"MPOL_F_NUMA_BALANCING", 1U << 13U},
};

constexpr Named<unsigned long> kDomains[] = {{"LINUX", 0x0000}, {"LINUX32", 0x0008}};

template <class Table>
auto find(const Table& table, const std::string& name, std::string_view field)
    -> Result<decltype(table[0].value)> {
    for (const auto& entry : table) {
        if (entry.name == name) return entry.value;
    }
    return fail(Code::InvalidArgument, "{} '{}' is not known", field, name);
}

Result<sys::sched::Attributes> attributes_of(const oci::Scheduler& scheduler) {
    sys::sched::Attributes out;
    out.policy = TRY(find(kPolicies, scheduler.policy, "process.scheduler.policy"));
    for (const std::string& flag : scheduler.flags) {
        out.flags |= TRY(find(kSchedulerFlags, flag, "process.scheduler.flags"));
    }
    if (scheduler.nice < -20 || scheduler.nice > 19) {
        return fail(Code::InvalidArgument, "process.scheduler.nice {} is not -20 to 19",
                    scheduler.nice);
    }
    const bool real_time = out.policy == kFifo || out.policy == kRoundRobin;
    if (scheduler.priority != 0 && !real_time) {
        return fail(Code::InvalidArgument,
                    "process.scheduler.priority is for SCHED_FIFO and SCHED_RR only");
    }
    if (scheduler.priority < 0 || scheduler.priority > 99) {
        return fail(Code::InvalidArgument, "process.scheduler.priority {} is not 0 to 99",
                    scheduler.priority);
    }
    if (out.policy != kDeadline &&
        (scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0)) {
        return fail(Code::InvalidArgument,
                    "process.scheduler.runtime, deadline and period are for SCHED_DEADLINE only");
    }
    out.nice = scheduler.nice;
    out.priority = static_cast<std::uint32_t>(scheduler.priority);
    out.runtime = scheduler.runtime;
    out.deadline = scheduler.deadline;
    out.period = scheduler.period;
    return out;
}

Result<unsigned> memory_mode_of(const oci::LinuxMemoryPolicy& policy) {
    unsigned mode = TRY(find(kMemoryModes, policy.mode, "linux.memoryPolicy.mode"));
    for (const std::string& flag : policy.flags) {
        mode |= TRY(find(kMemoryFlags, flag, "linux.memoryPolicy.flags"));
    }
    return mode;
}

Result<std::vector<std::uint64_t>> list_of(const std::string& list, std::string_view field) {
    if (trim(list).empty()) return std::vector<std::uint64_t>();
    return TRY_CONTEXT(sys::sched::parse_list(list), "{}", field);
}

Result<void> check_rlimits(const std::vector<oci::Rlimit>& limits) {
    std::set<std::string> seen;
    for (const oci::Rlimit& limit : limits) {
        if (!sys::cred::rlimit_number(limit.type)) {
            return fail(Code::InvalidArgument, "process.rlimits: rlimit '{}' is not known",
                        limit.type);
        }
        if (!seen.insert(limit.type).second) {
            return fail(Code::InvalidArgument, "process.rlimits: rlimit '{}' is given twice",
                        limit.type);
        }
        if (limit.soft > limit.hard) {
            return fail(Code::InvalidArgument,
                        "process.rlimits: rlimit '{}': soft {} is above hard {}", limit.type,
                        limit.soft, limit.hard);
        }
    }
    return {};
}

template <class Table>
std::vector<std::string_view> names_of(const Table& table) {
    std::vector<std::string_view> names;
    for (const auto& entry : table) names.push_back(entry.name);
    return names;
}

}  // namespace

Result<void> check_tuning(const oci::Process& process) {
    TRY(check_rlimits(process.rlimits));
    if (process.oom_score_adj &&
        (*process.oom_score_adj < -1000 || *process.oom_score_adj > 1000)) {
        return fail(Code::InvalidArgument, "process.oomScoreAdj {} is out of range",
                    *process.oom_score_adj);
    }
    if (process.scheduler) TRY(attributes_of(*process.scheduler));
    if (process.io_priority) {
        TRY(find(kIoClasses, process.io_priority->class_, "process.ioPriority.class"));
        if (process.io_priority->priority < 0 || process.io_priority->priority > 7) {
            return fail(Code::InvalidArgument, "process.ioPriority.priority {} is not 0 to 7",
                        process.io_priority->priority);
        }
    }
    if (process.exec_cpu_affinity) {
        TRY(list_of(process.exec_cpu_affinity->initial, "process.execCPUAffinity.initial"));
        TRY(list_of(process.exec_cpu_affinity->final, "process.execCPUAffinity.final"));
    }
    return {};
}

Result<void> check_tuning(const oci::Linux& linux) {
    if (linux.personality) {
        TRY(find(kDomains, linux.personality->domain, "linux.personality.domain"));
        if (!linux.personality->flags.empty()) {
            return fail(Code::NotImplemented, "linux.personality.flags is not supported");
        }
    }
    if (linux.memory_policy) {
        TRY(memory_mode_of(*linux.memory_policy));
        TRY(list_of(linux.memory_policy->nodes, "linux.memoryPolicy.nodes"));
    }
    return {};
}

std::vector<sys::cred::Rlimit> rlimits_of(const oci::Process& process) {
    std::vector<sys::cred::Rlimit> limits;
    for (const oci::Rlimit& limit : process.rlimits) {
        if (const auto number = sys::cred::rlimit_number(limit.type)) {
            limits.push_back({*number, limit.soft, limit.hard});
        }
    }
    return limits;
}

Result<void> tune_process(int pid, const oci::Process& process) {
    for (const sys::cred::Rlimit& limit : rlimits_of(process)) {
        TRY_CONTEXT(sys::cred::set_rlimit(pid, limit), "process.rlimits");
    }
    if (process.io_priority) {
        const unsigned io_class =
            TRY(find(kIoClasses, process.io_priority->class_, "process.ioPriority.class"));
        TRY_CONTEXT(sys::sched::set_io_priority(
                        pid, io_class, static_cast<unsigned>(process.io_priority->priority)),
                    "process.ioPriority");
    }
    if (process.scheduler) {
        const sys::sched::Attributes attributes = TRY(attributes_of(*process.scheduler));
        TRY_CONTEXT(sys::sched::set_attributes(pid, attributes), "process.scheduler");
    }
    return {};
}

Result<void> set_exec_affinity(int pid, const oci::Process& process, AffinityPhase phase) {
    if (!process.exec_cpu_affinity) return {};
    const bool initial = phase == AffinityPhase::Initial;
    const std::string& list =
        initial ? process.exec_cpu_affinity->initial : process.exec_cpu_affinity->final;
    const std::string field = format("process.execCPUAffinity.{}", initial ? "initial" : "final");
    const auto processors = TRY(list_of(list, field));
    if (processors.empty()) return {};
    TRY_CONTEXT(sys::sched::set_affinity(pid, processors), "{} '{}'", field, list);
    return {};
}

Result<void> tune_self_in_child(const oci::Linux& linux) {
    if (linux.memory_policy) {
        const unsigned mode = TRY(memory_mode_of(*linux.memory_policy));
        const auto nodes = TRY(list_of(linux.memory_policy->nodes, "linux.memoryPolicy.nodes"));
        TRY_CONTEXT(sys::sched::set_memory_policy(mode, nodes), "linux.memoryPolicy");
    }
    if (linux.personality) {
        const unsigned long domain =
            TRY(find(kDomains, linux.personality->domain, "linux.personality.domain"));
        TRY_CONTEXT(sys::sched::set_personality(domain), "linux.personality");
    }
    return {};
}

std::vector<std::string_view> memory_policy_modes() {
    return names_of(kMemoryModes);
}
std::vector<std::string_view> memory_policy_flags() {
    return names_of(kMemoryFlags);
}

}  // namespace coffer::runtime
