#pragma once
// Our own program, out of reach of those who meet it by /proc/PID/exe (CVE-2019-5736). Before the
// first thread.

#include "sys/fd.hpp"

namespace coffer::sys {

// Executes our own program anew from where nobody can write to it, and returns there. What a
// container's processes can reach would otherwise be the host's file. They cannot execute it
// either.
//
//   as root      its folder below an overlay without an upper layer: that file system has no way to
//                write, whatever becomes of the flags of the mount
//   otherwise    a copy in a sealed memory file: takes the longer, the larger it is
Result<void> run_from_protected_program(char* const* argv);

}  // namespace coffer::sys
