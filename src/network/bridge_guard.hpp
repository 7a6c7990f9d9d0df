#pragma once
// The table of the bridge family: what the containers' ports of our bridges let in. Planned here,
// applied by sys/nft. Pure functions, safe from any thread.
//
// A container sends under its own hardware address and its own IP addresses, in ARP and neighbour
// discovery too, and answers nobody's search for a router or for a DHCP server: it cannot take what
// is sent to its neighbours or to the host. Addresses of its own are also the link-local one of
// IPv6 that follows from the hardware address, and none, as long as it looks for one.
//
// Where br_netfilter hands bridged frames to the IP hooks (firewall.hpp), the same table keeps
// ports apart that are isolated.

#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/address.hpp"
#include "sys/nft_set.hpp"

namespace coffer::network::guard {

struct Port {
    std::string name;
    std::string mac;
    std::vector<Address> addresses;
    bool pins_mac = true;
    bool pins_addresses = true;  // and what else is said above
    bool isolated = false;       // by this table
};

// Replaces the whole table.
std::string replace_table(const std::string& table, const std::vector<Port>& ports);
// What a port is in that table.
std::vector<sys::nft::Element> elements_of(const std::string& table, const Port& port);

}  // namespace coffer::network::guard
