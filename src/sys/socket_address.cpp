#include "sys/socket_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace coffer::sys {
namespace {

template <class Address>
SocketAddress stored(const Address& address) {
    SocketAddress out;
    std::memcpy(&out.storage, &address, sizeof address);
    out.size = sizeof address;
    return out;
}

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(const std::string& address, std::uint16_t port) {
    sockaddr_in v4{};
    if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        return stored(v4);
    }
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        return stored(v6);
    }
    return std::nullopt;
}

}  // namespace coffer::sys
