#pragma once
// The shim's end of coffer-logger, which sends the log to another machine or service: it is started
// here, fed from a bounded queue, and started anew when it dies. One thread.
//
// coffer-logger has a stream socket as descriptor 3. It gets an encoded Remote behind its length
// (32 bits, little endian), then records of Local; the end of the stream is the end of the log. It
// answers with lines: "ready" once it may have records, "failed TEXT" and its end when the receiver
// cannot be reached at first, and later "notice TEXT".

#include <functional>

#include "logs/setup.hpp"
#include "sys/reactor.hpp"

namespace coffer::logs {

class Sender {
  public:
    struct Events {
        std::function<void(const std::string&)> notice;  // for the log of the engine
        std::function<void()> room;     // the queue is no longer full; never within a call
        std::function<void()> drained;  // after finish(): all is sent, or the time for it is over
    };
    // With must_connect it waits until the receiver is reached.
    static Result<std::unique_ptr<Sender>> open(sys::Reactor& reactor, const Setup& setup,
                                                Events events);
    ~Sender();
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;
    Sender(Sender&&) = delete;
    Sender& operator=(Sender&&) = delete;

    void append(const Message& message);
    void commit();
    // The program must not write more until there is room. Never so in non-blocking mode.
    bool is_full() const;
    // No more lines will come. What is queued is sent for a limited time.
    void finish();
    bool is_drained() const { return drained_; }

  private:
    Sender(sys::Reactor& reactor, const Setup& setup, Events events);
    Result<void> start();
    Result<void> wait_until_ready();
    void on_ready(std::uint32_t ready);
    void read_lines();
    bool write_queue();
    void update_interest();
    void on_death();
    void restart_later();
    void drop();
    void tell_lost();
    void end();

    sys::Reactor& reactor_;
    Setup setup_;
    Events events_;
    sys::Fd socket_;
    std::string lines_;       // of its answers, until their newline
    std::string head_;        // the Remote, until it is sent
    std::string queue_;       // records; the first one may be partly sent
    std::size_t sent_ = 0;    // of the front of queue_
    std::size_t record_ = 0;  // where the record that is being sent begins
    std::uint64_t lost_ = 0;
    std::uint64_t lost_timer_ = 0;
    std::uint64_t restart_timer_ = 0;
    std::uint64_t end_timer_ = 0;
    bool finishing_ = false;
    bool drained_ = false;
};

}  // namespace coffer::logs
