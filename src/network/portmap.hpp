#pragma once
// Published ports: which host ports are taken by whom, and a bound socket for each so that no host
// process can take it too. Portmap decides; the firewall does (firewall.hpp). Belongs to one
// thread at a time (Networks keeps it behind its lock).

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
std::optional<Protocol> parse_protocol(std::string_view text);

// One entry of HostConfig.PortBindings.
struct PortRequest {
    Protocol protocol = Protocol::Tcp;
    std::uint16_t container_port = 0;
    std::string host_ip;                // empty: the configured publish address
    std::uint16_t host_port_first = 0;  // 0: any free one of 49153 to 65535
    std::uint16_t host_port_last = 0;   // the first free one of the range; 0: as first
};
// "8080" or "8000-8010" or "" of the API's HostPort; docker's text on a bad one.
Result<void> parse_host_port(std::string_view text, PortRequest& request);
// "80/tcp", "53/udp", "80": the key of PortBindings.
Result<PortRequest> parse_container_port(std::string_view text);

struct PublishedPort {
    Protocol protocol = Protocol::Tcp;
    std::string host_ip;  // "0.0.0.0": every address
    std::uint16_t host_port = 0;
    std::string container_ip;
    std::uint16_t container_port = 0;

    bool operator==(const PublishedPort&) const = default;
};

class Portmap {
  public:
    // All or none. Conflict with docker's text "Bind for 0.0.0.0:8080 failed: port is already
    // allocated" when another container has it, "failed to bind host port ...: address already in
    // use" when a process of the host has it.
    Result<std::vector<PublishedPort>> allocate(const std::vector<PortRequest>& requests,
                                                const std::string& container_ip,
                                                const std::string& default_host_ip);
    // Takes known ports again at recovery; a port that a host process took meanwhile stays ours in
    // the firewall, so this fails only on a conflict between containers.
    Result<void> restore(const std::vector<PublishedPort>& ports);
    void release(const std::vector<PublishedPort>& ports);

  private:
    struct Taken {
        Address address;
        sys::Fd socket;
    };
    using Key = std::pair<Protocol, std::uint16_t>;

    bool conflicts(Protocol protocol, Address address, std::uint16_t port) const;
    Result<void> take(Protocol protocol, Address address, std::uint16_t port);
    Result<std::uint16_t> take_one(const PortRequest& request, Address address);

    std::multimap<Key, Taken> taken_;
    std::uint16_t next_random_ = 0;
};

}  // namespace coffer::network
