#pragma once
// Tags that are held to a digest, whether an image of that name is here or not. Names are canonical
// ("docker.io/library/busybox:latest"). Safe from any thread.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace coffer::store {

struct Pin {
    std::string name;
    std::string digest;  // of an index or a manifest
};

class Pins {
  public:
    explicit Pins(Database& database) : database_(&database) {}
    static Result<void> migrate(Database& database);

    Result<void> put(const Pin& pin);
    // NotFound when there is none.
    Result<void> remove(std::string_view name);
    Result<std::optional<std::string>> find(std::string_view name) const;
    Result<std::vector<Pin>> list() const;  // by name

  private:
    Database* database_;
};

}  // namespace coffer::store
