#pragma once
// Jail: what a process that handles an image's or a container's files gives up before it looks at
// the first of them. For a process with one thread.

#include <span>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::archive {

// The part that all jails share: no_new_privs, limits on memory, descriptors and core files, no
// capability but `keep`, no file outside of `folders` (Landlock), and some 50 system calls; others
// kill. None of them maps code, makes a socket or starts a process.
struct Jail {
    std::span<const int> folders;
    bool read_only = false;
    std::uint64_t keep = 0;               // capabilities, bit n is capability n
    std::vector<const char*> calls = {};  // beside those that extraction needs
    std::uint64_t descriptors = 1024;     // at most; fewer where the process may have fewer
};
Result<void> lock_up(const Jail& jail);
// What the root of a user namespace must keep to extract files of any owner and mode.
Result<std::uint64_t> extraction_rights();

// Gives up all that extracting into `target_fd` does not need, and returns the folder to extract
// into: the same one, through a mount that maps our ids to those of the image.
//   - ids: a user namespace whose root is host user 2147483648, who owns nothing on this host; the
//     mount alone translates 0..2147483645 to what the image says. No capability counts outside.
//   - capabilities: chown, fowner, dac_override, fsetid and setfcap
//   - namespaces of its own for network and IPC; the target is root directory and all it reaches
Result<sys::Fd> enter_jail(int target_fd);

}  // namespace coffer::archive
