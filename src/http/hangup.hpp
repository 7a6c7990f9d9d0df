#pragma once
// HangupWatcher: one thread that cancels a Cancel when the peer of a socket hangs up, so that
// engine calls that block can watch one thing. Safe from any thread.

#include <map>

#include "base/sync.hpp"
#include "sys/fd.hpp"

namespace coffer::http {

class HangupWatcher {
  public:
    HangupWatcher();
    ~HangupWatcher();
    HangupWatcher(const HangupWatcher&) = delete;
    HangupWatcher& operator=(const HangupWatcher&) = delete;
    HangupWatcher(HangupWatcher&&) = delete;
    HangupWatcher& operator=(HangupWatcher&&) = delete;

    // Watches `socket` (borrowed, one watch at a time) until the Watch goes.
    class Watch {
      public:
        Watch(HangupWatcher& owner, int socket);
        ~Watch();
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;
        Watch(Watch&&) = delete;
        Watch& operator=(Watch&&) = delete;

        Cancel cancel;

      private:
        HangupWatcher* owner_;
        int socket_;
        std::uint64_t id_ = 0;
    };

    // Cancels all watches, and those to come.
    void cancel_all();

  private:
    struct State {
        std::map<std::uint64_t, Cancel*> watches;
        std::uint64_t last_id = 0;
        bool cancelled = false;
    };
    void work();

    Sync<State> state_;
    sys::Fd epoll_;
    Cancel end_;
    struct Thread;
    std::unique_ptr<Thread> thread_;
};

}  // namespace coffer::http
