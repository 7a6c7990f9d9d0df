#include "runtime/spec_check.hpp"

#include <algorithm>
#include <set>

#include "runtime/sysctl.hpp"
#include "sys/credentials.hpp"

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
    if (version.starts_with("1.")) return {};
    return fail(Code::InvalidArgument, "ociVersion '{}' is not supported", version);
}

Result<void> check_namespaces(const oci::Spec& spec) {
    static constexpr std::string_view kKnown[] = {"pid", "network", "mount",  "ipc",
                                                  "uts", "user",    "cgroup", "time"};
    std::set<std::string> seen;
    for (const oci::LinuxNamespace& ns : spec.linux->namespaces) {
        if (std::find(std::begin(kKnown), std::end(kKnown), ns.type) == std::end(kKnown)) {
            return fail(Code::InvalidArgument, "namespace type '{}' is not known", ns.type);
        }
        if (!seen.insert(ns.type).second) {
            return fail(Code::InvalidArgument, "namespace '{}' is given twice", ns.type);
        }
        if (ns.type == "mount" && !ns.path.empty()) return refuse("a path for namespace 'mount'");
    }
    if (!seen.contains("mount")) {
        return fail(Code::InvalidArgument, "a container needs a mount namespace of its own");
    }
    const bool uts = seen.contains("uts");
    if (!uts && !(spec.hostname.empty() && spec.domainname.empty())) {
        return fail(Code::InvalidArgument,
                    "unable to set hostname without a private UTS namespace");
    }
    if (!spec.linux->time_offsets.empty() && !seen.contains("time")) {
        return fail(Code::InvalidArgument, "timeOffsets need a time namespace");
    }
    for (const auto& [clock, offset] : spec.linux->time_offsets) {
        if (clock != "monotonic" && clock != "boottime") {
            return fail(Code::InvalidArgument, "timeOffsets of clock '{}'", clock);
        }
    }
    if (!spec.linux->uid_mappings.empty() && !seen.contains("user")) {
        return fail(Code::InvalidArgument, "id mappings need a user namespace");
    }
    const SysctlScope scope{seen.contains("ipc"), seen.contains("network"), uts};
    for (const auto& [key, value] : spec.linux->sysctl) TRY(check_sysctl(key, value, scope));
    return {};
}

Result<void> check_resources(const oci::LinuxResources& resources) {
    TRY(refuse_any({
        {!resources.rdma.empty(), "linux.resources.rdma"},
        {resources.cpu && resources.cpu->burst.value_or(0) != 0, "linux.resources.cpu.burst"},
        {resources.cpu && resources.cpu->idle.value_or(0) != 0, "linux.resources.cpu.idle"},
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

Result<void> check_hooks(const oci::Hooks& hooks) {
    return refuse_any({
        {!hooks.prestart.empty(), "hooks.prestart"},
        {!hooks.create_runtime.empty(), "hooks.createRuntime"},
        {!hooks.create_container.empty(), "hooks.createContainer"},
        {!hooks.start_container.empty(), "hooks.startContainer"},
        {!hooks.poststart.empty(), "hooks.poststart"},
        {!hooks.poststop.empty(), "hooks.poststop"},
    });
}

Result<void> check_propagation(const std::string& name) {
    static constexpr std::string_view kKnown[] = {"",        "private",    "rprivate",
                                                  "slave",   "rslave",     "shared",
                                                  "rshared", "unbindable", "runbindable"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown)) return {};
    return fail(Code::InvalidArgument, "rootfsPropagation '{}' is not known", name);
}

bool has_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

}  // namespace

const oci::LinuxNamespace* find_namespace(const oci::Spec& spec, std::string_view type) {
    for (const oci::LinuxNamespace& ns : spec.linux->namespaces) {
        if (ns.type == type) return &ns;
    }
    return nullptr;
}

Result<void> check_process(const oci::Process& process) {
    if (process.args.empty()) return fail(Code::InvalidArgument, "args must not be empty");
    if (!process.cwd.starts_with('/')) {
        return fail(Code::InvalidArgument, "Cwd must be an absolute path, not '{}'", process.cwd);
    }
    if (has_nul(process.cwd)) return fail(Code::InvalidArgument, "cwd with a NUL byte");
    TRY(refuse_any({
        {!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined",
         "process.apparmorProfile"},
        {!process.selinux_label.empty(), "process.selinuxLabel"},
        {process.scheduler.has_value(), "process.scheduler"},
        {process.io_priority.has_value(), "process.ioPriority"},
        {process.exec_cpu_affinity.has_value(), "process.execCPUAffinity"},
        {!process.user.username.empty(), "process.user.username"},
    }));
    std::set<std::string> seen;
    for (const oci::Rlimit& limit : process.rlimits) {
        if (!sys::cred::rlimit_number(limit.type)) {
            return fail(Code::InvalidArgument, "rlimit '{}' is not known", limit.type);
        }
        if (!seen.insert(limit.type).second) {
            return fail(Code::InvalidArgument, "rlimit '{}' is given twice", limit.type);
        }
        if (limit.soft > limit.hard) {
            return fail(Code::InvalidArgument, "rlimit '{}': soft {} is above hard {}", limit.type,
                        limit.soft, limit.hard);
        }
    }
    if (process.oom_score_adj &&
        (*process.oom_score_adj < -1000 || *process.oom_score_adj > 1000)) {
        return fail(Code::InvalidArgument, "oomScoreAdj {} is out of range",
                    *process.oom_score_adj);
    }
    return {};
}

Result<void> check_spec(const oci::Spec& spec) {
    TRY(check_version(spec.oci_version));
    if (!spec.linux) return fail(Code::InvalidArgument, "the spec has no 'linux' part");
    if (spec.process) TRY(check_process(*spec.process));
    if (spec.hooks) TRY(check_hooks(*spec.hooks));
    const oci::Linux& linux = *spec.linux;
    TRY(refuse_any({
        {!linux.net_devices.empty(), "linux.netDevices"},
        {!linux.mount_label.empty(), "linux.mountLabel"},
        {linux.intel_rdt.has_value(), "linux.intelRdt"},
        {linux.memory_policy.has_value(), "linux.memoryPolicy"},
        {linux.personality && linux.personality->domain != "LINUX", "linux.personality"},
        {linux.personality && !linux.personality->flags.empty(), "linux.personality.flags"},
    }));
    if (linux.seccomp) {
        TRY(refuse_any({
            {!linux.seccomp->listener_path.empty(), "linux.seccomp.listenerPath"},
            {!linux.seccomp->listener_metadata.empty(), "linux.seccomp.listenerMetadata"},
        }));
    }
    TRY(check_namespaces(spec));
    TRY(check_propagation(linux.rootfs_propagation));
    if (linux.resources) TRY(check_resources(*linux.resources));
    for (const auto* paths : {&linux.masked_paths, &linux.readonly_paths}) {
        for (const std::string& path : *paths) {
            if (!path.starts_with('/') || has_nul(path)) {
                return fail(Code::InvalidArgument, "masked or read-only path '{}'", path);
            }
        }
    }
    for (const oci::Mount& mount : spec.mounts) {
        if (has_nul(mount.destination) || has_nul(mount.source)) {
            return fail(Code::InvalidArgument, "mount path with a NUL byte");
        }
    }
    return {};
}

}  // namespace coffer::runtime
