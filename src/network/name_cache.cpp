#include "network/name_cache.hpp"

#include "network/dns.hpp"

namespace coffer::network {
namespace {

constexpr std::size_t kMostBytes = 2 << 20;
constexpr std::size_t kMostOfOne = 4096;
constexpr std::size_t kIdSize = 2;
constexpr std::size_t kNodes = 256;  // what the books of an entry take, about

std::size_t size_of(const std::pair<std::string, std::string>& key, const std::string& reply) {
    return 2 * (key.first.size() + key.second.size()) + reply.size() + kNodes;
}

}  // namespace

std::optional<std::string> NameCache::find(const std::string& scope, std::string_view query,
                                           Clock::time_point now) {
    const auto place = entries_.find({scope, std::string(query.substr(kIdSize))});
    if (place == entries_.end()) return std::nullopt;
    Entry& entry = place->second;
    if (now >= entry.until) {
        erase(place);
        return std::nullopt;
    }
    ages_.splice(ages_.begin(), ages_, entry.age);
    std::string reply = entry.reply;
    reply.replace(0, kIdSize, query.substr(0, kIdSize));
    const auto kept = std::chrono::duration_cast<std::chrono::seconds>(now - entry.since);
    dns::age(reply, static_cast<std::uint32_t>(kept.count()));
    return reply;
}

void NameCache::store(const std::string& scope, std::string_view query, std::string_view reply,
                      Clock::time_point now) {
    const std::chrono::seconds life{dns::lifetime(reply)};
    if (life.count() == 0 || reply.size() > kMostOfOne) return;
    Key key{scope, std::string(query.substr(kIdSize))};
    if (const auto old = entries_.find(key); old != entries_.end()) erase(old);
    ages_.push_front(key);
    Entry entry{std::string(reply), now, now + life, ages_.begin()};
    bytes_ += size_of(key, entry.reply);
    entries_.emplace(std::move(key), std::move(entry));
    while (bytes_ > kMostBytes) erase(entries_.find(ages_.back()));
}

void NameCache::drop(std::string_view scope_prefix) {
    auto place = entries_.lower_bound({std::string(scope_prefix), {}});
    while (place != entries_.end() && place->first.first.starts_with(scope_prefix)) erase(place++);
}

void NameCache::erase(Place place) {
    bytes_ -= size_of(place->first, place->second.reply);
    ages_.erase(place->second.age);
    entries_.erase(place);
}

}  // namespace coffer::network
