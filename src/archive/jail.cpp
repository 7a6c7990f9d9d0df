#include "archive/jail.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/hash.hpp"
#include "sys/credentials.hpp"
#include "sys/landlock.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"
#include "sys/process.hpp"
#include "sys/seccomp.hpp"

namespace coffer::archive {

namespace {

// Above all container ranges, so that no id of an image that fits an int is out of reach.
constexpr sys::ns::IdMap kIds{0, 0x80000000U, 0x7ffffffeU};

Result<void> set_limits(std::uint64_t descriptors) {
#ifndef __SANITIZE_ADDRESS__  // whose shadow memory is terabytes of addresses
    const std::uint64_t memory = 1ULL << 30U;
    TRY(sys::cred::set_rlimit(0, {RLIMIT_AS, memory, memory}));
#endif
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return fail_errno("read resource limit");
    descriptors = std::min<std::uint64_t>(descriptors, now.rlim_max);
    TRY(sys::cred::set_rlimit(0, {RLIMIT_NOFILE, descriptors, descriptors}));
    TRY(sys::cred::set_rlimit(0, {RLIMIT_CORE, 0, 0}));
    return {};
}

Result<void> filter_calls(const std::vector<const char*>& more) {
    using sys::seccomp::Action;
    using sys::seccomp::Compare;
    constexpr std::uint64_t kExec = 4;          // PROT_EXEC
    constexpr std::uint64_t kThread = 0x10000;  // CLONE_THREAD
    sys::seccomp::Profile profile;
    profile.default_action = Action::KillProcess;
    profile.rules = {
        {.names = {"read",
                   "readv",
                   "write",
                   "writev",
                   "lseek",
                   "close",
                   "fcntl",
                   "openat",
                   "openat2",
                   "fstat",
                   "newfstatat",
                   "statx",
                   "getdents64",
                   "readlinkat",
                   "mkdirat",
                   "mknodat",
                   "symlinkat",
                   "linkat",
                   "unlinkat",
                   "ftruncate",
                   "fchown",
                   "fchownat",
                   "fchmod",
                   "fchmodat",
                   "utimensat",
                   "fsetxattr",
                   "futex",
                   "munmap",
                   "mremap",
                   "brk",
                   "madvise",
                   "rseq",
                   "set_robust_list",
                   "exit",
                   "exit_group",
                   "rt_sigreturn",
                   "rt_sigprocmask",
                   "rt_sigaction",
                   "gettid",
                   "getpid",
                   "tgkill",
                   "clock_gettime",
                   "sched_yield",
                   "restart_syscall",
                   "getrandom"}},
#ifdef __SANITIZE_ADDRESS__  // what the sanitizers' own checks call
        {.names = {"pipe2", "sigaltstack", "prctl", "sched_getaffinity", "readlink"}},
#endif
        {.names = {"mmap", "mprotect"}, .conditions = {{2, Compare::MaskedEqual, kExec, 0}}},
        {.names = {"clone"}, .conditions = {{0, Compare::MaskedEqual, kThread, kThread}}},
        // Its flags are out of a filter's sight; glibc falls back to clone.
        {.names = {"clone3"}, .action = Action::Errno, .error = ENOSYS},
    };
    if (!more.empty()) profile.rules.push_back({.names = {more.begin(), more.end()}});
    const std::string filter = TRY(sys::seccomp::compile(profile));
    const int error = -sys::seccomp::load_in_child(filter.data(), filter.size(), 0);
    if (error != 0) return fail_with(error, "load system call filter");
    return {};
}

}  // namespace

Result<void> lock_up(const Jail& jail) {
    TRY(set_limits(jail.descriptors));
    TRY(sys::cred::limit_bounding(jail.keep));
    TRY(sys::cred::set_capabilities(
        {.effective = jail.keep, .permitted = jail.keep, .bounding = jail.keep}));
    TRY(sys::cred::set_no_new_privileges());
    TRY(sys::landlock::restrict_to_folders(
        jail.folders, jail.read_only ? sys::landlock::Access::Read : sys::landlock::Access::Write));
    return filter_calls(jail.calls);
}

Result<std::uint64_t> extraction_rights() {
    return sys::cred::parse_capabilities(
        {"CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_SETFCAP"});
}

Result<sys::Fd> enter_jail(int target_fd) {
    sys::assert_single_threaded();
    // Whatever libraries load when they are first used must be there before the doors close.
    static_cast<void>(digest_of(""));

    const sys::Fd users = TRY(sys::ns::create_user({kIds}, {kIds}));
    sys::Fd target = TRY(sys::mount::clone_tree(target_fd, "", sys::mount::Depth::One));
    TRY_CONTEXT(
        sys::mount::set_attributes(target.get(),
                                   {.set = sys::mount::kNoSuid | sys::mount::kNoDev |
                                           sys::mount::kNoExec | sys::mount::kNoSymlinkFollow,
                                    .idmap_userns = users.get()},
                                   sys::mount::Depth::One),
        "map the ids of the layer folder");
    // From here on no process of the host is ours to touch, and no file but through that mount.
    TRY(sys::ns::enter(users.get(), sys::ns::Kind::User));
    TRY(sys::cred::become({}));
    if (::unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
        return fail_errno("unshare network");
    }
    if (::fchdir(target.get()) != 0 || ::chroot(".") != 0) return fail_errno("change root");

    // After the change of ids, which clears it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail_errno("set death signal");
    const sys::cred::CapSet keep = TRY(extraction_rights());
    const int reach = target.get();
    TRY(lock_up({.folders = {&reach, 1}, .keep = keep}));
    return target;
}

}  // namespace coffer::archive
