#pragma once
// The terminal of a container process: a pair from the container's own devpts, so that its name
// inside is right and no terminal of the host is in reach. Runs in the child, where not
// said otherwise. One thread.

#include <optional>

#include "oci/runtime_spec.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

struct Terminal {
    sys::Fd master;
    sys::Fd slave;
};
// `root` is the container's.
Result<Terminal> open_terminal_in_child(const sys::RootedDir& root, std::uint32_t uid,
                                        const std::optional<oci::Box>& size);
// /dev/console becomes the terminal: a bind of the very file we hold.
Result<void> bind_console_in_child(const sys::RootedDir& root, const Terminal& terminal);
// 0, 1 and 2 and the controlling terminal of a new session leader.
Result<void> take_terminal_in_child(const Terminal& terminal);

// Of the terminal that is our own standard input, if it is one: for who runs in front of it.
std::optional<oci::Box> own_window_size();

// 0, 1 and 2 from borrowed descriptors; -1 means the container's own /dev/null.
struct Stdio;
Result<void> take_stdio_in_child(const sys::RootedDir& root, const Stdio& stdio);
// Pipes among them belong to the user from here on, so that /dev/stdout can be opened again. `uid`
// and `gid` are the host's ids.
Result<void> give_pipes(const Stdio& stdio, std::uint32_t uid, std::uint32_t gid);

}  // namespace coffer::runtime
