#pragma once
// Bridges and the veth pairs between them and the containers, in the kernel: no state of its own.
// Functions are safe from any thread.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/ipam.hpp"

namespace coffer::network::bridge {

// What the host routes to already; `except` is an interface that does not count.
Result<std::vector<Prefix>> used_prefixes(const std::string& except);
// The address of an interface, nullopt without the interface or the address.
Result<std::optional<Interface>> address_of(const std::string& name);
Result<bool> exists(const std::string& name);
// Of the interface with the default route, at most 1500.
Result<unsigned> default_mtu();

struct BridgeOptions {
    std::string name;
    Interface address;
    unsigned mtu = 0;
};
// Creates or repairs it: address, up, sysctls. Other addresses in it are removed.
Result<void> ensure(const BridgeOptions& options);
// A bridge, or one end of a veth pair and with it the other. Absent is success. Waits for the
// kernel: about 20 ms for a pair, 60 ms for a bridge.
Result<void> remove_interface(const std::string& name);
// True for what the kernel takes as an interface name.
bool is_interface_name(std::string_view name);

// Forwarding between interfaces; container networks need it.
Result<void> enable_forwarding();

struct Wiring {
    std::string bridge;
    std::string host_ifname;
    std::string ifname;  // in the container
    std::string mac;
    Interface address;
    std::optional<Address> gateway;  // of the default route
    unsigned mtu = 0;
    bool isolated = false;  // from other isolated ports of the bridge
    int netns_fd = -1;
};
Result<void> wire(const Wiring& wiring);

// Replaces the default route in a network namespace; nullopt takes it away.
Result<void> set_default_route(int netns_fd, std::optional<Address> gateway);

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
