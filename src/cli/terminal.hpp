#pragma once
// The terminal of the command line: size, raw mode that is always undone, signals as a descriptor
// and the keys that detach. One thread.

#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::cli {

struct WindowSize {
    unsigned rows = 0;
    unsigned columns = 0;
};
bool is_terminal(int fd);
WindowSize window_size(int fd);  // zeros when it is no terminal

// Raw mode of a terminal, until destruction or restore().
class RawTerminal {
  public:
    RawTerminal() = default;
    static Result<RawTerminal> enter(int fd);
    ~RawTerminal() { restore(); }
    RawTerminal(RawTerminal&& other) noexcept;
    RawTerminal& operator=(RawTerminal&& other) noexcept;
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    void restore() noexcept;

  private:
    int fd_ = -1;
    std::string saved_;  // a struct termios
};

// Echo off while a password is typed.
Result<std::string> read_password(std::string_view prompt);

// Signals that arrive as reads instead of ending the process, until destruction.
class CaughtSignals {
  public:
    enum class Which { All, Ending };  // Ending: HUP, INT, QUIT, TERM and the change of the window
    static Result<CaughtSignals> start(Which which);
    ~CaughtSignals();
    CaughtSignals(CaughtSignals&& other) noexcept;
    CaughtSignals& operator=(CaughtSignals&&) = delete;
    CaughtSignals(const CaughtSignals&) = delete;
    CaughtSignals& operator=(const CaughtSignals&) = delete;

    int fd() const { return fd_.get(); }
    // The next one; 0 when there is none.
    int take() const;

  private:
    CaughtSignals() = default;
    sys::Fd fd_;
    std::string saved_;  // a sigset_t
};
// "INT" for 2; empty when it has no name.
std::string_view signal_name(int number);

// "ctrl-p,ctrl-q" as bytes.
Result<std::string> parse_detach_keys(std::string_view text);

// Takes what is typed and holds back the bytes that may be the start of the detach keys.
class DetachFilter {
  public:
    explicit DetachFilter(std::string keys) : keys_(std::move(keys)) {}
    struct Output {
        std::string bytes;  // to pass on
        bool detached = false;
    };
    Output feed(std::string_view typed);

  private:
    std::string keys_;
    std::size_t matched_ = 0;
};

}  // namespace coffer::cli
