#pragma once
// The engine's own nftables table as text and elements: planned here, applied by sys/nft. Every
// engine has one table, named after its default bridge, so that two engines do not collide. Pure
// functions, safe from any thread.
//
// How a packet goes, in the order of the hooks:
//   raw          nothing from outside may claim a loopback address (ports published on 127.0.0.1
//                stay out of reach of the LAN), and containers do not reach the metadata service
//   publish      a local address and port in one of two maps becomes container address and port
//   forward      into a bridge come only answers and published ports; inside a bridge only what
//                its network allows; an internal network neither sends nor receives
//   postrouting  containers leave under the host's address
//
// Containers of a bridge that is not talking are kept apart by the bridge itself (isolated ports).
// Where br_netfilter hands bridged frames to the IP hooks (docker and kubernetes switch it on), a
// published port of a neighbour becomes a bridged frame too, which isolated ports would drop. There
// a table of the bridge family does the same work and lets translated packets through.

#include <string>
#include <vector>

#include "network/portmap.hpp"
#include "sys/nft_set.hpp"

namespace coffer::network::firewall {

struct BridgeRules {
    std::string name;
    std::vector<std::string> subnets;
    bool talking = false;  // containers of this bridge reach each other
    bool internal = false;
    bool masquerade = true;
};

std::string table_name(const std::string& default_bridge);

// Replaces the whole table in one transaction: whatever was in it before is gone.
std::string replace_table(const std::string& table, const std::vector<BridgeRules>& bridges,
                          const std::vector<PublishedPort>& ports);
// Each may be repeated without error.
std::string add_bridge(const std::string& table, const BridgeRules& bridge);
std::string remove_bridge(const std::string& table, const BridgeRules& bridge);
// What changes with every container, one by one: an element for each port.
std::vector<sys::nft::Element> port_elements(const std::string& table,
                                             const std::vector<PublishedPort>& ports);

// The table of the bridge family, replaced as a whole; `ports` are the host ends of the containers
// that are kept apart.
std::string replace_isolation(const std::string& table, const std::vector<std::string>& ports);
sys::nft::Element isolated_element(const std::string& table, const std::string& port);
// For the start of an engine that needs no such table.
std::string remove_isolation(const std::string& table);

// A dockerd on the same host sets the policy of its FORWARD chain to drop, and no accept of ours
// overrides that. Docker leaves the chain DOCKER-USER to others: when it exists, our bridges are
// let through there, and our own table decides. `listing` is what listing that chain printed; empty
// when every bridge is in it already.
std::string pass_docker(const std::string& listing, const std::vector<BridgeRules>& bridges);
// Takes the rules of one bridge out again.
std::string unpass_docker(const std::string& listing, const std::string& bridge);
inline constexpr const char* kListDockerUser = "list chain ip filter DOCKER-USER";

}  // namespace coffer::network::firewall
