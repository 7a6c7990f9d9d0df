// The seccomp profiles of the levels, and docker's format of a user's own.

#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/sync.hpp"
#include "json/codec.hpp"
#include "oci/runtime_spec.hpp"
#include "security/docker_seccomp.hpp"
#include "security/profiles.hpp"

namespace coffer::security {

namespace {

constexpr std::string_view kAllow = "SCMP_ACT_ALLOW";
constexpr std::string_view kErrno = "SCMP_ACT_ERRNO";
constexpr std::string_view kEqual = "SCMP_CMP_EQ";
constexpr std::string_view kNotEqual = "SCMP_CMP_NE";
constexpr std::string_view kMaskedEqual = "SCMP_CMP_MASKED_EQ";
constexpr std::uint64_t kLow = 0xFFFFFFFF;  // the kernel reads an int argument: its low half only

constexpr std::uint32_t kEperm = 1;
constexpr std::uint32_t kEnosys = 38;
constexpr std::uint32_t kEprotonosupport = 93;
constexpr std::uint32_t kEafnosupport = 97;

constexpr std::uint64_t kUnix = 1;
constexpr std::uint64_t kInet = 2;
constexpr std::uint64_t kInet6 = 10;
constexpr std::uint64_t kNetlink = 16;
constexpr std::uint64_t kPacket = 17;

constexpr std::uint64_t kTiocsti = 0x5412;
constexpr std::uint64_t kTioclinux = 0x541C;
// CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET: what setns may be given.
constexpr std::uint64_t kJoinable[] = {0x80,      0x20000,    0x2000000, 0x4000000,
                                       0x8000000, 0x20000000, 0x40000000};
constexpr std::uint64_t kNewUser = 0x10000000;

// ---- docker's format ----

struct Condition {
    std::uint32_t index = 0;
    std::uint64_t value = 0;
    std::uint64_t value_two = 0;
    std::string op;
};
void describe(json::Fields& f, const Condition& s) {
    f("index", s.index);
    f("value", s.value);
    f("valueTwo", s.value_two);
    f("op", s.op);
}

struct Filter {
    std::vector<std::string> caps;
    std::vector<std::string> arches;
    std::string min_kernel;
};
void describe(json::Fields& f, const Filter& s) {
    f("caps", s.caps);
    f("arches", s.arches);
    f("minKernel", s.min_kernel);
}

struct Group {
    std::string name;  // the form before there were lists
    std::vector<std::string> names;
    std::string action;
    std::optional<std::uint32_t> errno_ret;
    std::vector<Condition> args;
    Filter includes;
    Filter excludes;
};
void describe(json::Fields& f, const Group& s) {
    f("name", s.name);
    f("names", s.names);
    f("action", s.action);
    f("errnoRet", s.errno_ret);
    f("args", s.args);
    f("includes", s.includes);
    f("excludes", s.excludes);
}

struct Architecture {
    std::string architecture;
    std::vector<std::string> sub_architectures;
};
void describe(json::Fields& f, const Architecture& s) {
    f("architecture", s.architecture);
    f("subArchitectures", s.sub_architectures);
}

struct Document {
    std::string default_action;
    std::optional<std::uint32_t> default_errno_ret;
    std::vector<std::string> architectures;
    std::vector<Architecture> arch_map;
    std::vector<std::string> flags;
    std::string listener_path;
    std::vector<Group> syscalls;
};
void describe(json::Fields& f, const Document& s) {
    f("defaultAction", s.default_action);
    f("defaultErrnoRet", s.default_errno_ret);
    f("architectures", s.architectures);
    f("archMap", s.arch_map);
    f("flags", s.flags);
    f("listenerPath", s.listener_path);
    f("syscalls", s.syscalls);
}

#if defined(__x86_64__)
constexpr std::string_view kNative = "SCMP_ARCH_X86_64";
constexpr std::string_view kNativeGoName = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view kNative = "SCMP_ARCH_AARCH64";
constexpr std::string_view kNativeGoName = "arm64";
#else
#error "name this architecture as libseccomp and Go do"
#endif

// "4.8" against the running kernel.
bool kernel_is_at_least(std::string_view wanted) {
    const auto numbers = [](std::string_view text) {
        std::pair<std::uint64_t, std::uint64_t> out;
        const std::vector<std::string> parts = split(text, '.');
        if (!parts.empty()) out.first = parse_uint(parts[0]).value_or(0);
        if (parts.size() > 1) {
            const std::size_t digits = parts[1].find_first_not_of("0123456789");
            out.second = parse_uint(parts[1].substr(0, digits)).value_or(0);
        }
        return out;
    };
    utsname name{};
    return ::uname(&name) == 0 && numbers(name.release) >= numbers(wanted);
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

bool applies(const Group& group, const std::vector<std::string>& capabilities) {
    const auto granted = [&](const std::string& name) { return contains(capabilities, name); };
    if (contains(group.excludes.arches, kNativeGoName)) return false;
    if (std::any_of(group.excludes.caps.begin(), group.excludes.caps.end(), granted)) return false;
    if (!group.excludes.min_kernel.empty() && kernel_is_at_least(group.excludes.min_kernel)) {
        return false;
    }
    const Filter& needs = group.includes;
    if (!needs.arches.empty() && !contains(needs.arches, kNativeGoName)) return false;
    if (!std::all_of(needs.caps.begin(), needs.caps.end(), granted)) return false;
    return needs.min_kernel.empty() || kernel_is_at_least(needs.min_kernel);
}

Result<Document> parse_document(std::string_view text) {
    Document document = TRY_CONTEXT(json::decode<Document>(text), "read seccomp profile");
    if (document.default_action.empty()) {
        return fail(Code::InvalidArgument, "read seccomp profile: no defaultAction");
    }
    if (!document.listener_path.empty()) {
        return fail(Code::NotImplemented, "read seccomp profile: listenerPath is not supported");
    }
    if (!document.architectures.empty() && !document.arch_map.empty()) {
        return fail(Code::InvalidArgument,
                    "read seccomp profile: both 'architectures' and 'archMap' were specified");
    }
    for (Group& group : document.syscalls) {
        if (!group.name.empty() && !group.names.empty()) {
            return fail(Code::InvalidArgument,
                        "read seccomp profile: both 'name' and 'names' were specified");
        }
        if (!group.name.empty()) group.names.push_back(group.name);
    }
    return document;
}

oci::LinuxSyscall to_oci(const Group& group) {
    oci::LinuxSyscall syscall;
    syscall.names = group.names;
    syscall.action = group.action;
    syscall.errno_ret = group.errno_ret;
    for (const Condition& condition : group.args) {
        syscall.args.push_back(
            {condition.index, condition.value, condition.value_two, condition.op});
    }
    return syscall;
}

oci::LinuxSeccomp resolve(const Document& document, const std::vector<std::string>& capabilities) {
    oci::LinuxSeccomp out;
    out.default_action = document.default_action;
    out.default_errno_ret = document.default_errno_ret;
    out.flags = document.flags;
    out.architectures = document.architectures;
    for (const Architecture& entry : document.arch_map) {
        if (entry.architecture != kNative) continue;
        out.architectures.push_back(entry.architecture);
        out.architectures.insert(out.architectures.end(), entry.sub_architectures.begin(),
                                 entry.sub_architectures.end());
    }
    for (const Group& group : document.syscalls) {
        if (applies(group, capabilities)) out.syscalls.push_back(to_oci(group));
    }
    return out;
}

// ---- our tightening ----

oci::LinuxSyscall rule(std::vector<std::string> names, std::string_view action,
                       std::optional<std::uint32_t> error = {},
                       std::vector<oci::LinuxSeccompArg> args = {}) {
    return {std::move(names), std::string(action), error, std::move(args)};
}

oci::LinuxSeccompArg argument(std::uint32_t index, std::string_view op, std::uint64_t value,
                              std::uint64_t value_two = 0) {
    return {index, value, value_two, std::string(op)};
}

// Low half of an argument equal to `value`.
oci::LinuxSeccompArg is(std::uint32_t index, std::uint64_t value) {
    return argument(index, kMaskedEqual, kLow, value);
}

// All 32-bit values but `points`, as masked comparisons: BPF can say "equal under a mask" but not
// "none of these", and comparisons of the whole register would let values with a high half pass.
void all_but(std::uint32_t index, const std::set<std::uint64_t>& points, std::uint64_t mask,
             std::uint64_t value, std::vector<oci::LinuxSeccompArg>& out) {
    const bool inside = std::any_of(points.begin(), points.end(),
                                    [&](std::uint64_t point) { return (point & mask) == value; });
    if (!inside) {
        out.push_back(argument(index, kMaskedEqual, mask, value));
        return;
    }
    if (mask == kLow) return;
    const std::uint64_t next = mask == 0 ? 0x80000000 : ((mask >> 1) | 0x80000000) & ~mask;
    all_but(index, points, mask | next, value, out);
    all_but(index, points, mask | next, value | next, out);
}
std::vector<oci::LinuxSeccompArg> all_but(std::uint32_t index,
                                          const std::set<std::uint64_t>& points) {
    std::vector<oci::LinuxSeccompArg> out;
    all_but(index, points, 0, 0, out);
    return out;
}

void drop(oci::LinuxSeccomp& seccomp, const std::vector<std::string>& names) {
    for (oci::LinuxSyscall& syscall : seccomp.syscalls) {
        std::erase_if(syscall.names,
                      [&](const std::string& name) { return contains(names, name); });
    }
    std::erase_if(seccomp.syscalls, [](const auto& syscall) { return syscall.names.empty(); });
}

bool allows(const oci::LinuxSeccomp& seccomp, std::string_view name) {
    return std::any_of(seccomp.syscalls.begin(), seccomp.syscalls.end(), [&](const auto& syscall) {
        return syscall.action == kAllow && contains(syscall.names, name);
    });
}

// socket(2) for these families only. Libraries probe families and expect to be told "not
// supported"; socketcall(2) of 32-bit x86 hides its arguments behind a pointer.
void limit_socket_families(oci::LinuxSeccomp& seccomp, const std::set<std::uint64_t>& families,
                           bool netlink_is_route_only) {
    drop(seccomp, {"socket", "socketcall"});
    auto& out = seccomp.syscalls;
    out.push_back(rule({"socketcall"}, kErrno, kEnosys));
    for (const std::uint64_t family : families) {
        if (family == kNetlink && netlink_is_route_only) {
            out.push_back(rule({"socket"}, kAllow, {}, {is(0, family), argument(2, kEqual, 0)}));
            out.push_back(rule({"socket"}, kErrno, kEprotonosupport,
                               {is(0, family), argument(2, kNotEqual, 0)}));
        } else {
            out.push_back(rule({"socket"}, kAllow, {}, {is(0, family)}));
        }
    }
    for (const oci::LinuxSeccompArg& other : all_but(0, families)) {
        out.push_back(rule({"socket"}, kErrno, kEafnosupport, {other}));
    }
}

// No new user namespace by any call: those are where kernel bugs are reached from.
void refuse_user_namespaces(oci::LinuxSeccomp& seccomp) {
    const bool privileged = allows(seccomp, "setns");
    drop(seccomp, {"clone", "clone3", "unshare", "setns"});
    auto& out = seccomp.syscalls;
    // Its flags lie in memory, so clone3 cannot be judged; libraries fall back to clone.
    out.push_back(rule({"clone3"}, kErrno, kEnosys));
    const std::uint64_t forbidden = privileged ? kNewUser : 0x7E020000;
    out.push_back(rule({"clone"}, kAllow, {}, {argument(0, kMaskedEqual, forbidden, 0)}));
    for (std::uint64_t bit = 1; bit <= forbidden; bit <<= 1) {
        if ((forbidden & bit) == 0) continue;
        out.push_back(rule({"clone"}, kErrno, kEperm, {argument(0, kMaskedEqual, bit, bit)}));
    }
    if (!privileged) return;
    out.push_back(rule({"unshare"}, kAllow, {}, {argument(0, kMaskedEqual, kNewUser, 0)}));
    out.push_back(
        rule({"unshare"}, kErrno, kEperm, {argument(0, kMaskedEqual, kNewUser, kNewUser)}));
    for (const std::uint64_t kind : kJoinable) {
        out.push_back(rule({"setns"}, kAllow, {}, {is(1, kind)}));
    }
}

// TIOCSTI types into the terminal of whoever looks at the container's output.
void refuse_terminal_injection(oci::LinuxSeccomp& seccomp) {
    drop(seccomp, {"ioctl"});
    const std::set<std::uint64_t> refused = {kTiocsti, kTioclinux};
    for (const std::uint64_t request : refused) {
        seccomp.syscalls.push_back(rule({"ioctl"}, kErrno, kEperm, {is(1, request)}));
    }
    for (const oci::LinuxSeccompArg& other : all_but(1, refused)) {
        seccomp.syscalls.push_back(rule({"ioctl"}, kAllow, {}, {other}));
    }
}

// Calls that exist and are refused say so; what the profile does not know does not exist, so that
// programs take the way they have for older kernels.
void refuse_known_calls(oci::LinuxSeccomp& seccomp) {
    seccomp.default_errno_ret = kEnosys;
    std::vector<std::string> refused;
    for (const char* name : {"acct",
                             "add_key",
                             "bpf",
                             "chroot",
                             "clock_settime",
                             "clock_settime64",
                             "delete_module",
                             "fanotify_init",
                             "finit_module",
                             "fsconfig",
                             "fsmount",
                             "fsopen",
                             "fspick",
                             "get_mempolicy",
                             "init_module",
                             "ioperm",
                             "iopl",
                             "kcmp",
                             "kexec_file_load",
                             "kexec_load",
                             "keyctl",
                             "lookup_dcookie",
                             "mbind",
                             "migrate_pages",
                             "mount",
                             "mount_setattr",
                             "move_mount",
                             "move_pages",
                             "nfsservctl",
                             "open_by_handle_at",
                             "open_tree",
                             "open_tree_attr",
                             "perf_event_open",
                             "pidfd_getfd",
                             "pivot_root",
                             "process_madvise",
                             "process_vm_readv",
                             "process_vm_writev",
                             "ptrace",
                             "quotactl",
                             "quotactl_fd",
                             "reboot",
                             "request_key",
                             "set_mempolicy",
                             "set_mempolicy_home_node",
                             "setdomainname",
                             "sethostname",
                             "setns",
                             "settimeofday",
                             "stime",
                             "swapoff",
                             "swapon",
                             "syslog",
                             "umount",
                             "umount2",
                             "unshare",
                             "userfaultfd",
                             "vhangup"}) {
        if (!allows(seccomp, name)) refused.emplace_back(name);
    }
    seccomp.syscalls.push_back(rule(std::move(refused), kErrno, kEperm));
}

Result<oci::LinuxSeccomp> make_default(Level level, const std::vector<std::string>& capabilities) {
    const Document document = TRY(parse_document(kDockerSeccomp));
    oci::LinuxSeccomp seccomp = resolve(document, capabilities);
    if (level == Level::Compat) {
        limit_socket_families(seccomp, {kUnix, kInet, kInet6, kNetlink, kPacket}, false);
        return seccomp;
    }
    seccomp.architectures = {std::string(kNative)};
    drop(seccomp, {"bpf", "perf_event_open", "userfaultfd"});
    std::set<std::uint64_t> families = {kUnix, kInet, kInet6, kNetlink};
    if (contains(capabilities, "CAP_NET_RAW")) families.insert(kPacket);
    limit_socket_families(seccomp, families, !contains(capabilities, "CAP_NET_ADMIN"));
    refuse_user_namespaces(seccomp);
    refuse_terminal_injection(seccomp);
    refuse_known_calls(seccomp);
    return seccomp;
}

}  // namespace

Result<oci::LinuxSeccomp> default_seccomp(Level level,
                                          const std::vector<std::string>& capabilities) {
    static Sync<std::map<std::string, oci::LinuxSeccomp>> made;
    std::vector<std::string> sorted = capabilities;
    std::sort(sorted.begin(), sorted.end());
    const std::string key = std::string(name_of(level)) + " " + join(sorted, " ");
    {
        auto known = made.lock();
        const auto found = known->find(key);
        if (found != known->end()) return found->second;
    }
    oci::LinuxSeccomp seccomp = TRY(make_default(level, capabilities));
    auto known = made.lock();
    // Capability sets come from callers: a few are in use at a time, no matter how many exist.
    if (known->size() >= 64) known->clear();
    return known->insert_or_assign(key, std::move(seccomp)).first->second;
}

Result<oci::LinuxSeccomp> parse_seccomp(std::string_view json,
                                        const std::vector<std::string>& capabilities) {
    const Document document = TRY(parse_document(json));
    oci::LinuxSeccomp out = resolve(document, capabilities);
    const auto notifies = [](const std::string& action) { return action == "SCMP_ACT_NOTIFY"; };
    if (notifies(out.default_action) ||
        std::any_of(out.syscalls.begin(), out.syscalls.end(),
                    [&](const oci::LinuxSyscall& rule) { return notifies(rule.action); })) {
        return fail(
            Code::NotImplemented,
            "read seccomp profile: SCMP_ACT_NOTIFY needs a listener, which is not supported");
    }
    return out;
}

}  // namespace coffer::security
