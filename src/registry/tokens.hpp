#pragma once
// Tokens that registries gave, for as long as they are good: by host, what they allow, and whose
// they are. Safe from any thread.

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "base/sync.hpp"
#include "registry/auth.hpp"

namespace coffer::registry {

class Tokens {
  public:
    using Clock = std::chrono::steady_clock;

    // Names all that a token is bound to: it is given to nobody who differs in any of it. What the
    // credentials are cannot be told from it.
    static std::string key(std::string_view origin, std::string_view scope,
                           const Credentials& credentials, const std::vector<std::string>& headers);

    // Empty when there is none that is good.
    std::string find(const std::string& key, Clock::time_point now = Clock::now());
    // Of many, the one that ends first gives way.
    void add(const std::string& key, std::string token, std::chrono::seconds good_for,
             Clock::time_point now = Clock::now());
    std::size_t size();

    static constexpr std::size_t kMost = 256;
    static constexpr std::chrono::seconds kLongest = std::chrono::hours(1);

  private:
    struct Entry {
        std::string token;
        Clock::time_point until;
    };
    Sync<std::map<std::string, Entry>> entries_;
};

}  // namespace coffer::registry
