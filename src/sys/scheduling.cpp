#include "sys/scheduling.hpp"

#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coffer::sys::sched {

namespace {

constexpr std::uint64_t kMaxBits = 8192;
constexpr int kWhoProcess = 1;
constexpr unsigned kClassShift = 13;

struct KernelAttributes {  // struct sched_attr
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime;
    std::uint64_t deadline;
    std::uint64_t period;
};

}  // namespace

Result<void> set_attributes(int pid, const Attributes& attributes) {
    const KernelAttributes kernel{sizeof kernel,       attributes.policy,   attributes.flags,
                                  attributes.nice,     attributes.priority, attributes.runtime,
                                  attributes.deadline, attributes.period};
    if (::syscall(SYS_sched_setattr, pid, &kernel, 0) != 0) {
        return fail_errno("set scheduling policy {} (nice {}, priority {}, flags {:#x})",
                          attributes.policy, attributes.nice, attributes.priority,
                          attributes.flags);
    }
    return {};
}

Result<void> set_io_priority(int pid, unsigned io_class, unsigned level) {
    if (::syscall(SYS_ioprio_set, kWhoProcess, pid, (io_class << kClassShift) | level) != 0) {
        return fail_errno("set I/O priority class {} level {}", io_class, level);
    }
    return {};
}

Result<std::vector<std::uint64_t>> parse_list(std::string_view list) {
    std::vector<std::uint64_t> mask;
    for (const std::string& part : split(list, ',')) {
        const auto range = cut(trim(part), "-");
        const auto first = parse_uint(range ? range->first : trim(part));
        const auto last = range ? parse_uint(range->second) : first;
        if (!first || !last || *last < *first || *last >= kMaxBits) {
            return fail(Code::InvalidArgument, "'{}' is not a list as 0-3,7", list);
        }
        if (mask.size() <= *last / 64) mask.resize(*last / 64 + 1);
        for (std::uint64_t n = *first; n <= *last; ++n) mask[n / 64] |= std::uint64_t{1} << n % 64;
    }
    return mask;
}

Result<void> set_affinity(int pid, const std::vector<std::uint64_t>& processors) {
    if (::syscall(SYS_sched_setaffinity, pid, processors.size() * 8, processors.data()) != 0) {
        return fail_errno("set the processors of process {}", pid);
    }
    return {};
}

Result<void> set_memory_policy(unsigned mode_and_flags, const std::vector<std::uint64_t>& nodes) {
    // The kernel reads one bit less than it is told.
    const unsigned long bits = nodes.empty() ? 0 : nodes.size() * 64 + 1;
    if (::syscall(SYS_set_mempolicy, static_cast<int>(mode_and_flags),
                  nodes.empty() ? nullptr : nodes.data(), bits) != 0) {
        return fail_errno("set memory policy {:#x}", mode_and_flags);
    }
    return {};
}

Result<void> set_personality(unsigned long personality) {
    if (::personality(personality) < 0) return fail_errno("set personality {:#x}", personality);
    if (static_cast<unsigned long>(::personality(0xffffffff)) != personality) {
        return fail(Code::Internal, "personality {:#x} is not what was set", personality);
    }
    return {};
}

}  // namespace coffer::sys::sched
