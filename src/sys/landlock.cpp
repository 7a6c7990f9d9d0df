#include "sys/landlock.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace coffer::sys::landlock {

namespace {

constexpr long kCreateRuleset = 444;
constexpr long kRestrictSelf = 446;
constexpr unsigned kVersion = 1;

// struct landlock_ruleset_attr since ABI 6; the headers of Debian 12 know less.
struct RulesetAttr {
    std::uint64_t handled_access_fs;
    std::uint64_t handled_access_net;
    std::uint64_t scoped;
};

}  // namespace

int abi() {
    const long version = ::syscall(kCreateRuleset, nullptr, 0, kVersion);
    return version < 0 ? 0 : static_cast<int>(version);
}

int scope_in_child(unsigned what) noexcept {
    if (what == 0 || abi() < 6) return 0;
    const RulesetAttr attr{0, 0, what};
    const long ruleset = ::syscall(kCreateRuleset, &attr, sizeof attr, 0);
    if (ruleset < 0) return errno;
    const int error = ::syscall(kRestrictSelf, ruleset, 0) == 0 ? 0 : errno;
    ::close(static_cast<int>(ruleset));
    return error;
}

}  // namespace coffer::sys::landlock
