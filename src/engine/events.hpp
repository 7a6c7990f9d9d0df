#pragma once
// Events: what happened to the objects of the engine, as the API's /events tells it. Keeps the
// last 256 for `since`, in a file too, so that they outlive the engine; every listener has a
// bounded queue. Safe from any thread.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/filters.hpp"
#include "json/codec.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

struct Event {
    std::string type;    // "container", "image", "network", "volume", "daemon"
    std::string action;  // "start", "exec_create: ls", ...
    std::string actor;   // id, or the reference of an image
    std::map<std::string, std::string> attributes;
    std::int64_t time_ns = 0;  // since 1970 UTC
    Time time() const { return Time(std::chrono::nanoseconds(time_ns)); }
};
void describe(json::Fields& f, const Event& s);

// With the attributes that docker gives to all of their kind.
Event network_event(std::string action, std::string id, const std::string& name,
                    const std::string& driver, std::map<std::string, std::string> others = {});
Event volume_event(std::string action, std::string name,
                   std::map<std::string, std::string> others = {});
Event prune_event(std::string type, std::uint64_t reclaimed);

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

    // Takes over what the last engine kept in this file, and keeps what comes in it. A file that
    // cannot be written costs only what a later engine would have told.
    void keep_in(std::string file);

    // Stamps the time when it is not set.
    void publish(Event event);

    struct Replay {
        std::vector<Event> past;
        std::shared_ptr<Subscription> live;
    };
    // The remembered events not older than `since` (none when it is kZeroTime) and, without a gap
    // or repetition, all that follow. Ends when the subscription is dropped.
    Result<Replay> subscribe(Time since);

    // How many listen now.
    std::size_t listeners();

    // Whether an event passes the filters of GET /events; keys that mean nothing are passed over,
    // as docker does.
    static bool matches(const Event& event, const Filters& filters);

  private:
    void write_locked(const Event& event);

    std::mutex mutex_;
    std::deque<Event> past_;
    std::string file_;
    sys::Fd log_;
    std::size_t lines_ = 0;  // of the file
    std::vector<std::weak_ptr<Subscription>> listeners_;
};

}  // namespace coffer::engine
