#pragma once
// One attached client: what goes to it waits in a bounded queue, what comes from it is handed on.
// Owned by an Io; one thread.

#include <functional>
#include <optional>
#include <string>

#include "shim/detach_keys.hpp"
#include "shim/protocol.hpp"
#include "sys/reactor.hpp"

namespace coffer::shim {

enum class Source : std::uint8_t { Stdout, Stderr };

class ClientStream {
  public:
    // A queue this long holds the program up until the client has read.
    static constexpr std::size_t kFullQueue = 1024 * 1024;

    struct Events {
        std::function<void(std::string_view)> input;
        std::function<void(ClientStream&)> input_end;
        std::function<void()> detached;  // by its keys
        std::function<void()> drained;   // the queue is no longer full
        std::function<void()> gone;      // may destroy this object later, not at once
    };

    // `gate`: see Client.gated.
    ClientStream(sys::Reactor& reactor, sys::Fd socket, sys::Fd gate, const Client& client,
                 bool terminal, DetachKeys keys, Events events);
    ~ClientStream();
    ClientStream(const ClientStream&) = delete;
    ClientStream& operator=(const ClientStream&) = delete;
    ClientStream(ClientStream&&) = delete;
    ClientStream& operator=(ClientStream&&) = delete;

    Result<void> watch();
    void send(Source source, std::string_view bytes);
    bool is_full() const { return queue_.size() - sent_ >= kFullQueue; }
    bool is_gone() const { return !socket_; }
    // No input is read while the program does not take it.
    void hold_input(bool held);
    // Ends the connection once the queue is empty.
    void finish();

  private:
    void on_ready(std::uint32_t ready);
    void open_gate();
    void read_input(bool to_the_end);
    void take_input(std::string_view bytes);
    void end_input();
    void write_queue();
    void update_interest();
    void close();
    void disconnect();

    sys::Reactor& reactor_;
    sys::Fd socket_;
    sys::Fd gate_;  // closed once it has opened
    Client client_;
    bool terminal_;
    DetachKeys keys_;
    Events events_;
    std::string queue_;
    std::size_t sent_ = 0;  // of the front of queue_
    bool input_open_;
    bool input_held_ = false;
    bool finishing_ = false;
    std::uint64_t linger_ = 0;  // the timer that ends the wait for a slow reader
};

}  // namespace coffer::shim
