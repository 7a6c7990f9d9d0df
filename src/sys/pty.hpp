#pragma once
// Window size and data of a pseudo-terminal's master side. Stateless.

#include <cstdint>

#include "sys/fd.hpp"

namespace coffer::sys::pty {

struct Size {
    std::uint16_t rows = 0;
    std::uint16_t columns = 0;
};
// Sets the size; the foreground processes get SIGWINCH.
Result<void> resize(int master_fd, Size size);

}  // namespace coffer::sys::pty
