#pragma once
// The registry that cofferd serves beside its API, on sockets and threads of its own. Owned by the
// composition root.

#include <memory>

#include "daemon/config.hpp"

namespace coffer::engine {
class Images;
}
namespace coffer::store {
class Store;
}

namespace coffer::daemon {

class Registry {
  public:
    // Null when the configuration wants none. Listens when it returns.
    static Result<std::unique_ptr<Registry>> start(const Config& config, store::Store& store,
                                                   engine::Images& images);
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    Registry(Registry&&) = delete;
    Registry& operator=(Registry&&) = delete;

    // Ends the requests. Unavailable when some do not end: then nothing they use may go.
    Result<void> stop();

  private:
    struct Impl;
    explicit Registry(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::daemon
