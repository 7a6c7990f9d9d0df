#include "runtime/seccomp_profile.hpp"

#include <algorithm>

namespace coffer::runtime {

namespace {

using sys::seccomp::Action;
using sys::seccomp::Compare;

constexpr std::pair<std::string_view, Action> kActions[] = {
    {"SCMP_ACT_ALLOW", Action::Allow},
    {"SCMP_ACT_ERRNO", Action::Errno},
    {"SCMP_ACT_KILL", Action::Kill},
    {"SCMP_ACT_KILL_THREAD", Action::Kill},
    {"SCMP_ACT_KILL_PROCESS", Action::KillProcess},
    {"SCMP_ACT_TRAP", Action::Trap},
    {"SCMP_ACT_TRACE", Action::Trace},
    {"SCMP_ACT_LOG", Action::Log},
    {"SCMP_ACT_NOTIFY", Action::Notify},
};

constexpr std::pair<std::string_view, Compare> kCompares[] = {
    {"SCMP_CMP_NE", Compare::NotEqual},           {"SCMP_CMP_LT", Compare::Less},
    {"SCMP_CMP_LE", Compare::LessEqual},          {"SCMP_CMP_EQ", Compare::Equal},
    {"SCMP_CMP_GE", Compare::GreaterEqual},       {"SCMP_CMP_GT", Compare::Greater},
    {"SCMP_CMP_MASKED_EQ", Compare::MaskedEqual},
};

constexpr std::pair<std::string_view, unsigned> kFlags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0},  // we have one thread
    {"SECCOMP_FILTER_FLAG_LOG", sys::seccomp::kLog},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", sys::seccomp::kSpecAllow},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", sys::seccomp::kWaitKillableRecv},
};

template <class Table>
auto find(const Table& table, const std::string& name, std::string_view what)
    -> Result<decltype(table[0].second)> {
    for (const auto& [known, value] : table) {
        if (name == known) return value;
    }
    return fail(Code::InvalidArgument, "seccomp {} '{}' is not supported", what, name);
}

template <class Table>
std::vector<std::string_view> names_of(const Table& table) {
    std::vector<std::string_view> names;
    for (const auto& entry : table) names.push_back(entry.first);
    return names;
}

Result<std::optional<std::uint16_t>> to_error(const std::optional<std::uint32_t>& number) {
    if (!number) return std::optional<std::uint16_t>();
    if (*number > 4095) return fail(Code::InvalidArgument, "seccomp errno {}", *number);
    return std::optional(static_cast<std::uint16_t>(*number));
}

}  // namespace

Result<sys::seccomp::Profile> to_profile(const oci::LinuxSeccomp& seccomp) {
    sys::seccomp::Profile profile;
    profile.default_action = TRY(find(kActions, seccomp.default_action, "action"));
    profile.default_error = TRY(to_error(seccomp.default_errno_ret));
    for (const std::string& name : seccomp.architectures) {
        if (!name.starts_with("SCMP_ARCH_")) {
            return fail(Code::InvalidArgument, "seccomp architecture '{}' is not supported", name);
        }
        profile.architectures.push_back(to_lower(name.substr(10)));
    }
    for (const oci::LinuxSyscall& call : seccomp.syscalls) {
        sys::seccomp::Rule rule;
        rule.names = call.names;
        rule.action = TRY(find(kActions, call.action, "action"));
        rule.error = TRY(to_error(call.errno_ret));
        for (const oci::LinuxSeccompArg& arg : call.args) {
            if (arg.index > 5) return fail(Code::InvalidArgument, "seccomp argument {}", arg.index);
            rule.conditions.push_back(
                {arg.index, TRY(find(kCompares, arg.op, "operator")), arg.value, arg.value_two});
        }
        profile.rules.push_back(std::move(rule));
    }
    return profile;
}

bool uses_listener(const oci::LinuxSeccomp& seccomp) {
    return std::any_of(seccomp.syscalls.begin(), seccomp.syscalls.end(),
                       [](const auto& call) { return call.action == "SCMP_ACT_NOTIFY"; });
}

Result<unsigned> seccomp_flags_of(const oci::LinuxSeccomp& seccomp) {
    unsigned flags = 0;
    for (const std::string& name : seccomp.flags) flags |= TRY(find(kFlags, name, "flag"));
    if (uses_listener(seccomp)) flags |= sys::seccomp::kNewListener;
    return flags;
}

std::vector<std::string_view> seccomp_action_names() {
    return names_of(kActions);
}
std::vector<std::string_view> seccomp_operator_names() {
    return names_of(kCompares);
}
std::vector<std::string_view> seccomp_flag_names() {
    return names_of(kFlags);
}

}  // namespace coffer::runtime
