#pragma once
// Events: what happened to the objects of the engine, as the API's /events tells it. Keeps the
// last 256 for `since`; every listener has a bounded queue. Safe from any thread.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/filters.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

struct Event {
    std::string type;    // "container", "image", "network", "volume", "daemon"
    std::string action;  // "start", "exec_create: ls", ...
    std::string actor;   // id, or the reference of an image
    std::map<std::string, std::string> attributes;
    Time time{};
};

class Events {
  public:
    // One listener's queue. Slow listeners lose the oldest events, never block the engine.
    class Subscription {
      public:
        // Readable while events are queued; poll it together with the client's connection.
        int fd() const { return wake_.get(); }
        std::vector<Event> take();

      private:
        friend class Events;
        explicit Subscription(sys::Fd wake) : wake_(std::move(wake)) {}
        void push(const Event& event);

        sys::Fd wake_;  // eventfd
        std::mutex mutex_;
        std::deque<Event> queue_;
    };

    // Stamps the time when it is not set.
    void publish(Event event);

    struct Replay {
        std::vector<Event> past;
        std::shared_ptr<Subscription> live;
    };
    // The remembered events not older than `since` (none when it is kZeroTime) and, without a gap
    // or repetition, all that follow. Ends when the subscription is dropped.
    Result<Replay> subscribe(Time since);

    // Whether an event passes the filters of GET /events; `accept_filters` checks their keys.
    static Result<void> accept_filters(const Filters& filters);
    static bool matches(const Event& event, const Filters& filters);

  private:
    std::mutex mutex_;
    std::deque<Event> past_;
    std::vector<std::weak_ptr<Subscription>> listeners_;
};

}  // namespace coffer::engine
