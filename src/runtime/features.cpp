#include <cstdio>

#include "json/value.hpp"
#include "runtime/commands.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/resctrl.hpp"
#include "runtime/seccomp_profile.hpp"
#include "runtime/tuning.hpp"
#include "sys/credentials.hpp"
#include "sys/seccomp.hpp"

namespace coffer::runtime {

namespace {

using json::Array;
using json::Object;

template <class Names>
Array names(const Names& list) {
    Array array;
    for (const auto& name : list) array.emplace_back(name);
    return array;
}
Array names(std::initializer_list<const char*> list) {
    return names<std::initializer_list<const char*>>(list);
}

Object enabled(bool yes) {
    return {{"enabled", yes}};
}

Object seccomp() {
    Array supported;
    for (const std::string_view flag : seccomp_flag_names()) {
        oci::LinuxSeccomp one;
        one.flags = {std::string(flag)};
        unsigned bits = seccomp_flags_of(one).value_or(0);
        // This one means something beside a listener only.
        if ((bits & sys::seccomp::kWaitKillableRecv) != 0) bits |= sys::seccomp::kNewListener;
        if (sys::seccomp::flags_supported(bits)) supported.emplace_back(flag);
    }
    return {
        {"enabled", true},
        {"actions", names(seccomp_action_names())},
        {"operators", names(seccomp_operator_names())},
        {"archs", names({"SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_ARM",
                         "SCMP_ARCH_AARCH64"})},
        {"knownFlags", names(seccomp_flag_names())},
        {"supportedFlags", std::move(supported)},
    };
}

Object linux_part() {
    Array capabilities;
    for (unsigned n = 0; n <= sys::cred::last_capability(); ++n) {
        capabilities.emplace_back(sys::cred::capability_name(n));
    }
    return {
        {"namespaces", names({"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"})},
        {"capabilities", std::move(capabilities)},
        {"cgroup",
         Object{
             {"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
        {"seccomp", seccomp()},
        {"apparmor", enabled(true)},
        {"selinux", enabled(true)},
        {"memoryPolicy",
         Object{{"modes", names(memory_policy_modes())}, {"flags", names(memory_policy_flags())}}},
        {"intelRdt", Object{{"enabled", resctrl::mount_point().has_value()},
                            {"schemata", true},
                            {"monitoring", true}}},
        {"mountExtensions", Object{{"idmap", enabled(true)}}},
        {"netDevices", enabled(true)},
    };
}

}  // namespace

Result<int> features_command(const Containers&, const Args& args) {
    if (!args.rest.empty()) return fail(Code::InvalidArgument, "features takes no arguments");
    const Object document{
        {"ociVersionMin", "1.0.0"},
        {"ociVersionMax", oci::kRuntimeSpecVersion},
        {"hooks", names({"prestart", "createRuntime", "createContainer", "startContainer",
                         "poststart", "poststop"})},
        {"mountOptions", names(mount_options())},
        {"linux", linux_part()},
        {"annotations", Object{{"org.opencontainers.runc.checkpoint.enabled", "true"}}},
    };
    fmt::print("{}\n", json::write(document, {.indent = 4}));
    return 0;
}

}  // namespace coffer::runtime
