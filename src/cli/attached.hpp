#pragma once
// An attached session: our standard streams and terminal against the hijacked connection of a
// container or exec, with signals, window size, detach keys and half-close, in one poll loop. One
// thread.

#include "cli/api_client.hpp"
#include "cli/terminal.hpp"

namespace coffer::cli {

struct AttachOptions {
    bool input = false;
    bool output = true;
    bool errors = true;
    bool tty = false;
    bool forward_signals = false;
    std::string detach_keys;  // as the user wrote them; empty: ctrl-p,ctrl-q
    std::string resize_path;  // "/containers/<id>/resize"
    std::string kill_path;    // "/containers/<id>/kill"
};

class AttachedSession {
  public:
    // Catches signals and, with input and a tty, sets the terminal to raw mode.
    static Result<AttachedSession> start(Api& api, http::Upgraded connection,
                                         AttachOptions options);

    enum class End {
        Output,    // the other side has closed
        Exited,    // `wait` has answered and no output is wanted
        Detached,  // by the keys
    };
    struct Outcome {
        End end = End::Output;
        std::optional<int> status;  // of the container, when `wait` was given and has answered
    };
    // Copies until the end. With `wait` (the reply of POST .../wait) it lasts until the status is
    // known, unless detached.
    Result<Outcome> run(http::Response* wait);
    // Tells the other side our window's size; retried a few times, as it may not run yet.
    void send_size();
    // Before anything else is printed.
    void restore_terminal() { terminal_.restore(); }

  private:
    AttachedSession(Api& api, http::Upgraded connection, AttachOptions options,
                    CaughtSignals signals);
    Result<void> read_output();
    Result<void> show_output(std::string_view bytes);
    Result<bool> read_input();  // true: detached
    void write_pending();
    Result<void> handle_signal(int number);
    Result<void> read_wait(http::Response& wait);

    Api* api_;
    AttachOptions options_;
    CaughtSignals signals_;
    RawTerminal terminal_;
    sys::Fd connection_;
    std::string early_;
    std::string pending_;  // typed, not sent yet
    std::string wait_text_;
    std::optional<int> status_;
    bool input_open_ = false;
    bool output_open_ = true;
    struct Decoder;
    std::shared_ptr<Decoder> decoder_;
    DetachFilter detach_{{}};
};

}  // namespace coffer::cli
