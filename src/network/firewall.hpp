#pragma once
// The engine's own nftables table as text and elements: planned here, applied by sys/nft. Every
// engine has one table for IPv4 and IPv6 (family inet), named after its default bridge, so that two
// engines do not collide. Pure functions, safe from any thread.
//
// How a packet goes, in the order of the hooks:
//   raw          nothing from outside may claim a loopback address (ports published on 127.0.0.1
//                stay out of reach of the LAN), and containers do not reach the metadata service
//   publish      a local address and port in one of four maps becomes container address and port.
//                A range is one element: its value is an address alone, so the port stays. One that
//                goes to other ports is an element a port, since the kernel would take any free
//                port of a range of values.
//   refuse       what the host itself sends to a published port of ::1: the kernel has no route for
//                the answers, and the client would wait
//   forward      into a bridge come only answers and published ports; inside a bridge only what
//                its network allows; an internal network neither sends nor receives
//   postrouting  containers leave under the host's address. A published port is reached under the
//                client's own, but from loopback and from the same bridge: there the answers would
//                not come this way
//
// Containers of a bridge that is not talking are kept apart by the bridge itself (isolated ports).
// Where br_netfilter hands bridged frames to the IP hooks (docker and kubernetes switch it on), a
// published port of a neighbour becomes a bridged frame too, which isolated ports would drop. There
// the table of the bridge family (bridge_guard.hpp) does it and lets translated packets through.

#include <string>
#include <vector>

#include "network/portmap.hpp"
#include "network/reentry.hpp"
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

// Replaces the whole table in one transaction: whatever was in it before is gone. With `reentry`,
// published ports are open from outside only to what comes in there.
std::string replace_table(const std::string& table, const std::vector<BridgeRules>& bridges,
                          const std::vector<PublishedPort>& ports,
                          const reentry::Interfaces* reentry);
// Each may be repeated without error.
std::string add_bridge(const std::string& table, const BridgeRules& bridge);
std::string remove_bridge(const std::string& table, const BridgeRules& bridge);
// What changes with every container, one by one: an element for each port or range.
std::vector<sys::nft::Element> port_elements(const std::string& table,
                                             const std::vector<PublishedPort>& ports);

// The table of the family ip of an engine that respects the host's firewall: it is behind the
// host's own rules for incoming packets, and sends what they have let in to published ports on its
// way (reentry.hpp). Of others, nothing is left of it.
std::string replace_judged(const std::string& table, const std::vector<PublishedPort>& ports,
                           const reentry::Interfaces* reentry);
std::vector<sys::nft::Element> judged_elements(const std::string& table,
                                               const std::vector<PublishedPort>& ports);

// A dockerd or ufw on the same host sets the policy of the chain FORWARD to drop, and no accept of
// ours overrides that. Docker leaves the chain DOCKER-USER to others. Where one of these chains
// would drop, our bridges are let through there, and our own table decides. `listing` is what
// listing that chain printed; empty when every bridge is in it already.
std::string pass_host(const char* chain, const std::string& listing,
                      const std::vector<BridgeRules>& bridges);
// Takes the rules of one bridge out again.
std::string unpass_host(const char* chain, const std::string& listing, const std::string& bridge);
inline constexpr const char* kHostChains[] = {"ip filter DOCKER-USER", "ip filter FORWARD",
                                              "ip6 filter DOCKER-USER", "ip6 filter FORWARD"};

}  // namespace coffer::network::firewall
