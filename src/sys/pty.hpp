#pragma once
// A pseudo-terminal by its master side: window size and the slave. Stateless.

#include <cstdint>

#include "sys/fd.hpp"

namespace coffer::sys::pty {

struct Size {
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
};
// Sets the size; the foreground processes get SIGWINCH.
Result<void> resize(int master_fd, Size size);

// The slave side, whichever mount namespace its device lies in; not our controlling terminal.
Result<Fd> open_peer(int master_fd);

}  // namespace coffer::sys::pty
