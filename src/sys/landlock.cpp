#include "sys/landlock.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sys/fd.hpp"

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

constexpr long kAddRule = 445;
constexpr int kPathBeneath = 1;
struct [[gnu::packed]] PathBeneathAttr {
    std::uint64_t allowed_access;
    std::int32_t parent_fd;
};

// LANDLOCK_ACCESS_FS_*: execute is bit 0, ioctl on devices (ABI 5) bit 15.
constexpr std::uint64_t kExecute = 1;
constexpr std::uint64_t kReadFile = 1U << 2U;
constexpr std::uint64_t kReadFolder = 1U << 3U;
constexpr std::uint64_t kMakeSocket = 1U << 9U;
constexpr std::uint64_t kMakeBlock = 1U << 11U;
constexpr std::uint64_t kIoctlDevice = 1U << 15U;

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

Result<void> restrict_to_folders(std::span<const int> folder_fds, Access access) {
    const int version = abi();
    if (version == 0) return {};
    std::uint64_t files = (1U << 13U) - 1;  // ABI 1
    if (version >= 2) files |= 1U << 13U;   // links and renames across folders
    if (version >= 3) files |= 1U << 14U;   // truncate
    if (version >= 5) files |= kIoctlDevice;
    RulesetAttr attr{files, 0, 0};
    std::size_t size = sizeof attr.handled_access_fs;
    if (version >= 4) {
        attr.handled_access_net = 3;  // bind and connect TCP
        size += sizeof attr.handled_access_net;
    }
    if (version >= 6) {
        attr.scoped = 3;  // abstract unix sockets and signals
        size += sizeof attr.scoped;
    }
    const Fd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attr, size, 0)));
    if (!ruleset) return fail_errno("create Landlock rules");
    const std::uint64_t allowed =
        access == Access::Read ? kReadFile | kReadFolder
                               : files & ~(kExecute | kMakeSocket | kMakeBlock | kIoctlDevice);
    for (const int fd : folder_fds) {
        const PathBeneathAttr folder{allowed, fd};
        if (::syscall(kAddRule, ruleset.get(), kPathBeneath, &folder, 0) != 0) {
            return fail_errno("add Landlock rule");
        }
    }
    if (::syscall(kRestrictSelf, ruleset.get(), 0) != 0) return fail_errno("apply Landlock rules");
    return {};
}

}  // namespace coffer::sys::landlock
