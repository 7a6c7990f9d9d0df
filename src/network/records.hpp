#pragma once
// Records: where networks are kept across restarts. The engine implements it over its database;
// implementations must be safe from any thread and durable when save() returns.

#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::network {

class Records {
  public:
    Records() = default;
    virtual ~Records() = default;
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;
    Records(Records&&) = delete;
    Records& operator=(Records&&) = delete;

    // Every saved document, in no order.
    virtual Result<std::vector<std::string>> load() = 0;
    // Creates or replaces the JSON document of the network `id`.
    virtual Result<void> save(const std::string& id, const std::string& document) = 0;
    virtual Result<void> remove(const std::string& id) = 0;
};

}  // namespace coffer::network
