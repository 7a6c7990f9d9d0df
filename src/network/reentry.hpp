#pragma once
// The way by which a packet that the host's own firewall has let in gets to a published port. The
// host's rules for incoming packets are asked after routing, when it is too late for a packet to go
// on to a container: so the firewall table sends a copy of the first packet of a connection through
// a pair of interfaces back to the host, where it comes in again and is translated (firewall.hpp).
// In the kernel, no state of its own; functions are safe from any thread.

#include <string>

#include "base/result.hpp"

namespace coffer::network::reentry {

struct Interfaces {
    std::string out;  // copies leave here
    std::string in;   // and come in here
};
// Of the engine with this default bridge.
Interfaces interfaces_of(const std::string& bridge);

// Copies carry this bit of the packet mark, by which rp_filter is told that they may come this way.
inline constexpr unsigned kMark = 0x40000000;
// What they are sent to, which nobody has (RFC 7600).
inline constexpr const char* kNextHop = "192.0.0.8";

// Makes or repairs the interfaces and their routing rules.
Result<void> ensure(const Interfaces& interfaces);
// Absent is success.
Result<void> remove(const Interfaces& interfaces);

}  // namespace coffer::network::reentry
