#include "sys/credentials.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace coffer::sys::cred {

namespace {

// By number, as in linux/capability.h.
constexpr std::array<std::string_view, 41> kCapabilities = {"CHOWN",
                                                            "DAC_OVERRIDE",
                                                            "DAC_READ_SEARCH",
                                                            "FOWNER",
                                                            "FSETID",
                                                            "KILL",
                                                            "SETGID",
                                                            "SETUID",
                                                            "SETPCAP",
                                                            "LINUX_IMMUTABLE",
                                                            "NET_BIND_SERVICE",
                                                            "NET_BROADCAST",
                                                            "NET_ADMIN",
                                                            "NET_RAW",
                                                            "IPC_LOCK",
                                                            "IPC_OWNER",
                                                            "SYS_MODULE",
                                                            "SYS_RAWIO",
                                                            "SYS_CHROOT",
                                                            "SYS_PTRACE",
                                                            "SYS_PACCT",
                                                            "SYS_ADMIN",
                                                            "SYS_BOOT",
                                                            "SYS_NICE",
                                                            "SYS_RESOURCE",
                                                            "SYS_TIME",
                                                            "SYS_TTY_CONFIG",
                                                            "MKNOD",
                                                            "LEASE",
                                                            "AUDIT_WRITE",
                                                            "AUDIT_CONTROL",
                                                            "SETFCAP",
                                                            "MAC_OVERRIDE",
                                                            "MAC_ADMIN",
                                                            "SYSLOG",
                                                            "WAKE_ALARM",
                                                            "BLOCK_SUSPEND",
                                                            "AUDIT_READ",
                                                            "PERFMON",
                                                            "BPF",
                                                            "CHECKPOINT_RESTORE"};

constexpr std::array<std::pair<std::string_view, int>, 16> kRlimits = {{
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_STACK", RLIMIT_STACK},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
}};

constexpr CapSet bit_of(unsigned number) {
    return CapSet{1} << number;
}

std::uint32_t low(CapSet set) {
    return static_cast<std::uint32_t>(set & 0xffffffffU);
}
std::uint32_t high(CapSet set) {
    return static_cast<std::uint32_t>(set >> 32U);
}
CapSet joined(std::uint32_t low_half, std::uint32_t high_half) {
    return (CapSet{high_half} << 32U) | low_half;
}

CapSet read_by_prctl(int option, int second, bool ambient) {
    CapSet set = 0;
    for (unsigned n = 0; n <= last_capability(); ++n) {
        const int held = ambient ? ::prctl(option, second, n, 0, 0) : ::prctl(option, n, 0, 0, 0);
        if (held == 1) set |= bit_of(n);
    }
    return set;
}

}  // namespace

std::optional<unsigned> capability_number(std::string_view name) {
    if (name.size() > 4 && equals_ignoring_case(name.substr(0, 4), "CAP_")) name.remove_prefix(4);
    for (unsigned n = 0; n < kCapabilities.size(); ++n) {
        if (equals_ignoring_case(name, kCapabilities[n])) return n;
    }
    return std::nullopt;
}

std::string capability_name(unsigned number) {
    return number < kCapabilities.size() ? format("CAP_{}", kCapabilities[number])
                                         : format("CAP_{}", number);
}

unsigned last_capability() {
    // The bounding set answers EINVAL for a number that the kernel does not know.
    static const unsigned last = [] {
        unsigned n = static_cast<unsigned>(kCapabilities.size()) - 1;
        if (::prctl(PR_CAPBSET_READ, n, 0, 0, 0) >= 0) {
            while (n < 63 && ::prctl(PR_CAPBSET_READ, n + 1, 0, 0, 0) >= 0) ++n;
            return n;
        }
        while (n > 0 && ::prctl(PR_CAPBSET_READ, n, 0, 0, 0) < 0) --n;
        return n;
    }();
    return last;
}

CapSet all_capabilities() {
    return bit_of(last_capability() + 1) - 1;
}

Result<CapSet> parse_capabilities(const std::vector<std::string>& names) {
    CapSet set = 0;
    for (const std::string& name : names) {
        const auto number = capability_number(name);
        if (!number || *number > last_capability()) {
            return fail(Code::InvalidArgument, "unknown capability '{}'", name);
        }
        set |= bit_of(*number);
    }
    return set;
}

Result<Capabilities> current_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) return fail_errno("read capabilities");
    Capabilities now;
    now.effective = joined(data[0].effective, data[1].effective);
    now.permitted = joined(data[0].permitted, data[1].permitted);
    now.inheritable = joined(data[0].inheritable, data[1].inheritable);
    now.bounding = read_by_prctl(PR_CAPBSET_READ, 0, false);
    now.ambient = read_by_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, true);
    return now;
}

Result<CapSet> permitted_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) return fail_errno("read capabilities");
    return joined(data[0].permitted, data[1].permitted);
}

Result<void> limit_bounding(CapSet keep) {
    for (unsigned n = 0; n <= last_capability(); ++n) {
        if ((keep & bit_of(n)) != 0) continue;
        if (::prctl(PR_CAPBSET_DROP, n, 0, 0, 0) != 0) {
            return fail_errno("drop {} from the bounding set", capability_name(n));
        }
    }
    const CapSet left = read_by_prctl(PR_CAPBSET_READ, 0, false);
    if ((left & ~keep) != 0) return fail(Code::Internal, "the bounding set is not what was set");
    return {};
}

Result<void> become(const Ids& ids) {
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return fail_errno("keep capabilities");
    // setgroups is refused where the user namespace says "deny"; then there is nothing to clear.
    if (::setgroups(ids.groups.size(), ids.groups.data()) != 0 &&
        !(errno == EPERM && ids.groups.empty())) {
        return fail_errno("set supplementary groups");
    }
    if (::setresgid(ids.gid, ids.gid, ids.gid) != 0) return fail_errno("set group id {}", ids.gid);
    if (::setresuid(ids.uid, ids.uid, ids.uid) != 0) return fail_errno("set user id {}", ids.uid);
    uid_t real_user = 0;
    uid_t user = 0;
    uid_t saved_user = 0;
    gid_t real_group = 0;
    gid_t group = 0;
    gid_t saved_group = 0;
    if (::getresuid(&real_user, &user, &saved_user) != 0 ||
        ::getresgid(&real_group, &group, &saved_group) != 0 || real_user != ids.uid ||
        user != ids.uid || saved_user != ids.uid || real_group != ids.gid || group != ids.gid ||
        saved_group != ids.gid) {
        return fail(Code::Internal, "user {}:{}: the ids are not what was set", ids.uid, ids.gid);
    }
    // setresuid to another id than 0 empties the effective set; what is permitted may come back.
    Capabilities now = TRY(current_capabilities());
    if (now.effective != now.permitted) {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        const std::array<__user_cap_data_struct, 2> data = {{
            {low(now.permitted), low(now.permitted), low(now.inheritable)},
            {high(now.permitted), high(now.permitted), high(now.inheritable)},
        }};
        if (::syscall(SYS_capset, &header, data.data()) != 0) {
            return fail_errno("raise capabilities");
        }
    }
    return {};
}

Result<void> set_capabilities(const Capabilities& wanted) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, 2> data = {{
        {low(wanted.effective), low(wanted.permitted), low(wanted.inheritable)},
        {high(wanted.effective), high(wanted.permitted), high(wanted.inheritable)},
    }};
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        return fail_errno("clear ambient capabilities");
    }
    if (::syscall(SYS_capset, &header, data.data()) != 0) return fail_errno("set capabilities");
    for (unsigned n = 0; n <= last_capability(); ++n) {
        if ((wanted.ambient & bit_of(n)) == 0) continue;
        if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) != 0) {
            return fail_errno("raise ambient {}", capability_name(n));
        }
    }
    const Capabilities now = TRY(current_capabilities());
    if (now.effective != wanted.effective || now.permitted != wanted.permitted ||
        now.inheritable != wanted.inheritable || now.ambient != wanted.ambient) {
        return fail(Code::Internal, "the capabilities are not what was set");
    }
    return {};
}

Result<void> set_no_new_privileges() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return fail(Code::Internal, "no_new_privs is not set");
    }
    return {};
}

Result<void> set_not_dumpable() {
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno("set not dumpable");
    return {};
}

Result<MappedFsIds> MappedFsIds::enter(std::uint32_t uid, std::uint32_t gid) {
    if (::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0) {
        return fail_errno("set securebits");
    }
    MappedFsIds ids;
    ::setfsgid(gid);
    ::setfsuid(uid);
    // -1 is no id: the call changes nothing and tells what is set.
    if (static_cast<std::uint32_t>(::setfsuid(static_cast<uid_t>(-1))) != uid ||
        static_cast<std::uint32_t>(::setfsgid(static_cast<gid_t>(-1))) != gid) {
        return fail(Code::Internal, "file system ids {}:{} are not what was set", uid, gid);
    }
    return ids;
}

MappedFsIds::MappedFsIds(MappedFsIds&& other) noexcept
    : active_(std::exchange(other.active_, false)) {}

MappedFsIds::~MappedFsIds() {
    if (!active_) return;
    ::setfsuid(0);
    ::setfsgid(0);
    ::prctl(PR_SET_SECUREBITS, 0, 0, 0, 0);
}

std::optional<int> rlimit_number(std::string_view name) {
    for (const auto& [known, number] : kRlimits) {
        if (name == known) return number;
    }
    return std::nullopt;
}

Result<void> set_rlimit(int pid, const Rlimit& limit) {
    const rlimit64 wanted{limit.soft, limit.hard};
    rlimit64 now{};
    const auto resource = static_cast<__rlimit_resource>(limit.number);
    if (::prlimit64(pid, resource, &wanted, nullptr) != 0) {
        return fail_errno("set resource limit {} to {}:{}", limit.number, limit.soft, limit.hard);
    }
    if (::prlimit64(pid, resource, nullptr, &now) != 0 || now.rlim_cur != wanted.rlim_cur ||
        now.rlim_max != wanted.rlim_max) {
        return fail(Code::Internal, "resource limit {} is not what was set", limit.number);
    }
    return {};
}

}  // namespace coffer::sys::cred
