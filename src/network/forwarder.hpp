#pragma once
// Forwarder: passes questions on to name servers and brings the answers back. Belongs to the thread
// of its reactor.
//
// Every question has a socket of its own, so its port is as hard to guess as the kernel makes it;
// the id is made anew. A server that fails is followed by the next one, and one that keeps silent
// is joined by it: the first answer that helps is taken.

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"
#include "sys/reactor.hpp"

namespace coffer::network {

class Forwarder {
  public:
    explicit Forwarder(sys::Reactor& reactor);
    ~Forwarder();
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;
    Forwarder(Forwarder&&) = delete;
    Forwarder& operator=(Forwarder&&) = delete;

    struct Question {
        std::string owner;  // whose budget it counts against
        std::string message;
        bool stream = false;  // TCP, as the client asked
        std::vector<std::string> servers;
        int netns_fd = -1;  // where the servers are reached from; -1: our own. Borrowed until done.
        std::function<void(std::string reply)> done;  // empty: nobody answered
    };
    // False when the owner, or all together, have too many questions open. `done` is called later.
    bool ask(Question question);
    // Questions of that owner are dropped; their `done` is not called.
    void drop(const std::string& owner);

  private:
    struct Attempt;
    struct Exchange;
    using Place = std::list<std::unique_ptr<Exchange>>::iterator;
    using AttemptPlace = std::list<Attempt>::iterator;

    void step(Place place);
    Result<void> start(Place place, const std::string& server);
    static Result<std::string> read_reply(Attempt& attempt, bool stream);
    void on_ready(Place place, AttemptPlace attempt, std::uint32_t ready);
    void give_up(Place place, AttemptPlace attempt);
    void close(Exchange& exchange);
    void finish(Place place, std::string reply);

    sys::Reactor* reactor_;
    std::list<std::unique_ptr<Exchange>> open_;
};

}  // namespace coffer::network
