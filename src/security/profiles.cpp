#include "security/profiles.hpp"

#include "sys/credentials.hpp"

namespace coffer::security {

namespace {

const std::vector<std::string> kMasked = {"/proc/acpi",
                                          "/proc/asound",
                                          "/proc/interrupts",
                                          "/proc/kcore",
                                          "/proc/keys",
                                          "/proc/latency_stats",
                                          "/proc/sched_debug",
                                          "/proc/scsi",
                                          "/proc/timer_list",
                                          "/proc/timer_stats",
                                          "/sys/devices/virtual/powercap",
                                          "/sys/firmware"};
const std::vector<std::string> kReadonly = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                            "/proc/sysrq-trigger"};

const std::vector<std::string> kDockerCapabilities = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_KILL",    "CAP_AUDIT_WRITE"};
const std::vector<std::string> kStandardCapabilities = {
    "CAP_CHOWN", "CAP_DAC_OVERRIDE",     "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL",  "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"};

Profile make_compat() {
    Profile profile;
    profile.capabilities = kDockerCapabilities;
    profile.masked_paths = kMasked;
    profile.readonly_paths = kReadonly;
    return profile;
}

Profile make_standard() {
    Profile profile = make_compat();
    profile.capabilities = kStandardCapabilities;
    profile.no_new_privileges = true;
    profile.time_namespace = true;
    profile.pids_limit = 2048;
    profile.memory_percent = 90;
    profile.swap = 0;
    profile.core_file_size = 0;
    return profile;
}

Profile make_strict() {
    Profile profile = make_standard();
    profile.capabilities = {};
    profile.readonly_rootfs = true;
    profile.pids_limit = 512;
    profile.memory_percent = std::nullopt;
    profile.memory_required = true;
    return profile;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
    for (const Level level : {Level::Compat, Level::Standard, Level::Strict}) {
        if (name == name_of(level)) return level;
    }
    return std::nullopt;
}

std::string_view name_of(Level level) {
    switch (level) {
        case Level::Compat:
            return "compat";
        case Level::Standard:
            return "standard";
        case Level::Strict:
            return "strict";
    }
    return {};
}

const Profile& profile(Level level) {
    static const Profile compat = make_compat();
    static const Profile standard = make_standard();
    static const Profile strict = make_strict();
    return level == Level::Compat ? compat : level == Level::Standard ? standard : strict;
}

const std::vector<std::string>& all_capabilities() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> names;
        for (unsigned i = 0; i <= sys::cred::last_capability(); ++i) {
            names.push_back(sys::cred::capability_name(i));
        }
        return names;
    }();
    return all;
}

std::optional<std::string> normalise_capability(std::string_view name) {
    const auto number = sys::cred::capability_number(name);
    if (!number) return std::nullopt;
    return sys::cred::capability_name(*number);
}

}  // namespace coffer::security
