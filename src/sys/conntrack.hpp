#pragma once
// The kernel's table of tracked connections, in the network namespace of the process. Safe from any
// thread.

#include <cstdint>

#include "base/result.hpp"

namespace coffer::sys::conntrack {

// Drops every connection whose answers come from this IPv4 address (host byte order): those that
// are translated to it.
Result<void> forget_answers_from(std::uint32_t address);
// Drops every connection to this port of any address before translation. `protocol` is IPPROTO_*.
Result<void> forget_sent_to(std::uint8_t protocol, std::uint16_t port);

}  // namespace coffer::sys::conntrack
