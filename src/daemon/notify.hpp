#pragma once
// What systemd hands to, wants from and tells a service: inherited sockets, readiness, the end of
// the machine. All do nothing where no systemd is. Call on the main thread; inherited_sockets()
// before others start.

#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::daemon {

// Descriptors 3, 4, ... of socket activation (LISTEN_PID, LISTEN_FDS), now close-on-exec.
std::vector<sys::Fd> inherited_sockets();
// One datagram to $NOTIFY_SOCKET: "READY=1", "STOPPING=1".
Result<void> notify(std::string_view state);
// Whether systemd is about to halt or reboot the machine.
bool host_goes_down();

}  // namespace coffer::daemon
