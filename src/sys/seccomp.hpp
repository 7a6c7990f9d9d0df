#pragma once
// System call filters: a neutral profile, its compilation to BPF (seccomp_compile.cpp, the only
// user of libseccomp, so that who only loads does not link it) and loading. Stateless.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys::seccomp {

enum class Action : std::uint8_t { Allow, Errno, Kill, KillProcess, Trap, Trace, Log, Notify };
enum class Compare : std::uint8_t {
    NotEqual,
    Less,
    LessEqual,
    Equal,
    GreaterEqual,
    Greater,
    MaskedEqual
};

struct Condition {
    unsigned argument = 0;  // 0 to 5
    Compare compare = Compare::Equal;
    std::uint64_t value = 0;
    std::uint64_t value_two = 0;  // MaskedEqual: argument & value == value_two
};

struct Rule {
    std::vector<std::string> names;  // unknown to libseccomp: skipped, as every engine does
    Action action = Action::Allow;
    std::optional<std::uint16_t> error;  // of Errno and Trace; default EPERM
    std::vector<Condition> conditions;   // all must hold
};

struct Profile {
    Action default_action = Action::Errno;
    std::optional<std::uint16_t> default_error;  // default EPERM
    // libseccomp's names without prefix: "x86_64", "x86", "x32". The native one is always in;
    // calls of any other ABI kill the process.
    std::vector<std::string> architectures;
    std::vector<Rule> rules;
};

// The profile's text in one canonical form: equal profiles give equal texts.
std::string canonical_text(const Profile& profile);
// The filter as an array of struct sock_filter.
Result<std::string> compile(const Profile& profile);

// Flags of seccomp(2).
constexpr unsigned kLog = 2;
constexpr unsigned kSpecAllow = 4;
constexpr unsigned kNewListener = 8;  // for profiles with Action::Notify
constexpr unsigned kWaitKillableRecv = 32;
// Async-signal-safe: -errno, or the listener's descriptor with kNewListener, else 0.
int load_in_child(const char* bpf, std::size_t size, unsigned flags) noexcept;
// True if the running kernel knows the flags.
bool flags_supported(unsigned flags);

}  // namespace coffer::sys::seccomp
