#pragma once
// Timers: jobs that run once, later, on a thread of their own that sleeps until the next one is
// due. Jobs must be quick: slow work is handed to a WorkerPool. Safe from any thread.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace coffer {

class Timers {
  public:
    Timers();
    // Jobs that are not due yet are dropped.
    ~Timers();
    Timers(const Timers&) = delete;
    Timers& operator=(const Timers&) = delete;
    Timers(Timers&&) = delete;
    Timers& operator=(Timers&&) = delete;

    // Never 0, which names no timer.
    std::uint64_t after(std::chrono::nanoseconds delay, std::function<void()> job);
    // A job that has begun goes on; cancelling nothing is allowed.
    void cancel(std::uint64_t timer);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer
