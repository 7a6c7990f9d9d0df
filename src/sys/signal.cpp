#include "sys/signal.hpp"

#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace coffer::sys::signals {

Result<Fd> as_descriptor(std::initializer_list<int> numbers) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : numbers) ::sigaddset(&set, number);
    if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno("block signals");
    Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno("create signalfd");
    return fd;
}

int take(int signal_fd) {
    signalfd_siginfo info{};
    return ::read(signal_fd, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                                : 0;
}

Result<void> send(int pidfd, int number) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0) return {};
    if (errno == ESRCH) return fail(Code::NotFound, "the process has ended");
    return fail_errno("send signal {}", number);
}

Result<void> ignore_signal(int number) {
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    if (::sigaction(number, &action, nullptr) != 0) return fail_errno("ignore signal {}", number);
    return {};
}

}  // namespace coffer::sys::signals
