#include "sys/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace coffer::sys::seccomp {

std::string canonical_text(const Profile& profile) {
    std::string text = format("default {} {}\n", static_cast<int>(profile.default_action),
                              profile.default_error.value_or(EPERM));
    std::vector<std::string> architectures = profile.architectures;
    std::sort(architectures.begin(), architectures.end());
    architectures.erase(std::unique(architectures.begin(), architectures.end()),
                        architectures.end());
    text += format("architectures {}\n", join(architectures, " "));
    // The order of rules is kept: for one call, the first of equal conditions wins.
    for (const Rule& rule : profile.rules) {
        text += format("{} {}", static_cast<int>(rule.action), rule.error.value_or(EPERM));
        for (const Condition& condition : rule.conditions) {
            text +=
                format(" {}:{}:{:x}:{:x}", condition.argument, static_cast<int>(condition.compare),
                       condition.value, condition.value_two);
        }
        text += format(" | {}\n", join(rule.names, " "));
    }
    return text;
}

int load_in_child(const char* bpf, std::size_t size, unsigned flags) noexcept {
    sock_fprog program{};
    program.len = static_cast<unsigned short>(size / sizeof(sock_filter));
    program.filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(bpf));
    if (size % sizeof(sock_filter) != 0 || size / sizeof(sock_filter) > BPF_MAXINSNS)
        return -EINVAL;
    const long done = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return done < 0 ? -errno : static_cast<int>(done);
}

bool flags_supported(unsigned flags) {
    // With a null program a kernel that knows the flags gets as far as EFAULT.
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) != 0 && errno == EFAULT;
}

}  // namespace coffer::sys::seccomp
