#pragma once
// The kernel's table of tracked connections, in the network namespace of the process. Safe from any
// thread.

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace coffer::sys::conntrack {

// Drops every connection whose answers come from this address (4 or 16 bytes in network order):
// those that are translated to it.
Result<void> forget_answers_from(std::string_view address);
// Drops every connection to ports from `first` to `last`, of any address of the family (AF_INET or
// AF_INET6), before translation. `protocol` is IPPROTO_*.
Result<void> forget_sent_to(int family, std::uint8_t protocol, std::uint16_t first,
                            std::uint16_t last);

}  // namespace coffer::sys::conntrack
