#include "network/portmap.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace coffer::network {
namespace {

constexpr std::uint16_t kFirstRandom = 49153;

// Holds the port on the host, so that no other process can listen where the firewall would steal
// its packets, and tells when one already does.
Result<sys::Fd> bind_port(Protocol protocol, Address address, std::uint16_t port) {
    const int type = protocol == Protocol::Udp ? SOCK_DGRAM : SOCK_STREAM;
    sys::Fd fd(
        ::socket(AF_INET, type | SOCK_CLOEXEC, protocol == Protocol::Sctp ? IPPROTO_SCTP : 0));
    if (!fd && protocol == Protocol::Sctp) return fd;  // no host process can have it either
    if (!fd) return fail_errno("open a socket");
    const int on = 1;
    if (protocol == Protocol::Tcp)  // connections of a former owner in TIME_WAIT are no obstacle
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // An address that comes and goes (a laptop's) may be published on while it is away.
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(address.value);
    name.sin_port = htons(port);
    const bool taken = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
                       (protocol != Protocol::Udp && ::listen(fd.get(), 0) != 0);
    if (taken)
        return fail_errno("failed to bind host port {}:{}/{}", to_string(address), port,
                          to_string(protocol));
    return fd;
}

Failure already_allocated(Address address, std::uint16_t port) {
    return fail(Code::Internal, "Bind for {}:{} failed: port is already allocated",
                to_string(address), port);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    const auto number = parse_uint(text);
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

}  // namespace

std::string_view to_string(Protocol protocol) {
    switch (protocol) {
        case Protocol::Tcp:
            return "tcp";
        case Protocol::Udp:
            return "udp";
        case Protocol::Sctp:
            return "sctp";
    }
    return "";
}

std::optional<Protocol> parse_protocol(std::string_view text) {
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp})
        if (equals_ignoring_case(text, to_string(protocol))) return protocol;
    return std::nullopt;
}

Result<void> parse_host_port(std::string_view text, PortRequest& request) {
    request.host_port_first = request.host_port_last = 0;
    if (text.empty() || text == "0") return {};
    const auto sides = cut(text, "-");
    const auto first = parse_port(sides ? sides->first : text);
    const auto last = parse_port(sides ? sides->second : text);
    if (!first || !last || *first > *last)
        return fail(Code::InvalidArgument, "invalid port specification: \"{}\"", text);
    request.host_port_first = *first;
    request.host_port_last = *last;
    return {};
}

Result<PortRequest> parse_container_port(std::string_view text) {
    PortRequest request;
    const auto sides = cut(text, "/");
    const auto port = parse_port(sides ? sides->first : text);
    const auto protocol = sides ? parse_protocol(sides->second) : Protocol::Tcp;
    if (!port || !protocol)
        return fail(Code::InvalidArgument, "invalid port specification: \"{}\"", text);
    request.container_port = *port;
    request.protocol = *protocol;
    return request;
}

bool Portmap::conflicts(Protocol protocol, Address address, std::uint16_t port) const {
    const auto [first, last] = taken_.equal_range({protocol, port});
    return std::any_of(first, last, [&](const auto& entry) {
        const Address other = entry.second.address;
        return other == address || other.value == 0 || address.value == 0;
    });
}

Result<void> Portmap::take(Protocol protocol, Address address, std::uint16_t port) {
    if (conflicts(protocol, address, port)) return already_allocated(address, port);
    taken_.emplace(Key{protocol, port}, Taken{address, TRY(bind_port(protocol, address, port))});
    return {};
}

Result<std::uint16_t> Portmap::take_one(const PortRequest& request, Address address) {
    if (request.host_port_first != 0) {
        const std::uint32_t last = std::max(request.host_port_first, request.host_port_last);
        for (std::uint32_t port = request.host_port_first;; ++port) {
            const auto candidate = static_cast<std::uint16_t>(port);
            auto taken = take(request.protocol, address, candidate);
            if (taken) return candidate;
            if (port < last) continue;
            if (request.host_port_first == last) return fail(std::move(taken).error());
            return fail(Code::Internal, "all ports are allocated");
        }
    }
    constexpr std::uint32_t kCount = 65536 - kFirstRandom;
    for (std::uint32_t tried = 0; tried < kCount; ++tried) {
        const auto port = static_cast<std::uint16_t>(kFirstRandom + next_random_);
        next_random_ = static_cast<std::uint16_t>((next_random_ + 1U) % kCount);
        if (take(request.protocol, address, port)) return port;
    }
    return fail(Code::Internal, "all ports are allocated");
}

Result<std::vector<PublishedPort>> Portmap::allocate(const std::vector<PortRequest>& requests,
                                                     const std::string& container_ip,
                                                     const std::string& default_host_ip) {
    std::vector<PublishedPort> ports;
    for (const PortRequest& request : requests) {
        const std::string& host_ip = request.host_ip.empty() ? default_host_ip : request.host_ip;
        const auto address = parse_address(host_ip);
        auto port = address ? take_one(request, *address)
                            : Result<std::uint16_t>(fail(
                                  host_ip.find(':') == std::string::npos ? Code::InvalidArgument
                                                                         : Code::NotImplemented,
                                  "cannot publish on '{}': not an IPv4 address", host_ip));
        if (!port) {
            release(ports);
            return fail(std::move(port).error());
        }
        ports.push_back({request.protocol, host_ip, *port, container_ip, request.container_port});
    }
    return ports;
}

Result<void> Portmap::restore(const std::vector<PublishedPort>& ports) {
    for (const PublishedPort& port : ports) {
        const auto address = parse_address(port.host_ip);
        if (!address) return fail(Code::InvalidArgument, "bad host address '{}'", port.host_ip);
        if (conflicts(port.protocol, *address, port.host_port))
            return already_allocated(*address, port.host_port);
        auto socket = bind_port(port.protocol, *address, port.host_port);
        taken_.emplace(Key{port.protocol, port.host_port},
                       Taken{*address, socket ? std::move(*socket) : sys::Fd()});
    }
    return {};
}

void Portmap::release(const std::vector<PublishedPort>& ports) {
    for (const PublishedPort& port : ports) {
        const auto [first, last] = taken_.equal_range({port.protocol, port.host_port});
        const auto found = std::find_if(first, last, [&](const auto& entry) {
            return to_string(entry.second.address) == port.host_ip;
        });
        if (found != last) taken_.erase(found);
    }
}

}  // namespace coffer::network
