#pragma once
// Published ports: which host ports are taken by whom. Single ports and short ranges are held by a
// bound socket each, so that no host process can take them too; of a long range the kernel's tables
// tell whether a process has one of its ports, and nothing holds it. Portmap decides; the firewall
// does (firewall.hpp). Belongs to one thread at a time (Networks keeps it behind its lock).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "network/ipam.hpp"
#include "sys/fd.hpp"

namespace coffer::network {

enum class Protocol { Tcp, Udp, Sctp };
std::string_view to_string(Protocol protocol);
std::uint8_t number_of(Protocol protocol);  // IPPROTO_*
std::optional<Protocol> parse_protocol(std::string_view text);

// One entry of HostConfig.PortBindings.
struct PortRequest {
    Protocol protocol = Protocol::Tcp;
    std::uint16_t container_port = 0;
    std::string host_ip;                // empty: the configured publish addresses
    std::uint16_t host_port_first = 0;  // 0: any free one of 49153 to 65535
    std::uint16_t host_port_last = 0;   // the first free one of the range; 0: as first
    // More than one: as many ports from container_port on, each at its own from host_port_first on.
    std::uint16_t count = 1;
};
// "8080" or "8000-8010", from 1 to 65535, in order.
struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    int count() const { return last - first + 1; }
};
std::optional<PortRange> parse_port_range(std::string_view text);

// "8080" or "8000-8010" or "" of the API's HostPort; docker's text on a bad one.
Result<void> parse_host_port(std::string_view text, PortRequest& request);
// "80/tcp", "53/udp", "80": the key of PortBindings.
Result<PortRequest> parse_container_port(std::string_view text);

// One port, or a range of them that goes port by port to one of the container.
struct PublishedPort {
    Protocol protocol = Protocol::Tcp;
    std::string host_ip;  // "0.0.0.0", "::": every address of the family
    std::uint16_t host_port = 0;
    std::string container_ip;  // of the same family
    std::uint16_t container_port = 0;
    std::uint16_t count = 1;  // a range ends at 65535 at the latest

    std::uint16_t host_port_last() const {
        return static_cast<std::uint16_t>(host_port + count - 1);
    }
    // The one at that distance, alone.
    PublishedPort at(std::uint16_t distance) const;
    // Part of it: `length` ports from that distance on.
    PublishedPort part(std::uint16_t distance, std::uint16_t length) const;
    bool operator==(const PublishedPort&) const = default;
};
// What is left of `ports` without `gone`, which may be parts of ranges.
std::vector<PublishedPort> without(const std::vector<PublishedPort>& ports,
                                   const std::vector<PublishedPort>& gone);
// Those of `ports` that share a host port with one of `others`.
std::vector<PublishedPort> touching(const std::vector<PublishedPort>& ports,
                                    const std::vector<PublishedPort>& others);

class Portmap {
  public:
    // All or none. Conflict with docker's text "Bind for 0.0.0.0:8080 failed: port is already
    // allocated" when another container has it, "failed to bind host port ...: address already in
    // use" when a process of the host has it. A request without an address is for all of
    // `default_host_ips` whose family is among the container's addresses, at the same port.
    Result<std::vector<PublishedPort>> allocate(const std::vector<PortRequest>& requests,
                                                const std::vector<std::string>& container_ips,
                                                const std::vector<std::string>& default_host_ips);
    // Takes known ports again at recovery; a port that a host process took meanwhile stays ours in
    // the firewall, so this fails only on a conflict between containers.
    Result<void> restore(const std::vector<PublishedPort>& ports);
    // Parts of a range may be given back too.
    void release(const std::vector<PublishedPort>& ports);

  private:
    struct Taken {
        std::uint16_t last = 0;
        std::vector<sys::Fd> sockets;  // one a port, or none
    };
    using Ranges = std::map<std::uint16_t, Taken>;  // by their first port; none overlaps another

    struct Wanted {
        Protocol protocol;
        Address address;
        std::uint16_t first;
        std::uint16_t last;
    };
    // The lowest port of it that a container has.
    std::optional<std::uint16_t> conflict(const Wanted& wanted) const;
    Result<void> take(const Wanted& wanted);
    void give_back(const Wanted& part);
    // The same ports at each of the addresses, or none.
    Result<void> take_at(const std::vector<Address>& addresses, Protocol protocol,
                         std::uint16_t first, std::uint16_t last);
    // The first host port.
    Result<std::uint16_t> take_one(const PortRequest& request,
                                   const std::vector<Address>& addresses);

    std::map<std::pair<Protocol, Address>, Ranges> taken_;
    std::uint16_t next_random_ = 0;
};

}  // namespace coffer::network
