#include "sys/pty.hpp"

#include <fcntl.h>
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

Result<Fd> open_peer(int master_fd) {
    Fd peer(::ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!peer) return fail_errno("open the terminal of descriptor {}", master_fd);
    return peer;
}

}  // namespace coffer::sys::pty
