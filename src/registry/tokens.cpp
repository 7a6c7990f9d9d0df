#include "registry/tokens.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace coffer::registry {

std::string Tokens::key(std::string_view origin, std::string_view scope,
                        const Credentials& credentials, const std::vector<std::string>& headers) {
    std::string all;
    // With their lengths, so that no two lists make one text.
    const auto add = [&](std::string_view part) { all += format("{}:{}", part.size(), part); };
    for (const std::string_view part :
         {origin, scope, std::string_view(credentials.username),
          std::string_view(credentials.password), std::string_view(credentials.identity_token)}) {
        add(part);
    }
    for (const std::string& header : headers) add(header);
    return sha256_hex(all);
}

std::string Tokens::find(const std::string& key, Clock::time_point now) {
    auto entries = entries_.lock();
    const auto found = entries->find(key);
    return found == entries->end() || found->second.until <= now ? std::string()
                                                                 : found->second.token;
}

void Tokens::add(const std::string& key, std::string token, std::chrono::seconds good_for,
                 Clock::time_point now) {
    auto entries = entries_.lock();
    std::erase_if(*entries, [&](const auto& one) { return one.second.until <= now; });
    if (entries->size() >= kMost && !entries->contains(key)) {
        entries->erase(std::min_element(
            entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
    }
    (*entries)[key] = {std::move(token), now + std::min(good_for, kLongest)};
}

std::size_t Tokens::size() {
    return entries_.lock()->size();
}

}  // namespace coffer::registry
