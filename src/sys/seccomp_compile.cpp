#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "sys/fd.hpp"
#include "sys/seccomp.hpp"

namespace coffer::sys::seccomp {

namespace {

struct Release {
    void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

constexpr std::size_t kMaxProgram = BPF_MAXINSNS * sizeof(sock_filter);

std::uint32_t to_action(Action action, std::uint16_t error) {
    switch (action) {
        case Action::Allow:
            return SCMP_ACT_ALLOW;
        case Action::Errno:
            return SCMP_ACT_ERRNO(error);
        case Action::Kill:
            return SCMP_ACT_KILL_THREAD;
        case Action::KillProcess:
            return SCMP_ACT_KILL_PROCESS;
        case Action::Trap:
            return SCMP_ACT_TRAP;
        case Action::Trace:
            return SCMP_ACT_TRACE(error);
        case Action::Log:
            return SCMP_ACT_LOG;
        case Action::Notify:
            return SCMP_ACT_NOTIFY;
    }
    return SCMP_ACT_KILL_PROCESS;
}

scmp_compare to_compare(Compare compare) {
    switch (compare) {
        case Compare::NotEqual:
            return SCMP_CMP_NE;
        case Compare::Less:
            return SCMP_CMP_LT;
        case Compare::LessEqual:
            return SCMP_CMP_LE;
        case Compare::Equal:
            return SCMP_CMP_EQ;
        case Compare::GreaterEqual:
            return SCMP_CMP_GE;
        case Compare::Greater:
            return SCMP_CMP_GT;
        case Compare::MaskedEqual:
            return SCMP_CMP_MASKED_EQ;
    }
    return SCMP_CMP_EQ;
}

Failure fail_rc(int rc, std::string_view what) {
    return fail_with(-rc, "compile the system call filter: {}", what);
}

Result<void> add_rule(scmp_filter_ctx filter, const Rule& rule, const Profile& profile) {
    const std::uint32_t action = to_action(rule.action, rule.error.value_or(EPERM));
    const std::uint32_t by_default =
        to_action(profile.default_action, profile.default_error.value_or(EPERM));
    if (action == by_default) return {};  // libseccomp refuses what changes nothing
    std::vector<scmp_arg_cmp> conditions;
    for (const Condition& c : rule.conditions) {
        if (c.argument > 5) {
            return fail(Code::InvalidArgument, "system call argument {}", c.argument);
        }
        scmp_arg_cmp compare{};
        compare.arg = c.argument;
        compare.op = to_compare(c.compare);
        compare.datum_a = c.value;
        compare.datum_b = c.value_two;
        conditions.push_back(compare);
    }
    for (const std::string& name : rule.names) {
        const int number = ::seccomp_syscall_resolve_name(name.c_str());
        if (number == __NR_SCMP_ERROR) continue;
        // Two conditions on one argument cannot be one rule of libseccomp; they mean "or" there
        // (runc's reading, which all profiles are written for).
        bool repeated = false;
        for (std::size_t i = 0; i < conditions.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) repeated |= conditions[i].arg == conditions[j].arg;
        }
        const auto add = [&](unsigned count, const scmp_arg_cmp* first) {
            const int rc = ::seccomp_rule_add_array(filter, action, number, count, first);
            return rc == -EEXIST ? 0 : rc;
        };
        int rc = 0;
        if (repeated) {
            for (const scmp_arg_cmp& one : conditions) rc = rc == 0 ? add(1, &one) : rc;
        } else {
            rc = add(static_cast<unsigned>(conditions.size()), conditions.data());
        }
        if (rc != 0) return fail_rc(rc, format("rule for '{}'", name));
    }
    return {};
}

}  // namespace

Result<std::string> compile(const Profile& profile) {
    const Filter filter(
        ::seccomp_init(to_action(profile.default_action, profile.default_error.value_or(EPERM))));
    if (!filter) return fail(Code::Internal, "compile the system call filter: out of memory");
    int rc = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc != 0) return fail_rc(rc, "action for foreign architectures");
    rc = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc != 0) return fail_rc(rc, "optimise");
    for (const std::string& name : profile.architectures) {
        const std::uint32_t architecture = ::seccomp_arch_resolve_name(name.c_str());
        if (architecture == 0) {
            return fail(Code::InvalidArgument, "unknown architecture '{}'", name);
        }
        rc = ::seccomp_arch_add(filter.get(), architecture);
        if (rc != 0 && rc != -EEXIST) return fail_rc(rc, format("architecture '{}'", name));
    }
    for (const Rule& rule : profile.rules) TRY(add_rule(filter.get(), rule, profile));
    const Fd file(::memfd_create("filter", MFD_CLOEXEC));
    if (!file) return fail_errno("create memory file");
    rc = ::seccomp_export_bpf(filter.get(), file.get());
    if (rc != 0) return fail_rc(rc, "export");
    if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("rewind memory file");
    return read_all(file.get(), kMaxProgram);
}

}  // namespace coffer::sys::seccomp
