#pragma once
// SocketAddress: an IPv4 or IPv6 address with its port, as the system calls take it. Plain data.

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace coffer::sys {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    // nullopt unless `address` is one in numbers; no name is looked up.
    static std::optional<SocketAddress> parse(const std::string& address, std::uint16_t port);

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
};

}  // namespace coffer::sys
