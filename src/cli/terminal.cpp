#include "cli/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/text.hpp"

namespace coffer::cli {

namespace {

struct SignalName {
    int number;
    std::string_view name;
};

constexpr std::array kSignals = {
    SignalName{SIGHUP, "HUP"},     SignalName{SIGINT, "INT"},       SignalName{SIGQUIT, "QUIT"},
    SignalName{SIGUSR1, "USR1"},   SignalName{SIGUSR2, "USR2"},     SignalName{SIGALRM, "ALRM"},
    SignalName{SIGTERM, "TERM"},   SignalName{SIGCONT, "CONT"},     SignalName{SIGTSTP, "TSTP"},
    SignalName{SIGTTIN, "TTIN"},   SignalName{SIGTTOU, "TTOU"},     SignalName{SIGXCPU, "XCPU"},
    SignalName{SIGXFSZ, "XFSZ"},   SignalName{SIGVTALRM, "VTALRM"}, SignalName{SIGPROF, "PROF"},
    SignalName{SIGWINCH, "WINCH"}, SignalName{SIGIO, "IO"},         SignalName{SIGPWR, "PWR"},
};

}  // namespace

bool is_terminal(int fd) {
    return ::isatty(fd) == 1;
}

WindowSize window_size(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
    return {size.ws_row, size.ws_col};
}

Result<RawTerminal> RawTerminal::enter(int fd) {
    termios state{};
    if (::tcgetattr(fd, &state) != 0) return fail_errno("read the state of the terminal");
    RawTerminal out;
    out.saved_.assign(reinterpret_cast<const char*>(&state), sizeof state);
    ::cfmakeraw(&state);
    if (::tcsetattr(fd, TCSANOW, &state) != 0) return fail_errno("set the terminal to raw mode");
    out.fd_ = fd;
    return out;
}

RawTerminal::RawTerminal(RawTerminal&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), saved_(std::move(other.saved_)) {}

RawTerminal& RawTerminal::operator=(RawTerminal&& other) noexcept {
    if (this != &other) {
        restore();
        fd_ = std::exchange(other.fd_, -1);
        saved_ = std::move(other.saved_);
    }
    return *this;
}

void RawTerminal::restore() noexcept {
    if (fd_ < 0) return;
    termios state{};
    std::memcpy(&state, saved_.data(), sizeof state);
    ::tcsetattr(fd_, TCSANOW, &state);
    fd_ = -1;
}

Result<std::string> read_password(std::string_view prompt) {
    TRY(sys::write_all(STDOUT_FILENO, prompt));
    termios saved{};
    if (::tcgetattr(STDIN_FILENO, &saved) != 0) return fail_errno("read the terminal");
    termios quiet = saved;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    std::string line;
    char c = 0;
    while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    TRY(sys::write_all(STDOUT_FILENO, "\n"));
    return line;
}

Result<CaughtSignals> CaughtSignals::start(Which which) {
    sigset_t set{};
    sigemptyset(&set);
    for (const SignalName& signal : kSignals) {
        const bool ending = signal.number == SIGHUP || signal.number == SIGINT ||
                            signal.number == SIGQUIT || signal.number == SIGTERM ||
                            signal.number == SIGWINCH;
        if (which == Which::All || ending) sigaddset(&set, signal.number);
    }
    sigset_t before{};
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, &before); error != 0) {
        return fail_with(error, "block signals");
    }
    CaughtSignals out;
    out.saved_.assign(reinterpret_cast<const char*>(&before), sizeof before);
    out.fd_ = sys::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!out.fd_) return fail_errno("make a signal descriptor");
    return out;
}

CaughtSignals::CaughtSignals(CaughtSignals&& other) noexcept
    : fd_(std::move(other.fd_)), saved_(std::exchange(other.saved_, {})) {}

CaughtSignals::~CaughtSignals() {
    if (saved_.empty()) return;
    sigset_t before{};
    std::memcpy(&before, saved_.data(), sizeof before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

int CaughtSignals::take() const {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
    return static_cast<int>(info.ssi_signo);
}

std::string_view signal_name(int number) {
    for (const SignalName& signal : kSignals) {
        if (signal.number == number) return signal.name;
    }
    return {};
}

Result<std::string> parse_detach_keys(std::string_view text) {
    std::string out;
    for (const std::string& key : split(text, ',')) {
        if (key.size() == 1) {
            out += key;
            continue;
        }
        const bool control = key.starts_with("ctrl-") && key.size() == 6;
        const char c = control ? key[5] : '\0';
        if (c >= 'a' && c <= 'z') {
            out += static_cast<char>(c - 'a' + 1);
        } else if (control && std::string_view("@[\\]^_").find(c) != std::string_view::npos) {
            out += static_cast<char>(c - '@');
        } else {
            return fail(Code::InvalidArgument, "Unknown character: '{}'", key);
        }
    }
    return out;
}

DetachFilter::Output DetachFilter::feed(std::string_view typed) {
    Output out;
    for (const char c : typed) {
        if (matched_ < keys_.size() && c == keys_[matched_]) {
            if (++matched_ == keys_.size()) {
                out.detached = true;
                return out;
            }
            continue;
        }
        out.bytes += keys_.substr(0, matched_);
        matched_ = 0;
        if (!keys_.empty() && c == keys_[0]) {
            matched_ = 1;
        } else {
            out.bytes += c;
        }
    }
    return out;
}

}  // namespace coffer::cli
