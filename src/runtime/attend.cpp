// `run` and `exec` in the foreground: signals, the window's size and the terminal's bytes.

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "runtime/commands.hpp"

namespace coffer::runtime {

namespace {

// Our terminal in raw mode for as long as it is the container's.
class RawTerminal {
  public:
    RawTerminal() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
        termios raw = before_;
        ::cfmakeraw(&raw);
        active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    ~RawTerminal() {
        if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    RawTerminal(RawTerminal&&) = delete;
    RawTerminal& operator=(RawTerminal&&) = delete;

  private:
    termios before_{};
    bool active_ = false;
};

void copy_window_size(int console_fd) {
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ::ioctl(console_fd, TIOCSWINSZ, &size);
}

// False at the end of the stream.
bool copy_once(int from, int to) {
    std::array<char, 16 * 1024> buffer;
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    return bool(sys::write_all(to, {buffer.data(), static_cast<std::size_t>(n)}));
}

void pass_signals(int signal_fd, const Created& process) {
    signalfd_siginfo info{};
    while (::read(signal_fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const int number = static_cast<int>(info.ssi_signo);
        if (number == SIGCHLD || number == SIGPIPE) continue;
        if (number == SIGWINCH && process.console) {
            copy_window_size(process.console.get());
        } else {
            ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), number, nullptr, 0);
        }
    }
}

Result<int> reap(const Created& process) {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED) != 0) {
        return fail_errno("wait for process {}", process.pid);
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace

Result<sys::Fd> watch_signals() {
    sigset_t all;
    ::sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::sigdelset(&all, own);
    if (::pthread_sigmask(SIG_BLOCK, &all, nullptr) != 0) return fail_errno("block signals");
    sys::Fd fd(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno("watch signals");
    return fd;
}

Result<int> attend(Created& process, const sys::Fd& signals) {
    std::optional<RawTerminal> raw;
    if (process.console) {
        raw.emplace();
        copy_window_size(process.console.get());
    }
    const int console = process.console.get();
    bool input = bool(process.console);
    for (;;) {
        std::array<pollfd, 4> polls{{{process.pidfd.get(), POLLIN, 0},
                                     {signals.get(), POLLIN, 0},
                                     {console, POLLIN, 0},
                                     {input ? STDIN_FILENO : -1, POLLIN, 0}}};
        if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) {
            return fail_errno("wait for process {}", process.pid);
        }
        if (polls[1].revents != 0) pass_signals(signals.get(), process);
        if (polls[2].revents != 0 && !copy_once(console, STDOUT_FILENO)) process.console.reset();
        if (polls[3].revents != 0 && !copy_once(STDIN_FILENO, console)) input = false;
        if (polls[0].revents == 0) continue;
        // What it wrote last is still in the terminal.
        pollfd rest{process.console.get(), POLLIN, 0};
        while (process.console && ::poll(&rest, 1, 0) > 0 && (rest.revents & POLLIN) != 0) {
            if (!copy_once(process.console.get(), STDOUT_FILENO)) break;
        }
        return reap(process);
    }
}

}  // namespace coffer::runtime
