#pragma once
// The shim's side of its connection with an engine: the one it was started with, or the newest that
// connected to its socket. Engines come and go; a message without one is dropped. One thread.

#include <functional>
#include <string>

#include "shim/protocol.hpp"
#include "sys/reactor.hpp"

namespace coffer::shim {

class Control {
  public:
    struct Events {
        std::function<Hello()> hello;  // the greeting of a new connection
        std::function<void(const Envelope&, std::vector<sys::Fd>)> request;
        std::function<void()> closed;
    };

    Control(sys::Reactor& reactor, Events events);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;
    Control(Control&&) = delete;
    Control& operator=(Control&&) = delete;

    Result<void> take_over(sys::Fd connection);
    // Waits for later engines at `path`, until stop_listening() takes the name away.
    Result<void> listen(const std::string& path);
    void stop_listening();
    void send(const FromShim& message);
    bool is_connected() const { return static_cast<bool>(connection_); }

  private:
    void on_connection();
    void on_listener();
    void close();

    sys::Reactor& reactor_;
    Events events_;
    sys::Fd connection_;
    sys::Fd listener_;
    std::string path_;
};

}  // namespace coffer::shim
