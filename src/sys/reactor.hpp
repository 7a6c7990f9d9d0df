#pragma once
// An event loop over epoll with timers, for processes with one thread. Handlers may add, change and
// remove any watch, their own too.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "sys/fd.hpp"

namespace coffer::sys {

// What to wait for and what is reported.
enum Ready : std::uint32_t {
    kReadable = 1U,  // data, or the end of it
    kWritable = 2U,
    kHangUp = 4U,  // both directions are closed, or an error; always reported
};

class Reactor {
  public:
    using Handler = std::function<void(std::uint32_t ready)>;
    using Clock = std::chrono::steady_clock;

    static Result<Reactor> create();

    // `fd` is borrowed and must be removed before it is closed.
    Result<void> add(int fd, std::uint32_t interest, Handler handler);
    Result<void> change(int fd, std::uint32_t interest);
    void remove(int fd);

    // Calls `handler` once, later.
    std::uint64_t after(std::chrono::milliseconds delay, std::function<void()> handler);
    void cancel(std::uint64_t timer);

    // Until stop() is called from a handler.
    Result<void> run();
    void stop() { stopped_ = true; }

  private:
    struct Watch {
        std::uint64_t id = 0;
        std::uint32_t interest = 0;
        std::shared_ptr<Handler> handler;
    };
    struct Timer {
        Clock::time_point due;
        std::function<void()> handler;
    };
    explicit Reactor(Fd epoll) : epoll_(std::move(epoll)) {}
    int next_timeout() const;
    void run_timers();

    Fd epoll_;
    std::map<int, Watch> watches_;
    std::map<std::uint64_t, Timer> timers_;
    std::uint64_t last_id_ = 0;
    bool stopped_ = false;
};

}  // namespace coffer::sys
