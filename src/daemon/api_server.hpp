#pragma once
// What every API request goes through once: checks of Host and Origin, the version in the path,
// dispatch, headers and errors. Safe from any thread.

#include "daemon/router.hpp"

namespace coffer::daemon {

class ApiServer {
  public:
    ApiServer(Router router, Context& context);

    http::Reply handle(const http::Request& request) const;

  private:
    Result<http::Reply> dispatch(const http::Request& request) const;

    Router router_;
    Context& context_;
    std::string host_name_;  // of this machine
};

}  // namespace coffer::daemon
