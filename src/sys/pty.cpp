#include "sys/pty.hpp"

#include <sys/ioctl.h>

namespace coffer::sys::pty {

Result<void> resize(int master_fd, Size size) {
    winsize window{};
    window.ws_row = size.rows;
    window.ws_col = size.columns;
    if (::ioctl(master_fd, TIOCSWINSZ, &window) != 0) {
        return fail_errno("resize terminal to {} x {}", size.columns, size.rows);
    }
    return {};
}

}  // namespace coffer::sys::pty
