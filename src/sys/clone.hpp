#pragma once
// clone3(2) as fork with namespaces. For processes with one thread only (checked by the callers
// once, at their start): the child is a full copy, runs `entry` and never returns.

#include <cstdint>

#include "sys/fd.hpp"

namespace coffer::sys {

enum class Parent : std::uint8_t {
    Us,    // an ordinary child, SIGCHLD to us
    Ours,  // CLONE_PARENT: a child of our parent, with our own exit signal
};

struct CloneOptions {
    std::uint64_t namespaces = 0;  // of ns::bit()
    Parent parent = Parent::Us;
    int cgroup_fd = -1;  // CLONE_INTO_CGROUP
};

struct Cloned {
    int pid = -1;
    Fd pidfd;
};

using ChildEntry = void (*)(void* argument);

// The child calls entry(argument), which must end in exec or _exit.
Result<Cloned> clone_process(const CloneOptions& options, ChildEntry entry, void* argument);
Result<Fd> open_pidfd(int pid);

}  // namespace coffer::sys
