#pragma once
// What systemd hands to and wants from a service: inherited sockets and readiness. Both work by
// environment variables and do nothing without them. Call on the main thread, before others start.

#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::daemon {

// Descriptors 3, 4, ... of socket activation (LISTEN_PID, LISTEN_FDS), now close-on-exec.
std::vector<sys::Fd> inherited_sockets();
// One datagram to $NOTIFY_SOCKET: "READY=1", "STOPPING=1".
Result<void> notify(std::string_view state);

}  // namespace coffer::daemon
