#pragma once
// Tcp addresses: "host:port" text, connecting and listening. Stateless.

#include <chrono>
#include <cstdint>

#include "base/sync.hpp"
#include "sys/fd.hpp"

namespace coffer::http {

struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};
// "host", "host:2375", "[::1]:2375", ":2375"; an absent port is `default_port`.
Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port);
// True for "localhost", 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view host);

Result<sys::Fd> listen_on(const HostPort& address);
Result<sys::Fd> connect_to(const HostPort& address, const Cancel* cancel,
                           std::chrono::milliseconds limit);
// "127.0.0.1:4711" of the other side; "" when it is not tcp.
std::string peer_address(int socket);

}  // namespace coffer::http
