#pragma once
// Jail: what the process that unpacks layers gives up before it reads the first byte of one. For a
// process with one thread.

#include "sys/fd.hpp"

namespace coffer::archive {

// Gives up all that extracting into `target_fd` does not need, and returns the folder to extract
// into: the same one, through a mount that maps our ids to those of the image.
//   - ids: a user namespace whose root is host user 2147483648, who owns nothing on this host; the
//     mount alone translates 0..2147483645 to what the image says. No capability counts outside.
//   - capabilities: chown, fowner, dac_override, fsetid and setfcap; no_new_privs
//   - namespaces of its own for network and IPC; root directory and Landlock: the target
//   - some 50 system calls; the others kill
//   - limits on memory, descriptors and core files
Result<sys::Fd> enter_jail(int target_fd);

}  // namespace coffer::archive
