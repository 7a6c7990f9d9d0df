#include "runtime/spec_check.hpp"

#include <algorithm>
#include <set>

#include "runtime/hooks.hpp"
#include "runtime/labels.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/resctrl.hpp"
#include "runtime/seccomp_profile.hpp"
#include "runtime/sysctl.hpp"
#include "runtime/tuning.hpp"

namespace coffer::runtime {

namespace {

Failure refuse(std::string_view field) {
    return fail(Code::NotImplemented, "{} is not supported", field);
}

// A field that is set although we do not do what it asks for.
struct Refused {
    bool set;
    const char* field;
};
Result<void> refuse_any(std::initializer_list<Refused> fields) {
    for (const Refused& field : fields) {
        if (field.set) return refuse(field.field);
    }
    return {};
}

Result<void> check_version(const std::string& version) {
    const std::vector<std::string> parts =
        split(version.substr(0, version.find_first_of("-+")), '.');
    const bool numbers = std::all_of(parts.begin(), parts.end(),
                                     [](const std::string& part) { return parse_uint(part); });
    if (numbers && parts.size() == 3 && parts[0] == "1") return {};
    return fail(Code::InvalidArgument, "ociVersion '{}' is not supported", version);
}

Result<void> check_namespaces(const oci::Spec& spec) {
    static constexpr std::string_view kKnown[] = {"pid", "network", "mount",  "ipc",
                                                  "uts", "user",    "cgroup", "time"};
    std::set<std::string> seen;
    for (const oci::LinuxNamespace& ns : spec.linux->namespaces) {
        if (std::find(std::begin(kKnown), std::end(kKnown), ns.type) == std::end(kKnown)) {
            return fail(Code::InvalidArgument, "linux.namespaces: type '{}' is not known", ns.type);
        }
        if (!seen.insert(ns.type).second) {
            return fail(Code::InvalidArgument, "linux.namespaces: '{}' is given twice", ns.type);
        }
    }
    if (!seen.contains("mount")) {
        return fail(Code::InvalidArgument,
                    "linux.namespaces: a container needs a mount namespace of its own");
    }
    const bool uts = seen.contains("uts");
    if (!uts && !(spec.hostname.empty() && spec.domainname.empty())) {
        return fail(Code::InvalidArgument,
                    "{}: unable to set hostname without a private UTS namespace",
                    spec.hostname.empty() ? "domainname" : "hostname");
    }
    if (!spec.linux->time_offsets.empty() && !seen.contains("time")) {
        return fail(Code::InvalidArgument, "linux.timeOffsets need a time namespace");
    }
    for (const auto& [clock, offset] : spec.linux->time_offsets) {
        if (clock != "monotonic" && clock != "boottime") {
            return fail(Code::InvalidArgument,
                        "linux.timeOffsets: clock '{}' is not monotonic or boottime", clock);
        }
        if (offset.nanosecs >= 1'000'000'000) {
            return fail(Code::InvalidArgument, "linux.timeOffsets.{}.nanosecs of {}", clock,
                        offset.nanosecs);
        }
    }
    if (!seen.contains("user")) {
        if (!spec.linux->uid_mappings.empty()) {
            return fail(Code::InvalidArgument, "linux.uidMappings need a user namespace");
        }
        if (!spec.linux->gid_mappings.empty()) {
            return fail(Code::InvalidArgument, "linux.gidMappings need a user namespace");
        }
    }
    const SysctlScope scope{seen.contains("ipc"), seen.contains("network"), uts};
    for (const auto& [key, value] : spec.linux->sysctl) TRY(check_sysctl(key, value, scope));
    return {};
}

Result<void> check_resources(const oci::LinuxResources& resources) {
    TRY(refuse_any({
        {resources.block_io && resources.block_io->leaf_weight.value_or(0) != 0,
         "linux.resources.blockIO.leafWeight"},
    }));
    if (!resources.block_io) return {};
    for (const auto& device : resources.block_io->weight_device) {
        if (device.leaf_weight.value_or(0) != 0) {
            return refuse("linux.resources.blockIO.weightDevice.leafWeight");
        }
    }
    return {};
}

bool has_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

Result<void> check_devices(const std::vector<oci::LinuxDevice>& devices) {
    constexpr std::int64_t kMajors = 1 << 12;  // of dev_t
    constexpr std::int64_t kMinors = 1 << 20;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const oci::LinuxDevice& device = devices[i];
        const auto bad = [&](std::string_view field, std::string_view why) {
            return fail(Code::InvalidArgument, "linux.devices[{}].{} of '{}' {}", i, field,
                        device.path, why);
        };
        const std::string path = clean_path(device.path);
        if (!device.path.starts_with('/') || path == "/" || path == "/dev" ||
            has_nul(device.path)) {
            return bad("path", "is not the absolute path of a device");
        }
        if (device.type != "c" && device.type != "b" && device.type != "u" && device.type != "p") {
            return bad("type", "is not c, b, u or p");
        }
        if (device.major < 0 || device.major >= kMajors) return bad("major", "is out of range");
        if (device.minor < 0 || device.minor >= kMinors) return bad("minor", "is out of range");
        if (device.file_mode.value_or(0) > 0177777) return bad("fileMode", "is out of range");
    }
    return {};
}

Result<void> check_net_devices(const oci::Spec& spec) {
    const auto is_name = [](const std::string& name) {
        return !name.empty() && name.size() < 16 && name != "." && name != ".." && !has_nul(name) &&
               name.find_first_of("/: \t\n") == std::string::npos;
    };
    for (const auto& [name, device] : spec.linux->net_devices) {
        if (!is_name(name) || (!device.name.empty() && !is_name(device.name))) {
            return fail(Code::InvalidArgument, "linux.netDevices: '{}' to '{}' is not a name", name,
                        device.name);
        }
    }
    if (!spec.linux->net_devices.empty() && find_namespace(spec, "network") == nullptr) {
        return fail(Code::InvalidArgument, "linux.netDevices need a network namespace");
    }
    return {};
}

Result<void> check_propagation(const std::string& name) {
    static constexpr std::string_view kKnown[] = {"",        "private",    "rprivate",
                                                  "slave",   "rslave",     "shared",
                                                  "rshared", "unbindable", "runbindable"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) return {};
    return fail(Code::InvalidArgument, "linux.rootfsPropagation '{}' is not known", name);
}

Result<void> check_seccomp(const oci::LinuxSeccomp& seccomp) {
    for (std::size_t i = 0; i < seccomp.syscalls.size(); ++i) {
        const oci::LinuxSyscall& call = seccomp.syscalls[i];
        if (call.names.empty()) {
            return fail(Code::InvalidArgument, "linux.seccomp.syscalls[{}].names is empty", i);
        }
        if (call.errno_ret && call.action != "SCMP_ACT_ERRNO" && call.action != "SCMP_ACT_TRACE") {
            return fail(Code::InvalidArgument, "linux.seccomp.syscalls[{}].errnoRet beside '{}'", i,
                        call.action);
        }
    }
    TRY_CONTEXT(to_profile(seccomp), "linux.seccomp");
    TRY_CONTEXT(seccomp_flags_of(seccomp), "linux.seccomp.flags");
    if (!seccomp.listener_metadata.empty() && seccomp.listener_path.empty()) {
        return fail(Code::InvalidArgument,
                    "linux.seccomp.listenerMetadata is given without listenerPath");
    }
    if (!uses_listener(seccomp)) return {};
    if (!seccomp.listener_path.starts_with('/')) {
        return fail(Code::InvalidArgument,
                    "linux.seccomp.listenerPath '{}' is not an absolute path, and "
                    "SCMP_ACT_NOTIFY needs one",
                    seccomp.listener_path);
    }
    for (const oci::LinuxSyscall& call : seccomp.syscalls) {
        // The listener is handed over by it: nobody could decide about that call.
        if (call.action == "SCMP_ACT_NOTIFY" &&
            std::find(call.names.begin(), call.names.end(), "sendmsg") != call.names.end()) {
            return fail(Code::InvalidArgument,
                        "linux.seccomp.syscalls: SCMP_ACT_NOTIFY for 'sendmsg' is not supported");
        }
    }
    return {};
}

}  // namespace

const oci::LinuxNamespace* find_namespace(const oci::Spec& spec, std::string_view type) {
    for (const oci::LinuxNamespace& ns : spec.linux->namespaces) {
        if (ns.type == type) return &ns;
    }
    return nullptr;
}

Result<void> check_process(const oci::Process& process) {
    if (process.args.empty()) {
        return fail(Code::InvalidArgument, "process.args: args must not be empty");
    }
    if (!process.cwd.starts_with('/') || has_nul(process.cwd)) {
        return fail(Code::InvalidArgument, "process.cwd: Cwd must be an absolute path, not '{}'",
                    process.cwd);
    }
    for (const std::string& arg : process.args) {
        if (has_nul(arg)) return fail(Code::InvalidArgument, "process.args has a NUL byte");
    }
    for (const std::string& entry : process.env) {
        if (has_nul(entry) || entry.find('=') == std::string::npos || entry[0] == '=') {
            return fail(Code::InvalidArgument,
                        "process.env: environment entry '{}' is not NAME=value", entry);
        }
    }
    if (process.user.umask.value_or(0) > 0777) {
        return fail(Code::InvalidArgument, "process.user.umask {:o} is out of range",
                    *process.user.umask);
    }
    TRY(refuse_any({{!process.user.username.empty(), "process.user.username"}}));
    TRY(check_tuning(process));
    return check_labels(process);
}

Result<void> check_spec(const oci::Spec& spec) {
    TRY(check_version(spec.oci_version));
    if (!spec.linux) return fail(Code::InvalidArgument, "the spec has no 'linux' part");
    if (spec.process) TRY(check_process(*spec.process));
    if (spec.hooks) TRY(check_hooks(*spec.hooks));
    const oci::Linux& linux = *spec.linux;
    if (linux.intel_rdt) TRY(resctrl::check(*linux.intel_rdt));
    TRY(check_tuning(linux));
    TRY(check_mount_label(linux.mount_label));
    if (linux.seccomp) TRY(check_seccomp(*linux.seccomp));
    TRY(check_namespaces(spec));
    TRY(check_propagation(linux.rootfs_propagation));
    TRY(check_devices(linux.devices));
    TRY(check_net_devices(spec));
    if (linux.resources) TRY(check_resources(*linux.resources));
    for (const auto* paths : {&linux.masked_paths, &linux.readonly_paths}) {
        for (const std::string& path : *paths) {
            if (!path.starts_with('/') || has_nul(path)) {
                return fail(Code::InvalidArgument,
                            "linux.{}: masked or read-only path '{}' is not absolute",
                            paths == &linux.masked_paths ? "maskedPaths" : "readonlyPaths", path);
            }
        }
    }
    for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
        if (has_nul(spec.mounts[i].destination) || has_nul(spec.mounts[i].source)) {
            return fail(Code::InvalidArgument, "mounts[{}]: a path with a NUL byte", i);
        }
    }
    return {};
}

}  // namespace coffer::runtime
