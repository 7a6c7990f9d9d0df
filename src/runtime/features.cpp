#include <cstdio>

#include "json/value.hpp"
#include "runtime/commands.hpp"
#include "sys/credentials.hpp"

namespace coffer::runtime {

namespace {

using json::Array;
using json::Object;

Array names(std::initializer_list<const char*> list) {
    Array array;
    for (const char* name : list) array.emplace_back(name);
    return array;
}

}  // namespace

Result<int> features_command(const Containers&, const Words& words) {
    if (!words.empty()) return fail(Code::InvalidArgument, "features takes no arguments");
    Array capabilities;
    for (unsigned n = 0; n <= sys::cred::last_capability(); ++n) {
        capabilities.emplace_back(sys::cred::capability_name(n));
    }
    const Array options =
        names({"async",     "atime",       "bind",        "defaults",    "dev",    "diratime",
               "exec",      "idmap",       "newinstance", "noatime",     "nodev",  "nodiratime",
               "noexec",    "nosuid",      "nosymfollow", "private",     "ratime", "rbind",
               "rdev",      "rdiratime",   "relatime",    "rexec",       "ridmap", "rnoatime",
               "rnodev",    "rnodiratime", "rnoexec",     "rnosuid",     "ro",     "rprivate",
               "rro",       "rrw",         "rshared",     "rslave",      "rsuid",  "runbindable",
               "rw",        "shared",      "slave",       "strictatime", "suid",   "symfollow",
               "unbindable"});
    const Object cgroup{
        {"v1", true}, {"v2", true}, {"systemd", false}, {"systemdUser", false}, {"rdma", false}};
    const Object seccomp{
        {"enabled", true},
        {"actions",
         names({"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"})},
        {"operators", names({"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
                             "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"})},
        {"archs", names({"SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_ARM",
                         "SCMP_ARCH_AARCH64"})},
        {"knownFlags", names({"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                              "SECCOMP_FILTER_FLAG_LOG"})},
    };
    const Object mount_extensions{{"idmap", Object{{"enabled", true}}}};
    const Object linux{
        {"namespaces", names({"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"})},
        {"capabilities", capabilities},
        {"cgroup", cgroup},
        {"seccomp", seccomp},
        {"apparmor", Object{{"enabled", false}}},
        {"selinux", Object{{"enabled", false}}},
        {"intelRdt", Object{{"enabled", false}}},
        {"mountExtensions", mount_extensions},
    };
    const Object document{{"ociVersionMin", "1.0.0"},
                          {"ociVersionMax", "1.3.0"},
                          {"hooks", Array{}},
                          {"mountOptions", options},
                          {"linux", linux}};
    fmt::print("{}\n", json::write(document, {.indent = 4}));
    return 0;
}

}  // namespace coffer::runtime
