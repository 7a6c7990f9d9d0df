#pragma once
// NameCache: answers of name servers, kept as long as they say that they hold. Belongs to one
// thread.
//
// Every container has answers of its own: none learns from the cache what another has asked, and
// none can put anything into another's. All together are bounded; what was used longest ago goes
// first.

#include <chrono>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace coffer::network {

class NameCache {
  public:
    using Clock = std::chrono::steady_clock;

    // `scope`: whoever shares it gets the same answers (the container, the servers, the transport).
    // The answer has the id of `query` and the time it has left to live.
    std::optional<std::string> find(const std::string& scope, std::string_view query,
                                    Clock::time_point now);
    // Nothing is kept of an answer that must not be or is large.
    void store(const std::string& scope, std::string_view query, std::string_view reply,
               Clock::time_point now);
    // Forgets every scope that begins so.
    void drop(std::string_view scope_prefix);

    std::size_t bytes() const { return bytes_; }

  private:
    using Key = std::pair<std::string, std::string>;  // scope, query without its id
    struct Entry {
        std::string reply;
        Clock::time_point since;
        Clock::time_point until;
        std::list<Key>::iterator age;
    };
    using Place = std::map<Key, Entry>::iterator;

    void erase(Place place);

    std::map<Key, Entry> entries_;
    std::list<Key> ages_;  // used last: in front
    std::size_t bytes_ = 0;
};

}  // namespace coffer::network
