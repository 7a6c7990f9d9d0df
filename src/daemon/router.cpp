#include "daemon/router.hpp"

namespace coffer::daemon {

std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
    std::vector<std::string> names;
    for (;;) {
        const auto open = pattern.find('{');
        if (open == std::string_view::npos) {
            if (pattern != path) return std::nullopt;
            return names;
        }
        if (path.substr(0, open) != pattern.substr(0, open)) return std::nullopt;
        path.remove_prefix(open);
        const auto close = pattern.find('}', open);
        const bool greedy = pattern[close - 1] == '*';
        pattern.remove_prefix(close + 1);
        std::size_t length = path.find('/');
        if (greedy) {
            // Only one placeholder may be greedy, and it is the last: the rest is a fixed suffix.
            if (!path.ends_with(pattern)) return std::nullopt;
            length = path.size() - pattern.size();
        }
        const std::string_view name = path.substr(0, length);
        if (name.empty()) return std::nullopt;
        names.emplace_back(name);
        path.remove_prefix(name.size());
    }
}

std::optional<Router::Match> Router::find(http::Method method, std::string_view path) const {
    std::optional<Match> found;
    for (const std::span<const Route> table : tables_) {
        for (const Route& route : table) {
            if (route.method != method) continue;
            if (route.pattern == path) return Match{&route, {}};
            if (found) continue;
            if (auto names = match(route.pattern, path)) found = Match{&route, *std::move(names)};
        }
    }
    return found;
}

}  // namespace coffer::daemon
