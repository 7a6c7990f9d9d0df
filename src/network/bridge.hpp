#pragma once
// Bridges and the veth pairs between them and the containers, in the kernel: no state of its own.
// Functions are safe from any thread.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/ipam.hpp"
#include "network/rate.hpp"

namespace coffer::network::bridge {

// What the host has an address in or a route to, and by which interface. The default route and
// link-local prefixes are nobody's.
struct UsedPrefix {
    Prefix prefix;
    int interface = 0;  // its index; 0: none
    bool behind_router = false;
};
// `except` is an interface that does not count.
Result<std::vector<UsedPrefix>> used_prefixes(const std::string& except);
// "eth0"
std::string interface_name(int index);
// The addresses of an interface, the link-local ones of IPv6 excepted; none without the interface.
Result<std::vector<Interface>> addresses_of(const std::string& name);
Result<bool> exists(const std::string& name);
// Of the interface with the default route, at most 1500.
Result<unsigned> default_mtu();

struct BridgeOptions {
    std::string name;
    std::vector<Interface> addresses;
    unsigned mtu = 0;
};
// Creates or repairs it: addresses, up, sysctls. Others that it has are removed, and without one of
// IPv6 it has no IPv6 at all.
Result<void> ensure(const BridgeOptions& options);
// A bridge, or one end of a veth pair and with it the other. Absent is success. Waits for the
// kernel: about 20 ms for a pair, 60 ms for a bridge.
Result<void> remove_interface(const std::string& name);
// True for what the kernel takes as an interface name.
bool is_interface_name(std::string_view name);

// Forwarding between interfaces; container networks need it. A host that routes listens to no
// router any more: an interface of it that did goes on (accept_ra 2).
Result<void> enable_forwarding(Family family);

struct Wiring {
    std::string bridge;
    std::string host_ifname;
    std::string ifname;  // in the container
    std::string mac;
    std::vector<Interface> addresses;  // none of IPv6: it has no IPv6 at all
    std::vector<Address> gateways;     // of the default routes
    unsigned mtu = 0;
    RateLimit rate;
    bool isolated = false;  // from other isolated ports of the bridge
    int netns_fd = -1;
};
Result<void> wire(const Wiring& wiring);

// Replaces the default routes in a network namespace; those of a family that is not among the
// gateways are taken away.
Result<void> set_default_routes(int netns_fd, const std::vector<Address>& gateways);

// Keeps a port that exists apart from other isolated ports of its bridge.
Result<void> isolate(const std::string& host_ifname);
// Whether bridged frames go through the IP hooks of the firewall.
bool is_netfilter_on();

// "cof" and 11 digits of the endpoint's id.
std::string host_ifname(const std::string& endpoint_id);
// Removes ports of these bridges that have our names and are not in `known`.
Result<void> remove_leftovers(const std::vector<std::string>& bridges,
                              const std::set<std::string>& known);

}  // namespace coffer::network::bridge
