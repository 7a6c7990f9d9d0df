#pragma once
// The table of routes and how a request finds its handler. Immutable once made; safe from any
// thread.

#include <span>

#include "daemon/request.hpp"

namespace coffer::daemon {

struct Context;  // the services of the engine: routes/context.hpp

using Handler = Result<http::Reply> (*)(Context&, const Request&);

// First API version that has the route.
struct Since {
    int major = 1;
    int minor = 24;
};

// In a pattern, {x} is one segment and {x*} is one or more, so that names of images may have
// slashes in them.
struct Route {
    http::Method method;
    std::string_view pattern;
    Handler handler;
    Since since = {};
};

// The placeholders' texts if `path` matches.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path);

class Router {
  public:
    explicit Router(std::vector<std::span<const Route>> tables) : tables_(std::move(tables)) {}

    struct Match {
        const Route* route;
        std::vector<std::string> names;
    };
    // The first of the tables that matches; patterns without placeholders go before others.
    std::optional<Match> find(http::Method method, std::string_view path) const;
    const std::vector<std::span<const Route>>& tables() const { return tables_; }

  private:
    std::vector<std::span<const Route>> tables_;
};

}  // namespace coffer::daemon
