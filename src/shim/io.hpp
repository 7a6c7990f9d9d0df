#pragma once
// The standard streams of one process: its pipes or its terminal on one side, the log and the
// attached clients on the other. One thread; of its events only `abandoned` may destroy it.

#include <functional>
#include <memory>
#include <vector>

#include "logs/log.hpp"
#include "runtime/create.hpp"
#include "shim/client_stream.hpp"

namespace coffer::shim {

class Io {
  public:
    struct Options {
        bool terminal = false;
        bool open_stdin = false;
        bool stdin_once = false;   // the end of a client's input is the end of the program's
        bool keep_output = true;   // false: nobody will ever see it, /dev/null takes it
        logs::Log* log = nullptr;  // borrowed
        std::function<void(std::string_view)> seen;  // all output, as it comes
        std::function<void()> detached;              // a client left by its keys
        std::function<void()> drained;               // after finish(): all output was read
        std::function<void()> abandoned;             // after that: no client is left
    };

    Io(sys::Reactor& reactor, Options options);
    ~Io();
    Io(const Io&) = delete;
    Io& operator=(const Io&) = delete;
    Io(Io&&) = delete;
    Io& operator=(Io&&) = delete;

    // The program's ends of the pipes; none with a terminal.
    Result<runtime::Stdio> make_pipes();
    // After the process exists: closes its ends here, takes its terminal, begins to read.
    Result<void> begin(sys::Fd console);
    // `gate` goes with a gated client.
    Result<void> attach(sys::Fd socket, sys::Fd gate, const Client& client);
    Result<void> resize(std::uint16_t rows, std::uint16_t columns);

    // The process has ended: reads what is left, for a limited time when others hold the pipes.
    void finish();
    bool has_clients() const { return !clients_.empty(); }
    // The log has room again.
    void log_has_room() { update_outputs(); }

  private:
    struct Output {
        sys::Fd fd;
        Source source = Source::Stdout;
        bool watched = false;
    };

    Result<void> watch(Output& output);
    void on_output(Output& output);
    void end_output(Output& output);
    void update_outputs();
    bool is_held_up() const;

    void take_input(std::string_view bytes);
    void end_input(ClientStream& client);
    void write_input();
    void close_input();
    int input_fd() const;

    void check_drained();
    void sweep();

    sys::Reactor& reactor_;
    Options options_;
    sys::Fd theirs_[3];  // the program's ends, until begin()
    sys::Fd terminal_;   // a user of the terminal until finish(): without one it reports errors
    sys::Fd input_;      // our end of its standard input; with a terminal outputs_[0] is both
    Output outputs_[2];
    std::string pending_input_;
    bool input_ending_ = false;  // close the input once pending_input_ is written
    bool input_watched_ = false;
    bool finished_ = false;
    bool drained_ = false;
    std::uint64_t drain_limit_ = 0;
    std::uint64_t sweep_timer_ = 0;
    std::uint64_t drained_notice_ = 0;
    std::vector<std::unique_ptr<ClientStream>> clients_;
};

}  // namespace coffer::shim
