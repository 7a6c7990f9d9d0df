#include "runtime/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <array>

#include "runtime/create.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"

namespace coffer::runtime {

namespace {

constexpr uid_t kNobody = 65534;

Result<void> check_device(int fd, unsigned major, unsigned minor, const char* path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail_errno("stat '{}'", path);
    if (!S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(major, minor)) {
        return fail(Code::Forbidden, "'{}' of the container is not the device it should be", path);
    }
    return {};
}

Result<void> take(int fd, int number) {
    if (::dup2(fd, number) < 0) return fail_errno("set descriptor {}", number);
    return {};
}

}  // namespace

Result<Terminal> open_terminal_in_child(const sys::RootedDir& root, std::uint32_t uid,
                                        const std::optional<oci::Box>& size) {
    Terminal terminal;
    terminal.master =
        TRY_CONTEXT(root.open_no_links("/dev/pts/ptmx", O_RDWR | O_NOCTTY), "open a terminal");
    TRY(check_device(terminal.master.get(), 5, 2, "/dev/pts/ptmx"));
    if (TRY(sys::mount::info(terminal.master.get())).type != sys::mount::kDevptsMagic) {
        return fail(Code::Forbidden, "/dev/pts of the container is not a devpts");
    }
    int unlocked = 0;
    if (::ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0) {
        return fail_errno("unlock terminal");
    }
    terminal.slave.reset(
        ::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal.slave) return fail_errno("open terminal");
    if (::fchown(terminal.slave.get(), uid, static_cast<gid_t>(-1)) != 0) {
        return fail_errno("set owner of terminal");
    }
    if (size && size->height <= 0xffff && size->width <= 0xffff) {
        winsize window{};
        window.ws_row = static_cast<unsigned short>(size->height);
        window.ws_col = static_cast<unsigned short>(size->width);
        if (::ioctl(terminal.master.get(), TIOCSWINSZ, &window) != 0) {
            return fail_errno("set size of terminal");
        }
    }
    return terminal;
}

Result<void> bind_console_in_child(const sys::RootedDir& root, const Terminal& terminal) {
    const sys::Fd target = TRY(root.open_no_links("/dev/console", O_PATH));
    const sys::Fd tree =
        TRY(sys::mount::clone_tree(terminal.slave.get(), "", sys::mount::Depth::One));
    return sys::mount::attach(tree.get(), target.get());
}

Result<void> take_terminal_in_child(const Terminal& terminal) {
    if (::ioctl(terminal.slave.get(), TIOCSCTTY, 0) != 0) return fail_errno("take terminal");
    for (int number = 0; number < 3; ++number) TRY(take(terminal.slave.get(), number));
    return {};
}

std::optional<oci::Box> own_window_size() {
    winsize window{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &window) != 0) return std::nullopt;
    return oci::Box{.height = window.ws_row, .width = window.ws_col};
}

Result<void> take_stdio_in_child(const sys::RootedDir& root, const Stdio& stdio) {
    std::array<sys::Fd, 3> copies;
    const std::array<int, 3> sources = {stdio.in, stdio.out, stdio.err};
    for (std::size_t i = 0; i < 3; ++i) {
        if (sources[i] < 0 || check_device(sources[i], 1, 3, "/dev/null")) {
            // The caller's leads to a mount of the host. A container may have none of its own.
            auto own = root.open_no_links("/dev/null", O_RDWR | O_NOCTTY);
            if (own) TRY(check_device(own->get(), 1, 3, "/dev/null"));
            if (own || sources[i] < 0) copies[i] = TRY(std::move(own));
        }
        // Above 2, so that one dup2 cannot overwrite the source of the next.
        const int source = copies[i] ? copies[i].get() : sources[i];
        sys::Fd copy(::fcntl(source, F_DUPFD_CLOEXEC, 3));
        if (!copy) return fail_errno("duplicate descriptor {}", source);
        copies[i] = std::move(copy);
    }
    for (int number = 0; number < 3; ++number) {
        TRY(take(copies[static_cast<std::size_t>(number)].get(), number));
    }
    return {};
}

Result<void> give_pipes(const Stdio& stdio, std::uint32_t uid, std::uint32_t gid) {
    for (const int fd : {stdio.in, stdio.out, stdio.err}) {
        struct stat status {};
        if (fd < 0) continue;
        if (::fstat(fd, &status) != 0) return fail_errno("stat descriptor {}", fd);
        // A pipe whose owner has no id in our user namespace stays theirs.
        if (status.st_uid == kNobody && sys::ns::in_user_namespace()) continue;
        if (S_ISFIFO(status.st_mode) && ::fchown(fd, uid, gid) != 0) {
            return fail_errno("set owner of descriptor {}", fd);
        }
    }
    return {};
}

}  // namespace coffer::runtime
