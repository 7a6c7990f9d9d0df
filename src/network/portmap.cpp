#include "network/portmap.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "sys/socket_address.hpp"
#include "sys/socket_diag.hpp"

namespace coffer::network {
namespace {

constexpr std::uint16_t kFirstRandom = 49153;
constexpr unsigned kHeldPorts = 64;  // the longest range of which every port is held by a socket

bool share_an_address(Address one, Address other) {
    if (one.family != other.family) return false;
    return one == other || one.is_unspecified() || other.is_unspecified();
}

// "0.0.0.0:80", "[::]:80"
std::string to_text(Address address, std::uint16_t port) {
    return address.is_v6() ? format("[{}]:{}", to_string(address), port)
                           : format("{}:{}", to_string(address), port);
}

// Holds the port on the host, so that no other process can listen where the firewall would steal
// its packets, and tells when one already does.
Result<sys::Fd> bind_port(Protocol protocol, Address address, std::uint16_t port) {
    const int type = protocol == Protocol::Udp ? SOCK_DGRAM : SOCK_STREAM;
    sys::Fd fd(::socket(address.is_v6() ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC,
                        protocol == Protocol::Sctp ? IPPROTO_SCTP : 0));
    if (!fd && protocol == Protocol::Sctp) return fd;  // no host process can have it either
    if (!fd) return fail_errno("open a socket");
    const int on = 1;
    if (protocol == Protocol::Tcp)  // connections of a former owner in TIME_WAIT are no obstacle
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // An address that comes and goes (a laptop's) may be published on while it is away.
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
    if (address.is_v6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    const auto place = sys::SocketAddress::parse(to_string(address), port);
    const bool taken = !place || ::bind(fd.get(), place->get(), place->size) != 0 ||
                       (protocol != Protocol::Udp && ::listen(fd.get(), 0) != 0);
    if (taken)
        return fail_errno("failed to bind host port {}/{}", to_text(address, port),
                          to_string(protocol));
    return fd;
}

Failure already_allocated(Address address, std::uint16_t port) {
    return fail(Code::Internal, "Bind for {} failed: port is already allocated",
                to_text(address, port));
}

// What bind_port would say, without a socket a port.
Result<void> check_host(Protocol protocol, Address address, std::uint16_t first,
                        std::uint16_t last) {
    for (const auto& local : TRY(sys::socket_diag::listening(number_of(protocol))))
        if (local.port >= first && local.port <= last &&
            share_an_address(address, address_from_bytes(local.address).value_or(address)))
            return fail_with(EADDRINUSE, "failed to bind host port {}/{}",
                             to_text(address, local.port), to_string(protocol));
    return {};
}

// The ports that two of them share, as distances from the first of `port`; nullopt without one.
struct Shared {
    std::uint16_t first;
    std::uint16_t last;
};
std::optional<Shared> shared(const PublishedPort& port, const PublishedPort& other) {
    if (port.protocol != other.protocol || port.host_ip != other.host_ip) return std::nullopt;
    const auto first = std::max(port.host_port, other.host_port);
    const auto last = std::min(port.host_port_last(), other.host_port_last());
    if (first > last) return std::nullopt;
    return Shared{static_cast<std::uint16_t>(first - port.host_port),
                  static_cast<std::uint16_t>(last - port.host_port)};
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

std::uint8_t number_of(Protocol protocol) {
    switch (protocol) {
        case Protocol::Tcp:
            return IPPROTO_TCP;
        case Protocol::Udp:
            return IPPROTO_UDP;
        case Protocol::Sctp:
            return IPPROTO_SCTP;
    }
    return 0;
}

std::optional<Protocol> parse_protocol(std::string_view text) {
    for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp})
        if (equals_ignoring_case(text, to_string(protocol))) return protocol;
    return std::nullopt;
}

std::optional<PortRange> parse_port_range(std::string_view text) {
    const auto sides = cut(text, "-");
    const auto first = parse_port(sides ? sides->first : text);
    const auto last = parse_port(sides ? sides->second : text);
    if (!first || !last || *first > *last) return std::nullopt;
    return PortRange{*first, *last};
}

Result<void> parse_host_port(std::string_view text, PortRequest& request) {
    request.host_port_first = request.host_port_last = 0;
    if (text.empty() || text == "0") return {};
    const auto range = parse_port_range(text);
    if (!range) return fail(Code::InvalidArgument, "invalid port specification: \"{}\"", text);
    request.host_port_first = range->first;
    request.host_port_last = range->last;
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

PublishedPort PublishedPort::part(std::uint16_t distance, std::uint16_t length) const {
    PublishedPort part = *this;
    part.host_port = static_cast<std::uint16_t>(host_port + distance);
    part.container_port = static_cast<std::uint16_t>(container_port + distance);
    part.count = length;
    return part;
}

PublishedPort PublishedPort::at(std::uint16_t distance) const {
    return part(distance, 1);
}

std::vector<PublishedPort> without(const std::vector<PublishedPort>& ports,
                                   const std::vector<PublishedPort>& gone) {
    std::vector<PublishedPort> left = ports;
    for (const PublishedPort& one : gone) {
        std::vector<PublishedPort> pieces;
        for (const PublishedPort& port : left) {
            const auto common = shared(port, one);
            if (!common) {
                pieces.push_back(port);
                continue;
            }
            if (common->first > 0) pieces.push_back(port.part(0, common->first));
            const auto after = static_cast<std::uint16_t>(common->last + 1);
            if (after < port.count)
                pieces.push_back(port.part(after, static_cast<std::uint16_t>(port.count - after)));
        }
        left = std::move(pieces);
    }
    return left;
}

std::vector<PublishedPort> touching(const std::vector<PublishedPort>& ports,
                                    const std::vector<PublishedPort>& others) {
    std::vector<PublishedPort> found;
    std::copy_if(ports.begin(), ports.end(), std::back_inserter(found), [&](const auto& port) {
        return std::any_of(others.begin(), others.end(),
                           [&](const auto& other) { return shared(port, other).has_value(); });
    });
    return found;
}

std::optional<std::uint16_t> Portmap::conflict(const Wanted& wanted) const {
    std::optional<std::uint16_t> lowest;
    for (const auto& [place, ranges] : taken_) {
        if (place.first != wanted.protocol || !share_an_address(place.second, wanted.address))
            continue;
        auto range = ranges.upper_bound(wanted.first);
        if (range != ranges.begin() && std::prev(range)->second.last >= wanted.first)
            return wanted.first;
        if (range != ranges.end() && range->first <= wanted.last)
            lowest = std::min(lowest.value_or(range->first), range->first);
    }
    return lowest;
}

Result<void> Portmap::take(const Wanted& wanted) {
    if (const auto port = conflict(wanted)) return already_allocated(wanted.address, *port);
    Taken taken{wanted.last, {}};
    if (wanted.last - wanted.first >= static_cast<int>(kHeldPorts))
        TRY(check_host(wanted.protocol, wanted.address, wanted.first, wanted.last));
    else
        for (unsigned port = wanted.first; port <= wanted.last; ++port)
            taken.sockets.push_back(
                TRY(bind_port(wanted.protocol, wanted.address, static_cast<std::uint16_t>(port))));
    taken_[{wanted.protocol, wanted.address}][wanted.first] = std::move(taken);
    return {};
}

Result<void> Portmap::take_at(const std::vector<Address>& addresses, Protocol protocol,
                              std::uint16_t first, std::uint16_t last) {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        auto taken = take({protocol, addresses[i], first, last});
        if (taken) continue;
        while (i > 0) give_back({protocol, addresses[--i], first, last});
        return taken;
    }
    return {};
}

Result<std::uint16_t> Portmap::take_one(const PortRequest& request,
                                        const std::vector<Address>& addresses) {
    if (request.count > 1) {
        const auto last = static_cast<std::uint16_t>(request.host_port_first + request.count - 1);
        TRY(take_at(addresses, request.protocol, request.host_port_first, last));
        return request.host_port_first;
    }
    if (request.host_port_first != 0) {
        const std::uint32_t last = std::max(request.host_port_first, request.host_port_last);
        for (std::uint32_t port = request.host_port_first;; ++port) {
            const auto candidate = static_cast<std::uint16_t>(port);
            auto taken = take_at(addresses, request.protocol, candidate, candidate);
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
        if (take_at(addresses, request.protocol, port, port)) return port;
    }
    return fail(Code::Internal, "all ports are allocated");
}

Result<std::vector<PublishedPort>> Portmap::allocate(
    const std::vector<PortRequest>& requests, const std::vector<std::string>& container_ips,
    const std::vector<std::string>& default_host_ips) {
    const auto place_of = [&](Address address) -> const std::string* {
        const auto found =
            std::find_if(container_ips.begin(), container_ips.end(), [&](const std::string& ip) {
                const auto own = parse_address(ip);
                return own && own->family == address.family;
            });
        return found == container_ips.end() ? nullptr : &*found;
    };
    std::vector<PublishedPort> ports;
    const auto add = [&](const PortRequest& request) -> Result<void> {
        std::vector<Address> addresses;
        for (const std::string& text : request.host_ip.empty()
                                           ? default_host_ips
                                           : std::vector<std::string>{request.host_ip}) {
            const auto address = parse_address(text);
            if (!address)
                return fail(Code::InvalidArgument, "cannot publish on '{}': not an address", text);
            // Answers to ::1 that come in by a bridge have no route: the client would wait.
            if (to_string(*address) == "::1")
                return fail(Code::InvalidArgument,
                            "cannot publish on '{}': the kernel does not translate what is sent to "
                            "it; use 127.0.0.1 or another address of the host",
                            text);
            if (place_of(*address) != nullptr)
                addresses.push_back(*address);
            else if (!request.host_ip.empty())
                return fail(Code::InvalidArgument,
                            "cannot publish on '{}': the network has no IPv{}", text,
                            address->is_v6() ? 6 : 4);
        }
        if (addresses.empty())
            return fail(
                Code::InvalidArgument,
                "no address to publish port {} on: name one of the host, as 0.0.0.0 or [::]",
                request.container_port);
        const std::uint16_t port = TRY(take_one(request, addresses));
        for (const Address& address : addresses)
            ports.push_back({request.protocol, to_string(address), port, *place_of(address),
                             request.container_port, request.count});
        return {};
    };
    for (const PortRequest& request : requests)
        if (auto added = add(request); !added) {
            release(ports);
            return fail(std::move(added).error());
        }
    return ports;
}

Result<void> Portmap::restore(const std::vector<PublishedPort>& ports) {
    for (const PublishedPort& port : ports) {
        const auto address = parse_address(port.host_ip);
        if (!address) return fail(Code::InvalidArgument, "bad host address '{}'", port.host_ip);
        const Wanted wanted{port.protocol, *address, port.host_port, port.host_port_last()};
        if (const auto taken = conflict(wanted)) return already_allocated(*address, *taken);
        if (!take(wanted)) taken_[{port.protocol, *address}][port.host_port].last = wanted.last;
    }
    return {};
}

void Portmap::release(const std::vector<PublishedPort>& ports) {
    for (const PublishedPort& port : ports)
        if (const auto address = parse_address(port.host_ip))
            give_back({port.protocol, *address, port.host_port, port.host_port_last()});
}

void Portmap::give_back(const Wanted& part) {
    const auto place = taken_.find({part.protocol, part.address});
    if (place == taken_.end()) return;
    Ranges& ranges = place->second;
    auto range = ranges.upper_bound(part.first);
    if (range == ranges.begin()) return;
    --range;
    if (range->second.last < part.first) return;
    const std::uint16_t first = range->first;
    Taken taken = std::move(range->second);
    ranges.erase(range);
    const auto keep = [&](std::uint16_t from, std::uint16_t to) {
        Taken& kept = ranges[from];
        kept.last = to;
        for (unsigned each = from; each <= to && !taken.sockets.empty(); ++each)
            kept.sockets.push_back(std::move(taken.sockets[each - first]));
    };
    if (first < part.first) keep(first, static_cast<std::uint16_t>(part.first - 1));
    if (part.last < taken.last) keep(static_cast<std::uint16_t>(part.last + 1), taken.last);
    if (ranges.empty()) taken_.erase(place);
}

}  // namespace coffer::network
