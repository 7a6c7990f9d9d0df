#include "sys/clone.hpp"

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace coffer::sys {

Result<Cloned> clone_process(const CloneOptions& options, ChildEntry entry, void* argument) {
    int pidfd = -1;
    ::clone_args args{};
    args.flags = options.namespaces | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    if (options.parent == Parent::Ours) {
        args.flags |= CLONE_PARENT;
    } else {
        args.exit_signal = SIGCHLD;
    }
    if (options.cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<std::uint64_t>(options.cgroup_fd);
    }
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) {
        return fail_errno("clone process{}", options.cgroup_fd < 0 ? "" : " into its cgroup");
    }
    if (pid == 0) {
        entry(argument);
        ::_exit(127);
    }
    return Cloned{static_cast<int>(pid), Fd(pidfd)};
}

Result<Fd> open_pidfd(int pid) {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) return fail_errno("open process {}", pid);
    return fd;
}

}  // namespace coffer::sys
