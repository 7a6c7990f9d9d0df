#pragma once
// What a container may do by default, by security level: capabilities, system calls, masked paths,
// limits. The table is docs/security.md. Pure; all functions are safe from any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::oci {
struct LinuxSeccomp;
}

namespace coffer::security {

enum class Level : std::uint8_t { Compat, Standard, Strict };
// "compat", "standard", "strict".
std::optional<Level> parse_level(std::string_view name);
std::string_view name_of(Level level);

struct Profile {
    std::vector<std::string> capabilities;  // "CAP_CHOWN", ...
    std::vector<std::string> masked_paths;
    std::vector<std::string> readonly_paths;
    bool no_new_privileges = false;
    bool readonly_rootfs = false;
    bool time_namespace = false;
    std::optional<std::int64_t> pids_limit;       // nullopt: unlimited
    std::optional<unsigned> memory_percent;       // of the host's memory; nullopt: unlimited
    bool memory_required = false;                 // the caller must give a limit
    std::optional<std::int64_t> swap;             // bytes; nullopt: as docker's rule says
    std::optional<std::uint64_t> core_file_size;  // RLIMIT_CORE; nullopt: inherited
};
const Profile& profile(Level level);

// The system calls of a level. `capabilities` is the container's bounding set: it decides which
// further calls docker's list lets through.
Result<oci::LinuxSeccomp> default_seccomp(Level level,
                                          const std::vector<std::string>& capabilities);
// A profile in docker's own JSON format (--security-opt seccomp=FILE), resolved for this machine's
// architecture and kernel and for `capabilities`.
Result<oci::LinuxSeccomp> parse_seccomp(std::string_view json,
                                        const std::vector<std::string>& capabilities);
// All capabilities this build knows, in the kernel's order.
const std::vector<std::string>& all_capabilities();
// "chown", "CAP_CHOWN" -> "CAP_CHOWN"; nullopt when there is none of that name.
std::optional<std::string> normalise_capability(std::string_view name);

}  // namespace coffer::security
