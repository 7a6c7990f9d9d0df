#pragma once
// The kernel's tables of sockets (sock_diag(7)), in the network namespace of the process. Safe from
// any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::sys::socket_diag {

// Where a socket takes packets.
struct Local {
    std::string address;  // 4 or 16 bytes in network order; zeros: every address of the family
    std::uint16_t port = 0;
};

// Those of the listening sockets, of all sockets for UDP; `protocol` is IPPROTO_*. A socket of IPv6
// that takes IPv4 too is there twice. Costs one pass over the kernel's table.
Result<std::vector<Local>> listening(std::uint8_t protocol);

}  // namespace coffer::sys::socket_diag
