#pragma once
// Our registry over HTTP: the OCI distribution specification 1.1. Safe from any thread.

#include "daemon/registry/access.hpp"

namespace coffer::engine {
class OwnRegistry;
}

namespace coffer::daemon {

class RegistryServer {
  public:
    // Both must outlive the server.
    RegistryServer(engine::OwnRegistry& registry, Access& access)
        : registry_(registry), access_(access) {}

    http::Reply handle(const http::Request& request) const;
    // What is answered for an error of the protocol itself: a document of the specification.
    static http::Reply error(const Error& error);

  private:
    http::Reply dispatch(const http::Request& request) const;

    engine::OwnRegistry& registry_;
    Access& access_;
};

}  // namespace coffer::daemon
