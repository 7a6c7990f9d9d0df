#pragma once
// A page in a browser can reach a tcp port of its own machine, under a name of its choice: it
// always names itself in Origin, and its own domain in Host. Safe from any thread.

#include <string>
#include <string_view>

#include "http/message.hpp"

namespace coffer::daemon {

// "" when it has none.
std::string own_host_name();
// Forbidden for what a page could send. `own_name` may stand in Host, beside addresses and
// localhost.
Result<void> refuse_browsers(const http::Request& request, std::string_view own_name);

}  // namespace coffer::daemon
