#pragma once
// Networks: the default bridge, `host`, `none` and user-defined bridge networks, with addresses,
// endpoints, firewall and published ports. Safe from any thread; no lock is held while the kernel
// wires an endpoint.
//
// Order of use: open(), then restore() once for every running container, then start().

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/egress_table.hpp"
#include "network/ipam.hpp"
#include "network/portmap.hpp"
#include "network/records.hpp"

namespace coffer::network {

struct Config {
    std::string bridge = "coffer0";  // "none": no default bridge network
    std::string bip;                 // "10.1.0.1/24"; empty: the first free default pool
    bool ipv6 = false;               // the default bridge has it
    std::string fixed_cidr_v6;       // its IPv6 subnet; empty: from the default pools
    // Of a family that has none in it: standard_address_pools(), local_ipv6_pool().
    std::vector<AddressPool> default_address_pools;
    std::string publish_address = "127.0.0.1";  // for a port that names no address
    // The host's own rules for incoming packets decide who outside reaches a published port.
    bool respect_host_firewall = false;
    bool icc = false;  // containers on the default bridge may talk to each other
    unsigned mtu = 0;  // 0: that of the interface with the default route, at most 1500
};

// The option of a network that is its egress policy (egress.hpp).
inline constexpr const char* kEgressOption = "coffer.egress";
// And that limits the rates of every interface in it (rate.hpp).
inline constexpr const char* kRateOption = "coffer.rate";

// One network as it is kept and shown. Only `bridge` networks have subnets.
struct Network {
    std::string id;
    std::string name;
    std::string driver;  // "bridge", "host" or "null"
    std::string scope = "local";
    std::string created;  // RFC 3339
    bool enable_ipv4 = true;
    bool enable_ipv6 = false;
    bool internal = false;
    bool attachable = false;
    bool masquerade = true;
    bool icc = true;
    unsigned mtu = 0;
    std::string bridge;                 // interface name on the host
    std::vector<SubnetConfig> subnets;  // those of IPv4 first
    std::map<std::string, std::string> options;
    std::map<std::string, std::string> ipam_options;
    std::map<std::string, std::string> labels;
};

struct NetworkSpec {
    std::string name;
    std::string driver;  // empty: bridge
    bool internal = false;
    bool attachable = false;
    bool enable_ipv4 = true;
    bool enable_ipv6 = false;
    // One without a subnet, or a family without one, is from the default pools. 0.0.0.0/24 and
    // ::/64 are from there too, of that size.
    std::vector<SubnetConfig> subnets;
    std::map<std::string, std::string> options;
    std::map<std::string, std::string> ipam_options;
    std::map<std::string, std::string> labels;
};

// How much of a subnet is used, see Subnet.
struct SubnetUse {
    std::string subnet;
    std::uint64_t in_use = 0;
    std::uint64_t available = 0;
};

// A container's place in a network. The engine keeps it with the container (encode/decode) and
// gives it back to restore() or release().
struct Endpoint {
    std::string id;
    std::string network_id;
    std::string network_name;
    std::string container_id;
    std::string container_name;
    std::string ifname;       // in the container: eth0, eth1, ...
    std::string host_ifname;  // the other end, a port of the bridge
    std::string ip;           // empty on host and none, and in a network without IPv4
    unsigned prefix = 0;
    std::string gateway;
    std::string ip6;  // as ip, gateway and prefix
    unsigned prefix6 = 0;
    std::string gateway6;
    std::vector<std::string> link_local;  // of both families
    std::string mac;
    std::vector<std::string> aliases;
    std::string hostname;                      // the container's own name for itself
    std::map<std::string, std::string> links;  // name -> id of the container it means, here only
    std::vector<PublishedPort> ports;
    std::string egress;  // the container's policy, egress.hpp; empty: none
};
std::string encode(const Endpoint& endpoint);
Result<Endpoint> decode_endpoint(std::string_view text);

struct ConnectOptions {
    std::string container_id;
    std::string container_name;
    int netns_fd = -1;            // borrowed
    std::string ifname = "eth0";  // not taken yet in that namespace
    std::string ip;               // empty: the next free one
    std::string ip6;
    std::vector<std::string> link_local;
    std::string mac;  // empty: made from the address
    std::vector<std::string> aliases;
    std::string hostname;
    std::map<std::string, std::string> links;
    std::string egress;  // a policy, egress.hpp; empty: none
    std::string rate;    // limits, rate.hpp; empty: those of the network
    // Whether the default route goes here: the first network that has a gateway.
    bool default_route = true;
};

class Networks {
  public:
    // Loads what is recorded; makes host, none and the default bridge where absent. Touches no
    // interface and no firewall rule yet.
    static Result<std::unique_ptr<Networks>> open(Config config, Records& records);
    ~Networks();
    Networks(const Networks&) = delete;
    Networks& operator=(const Networks&) = delete;
    Networks(Networks&&) = delete;
    Networks& operator=(Networks&&) = delete;

    // Recovery: the endpoint of a running container, with its published ports.
    Result<void> restore(const Endpoint& endpoint);
    // Makes or repairs the bridges, replaces the firewall table by what is known, and removes
    // interfaces of endpoints that are not.
    Result<void> start();

    // By id, name or unique id prefix, in docker's order. NotFound: "network X not found".
    Result<Network> get(const std::string& reference) const;
    std::vector<Network> list() const;
    std::vector<Endpoint> endpoints(const std::string& network_id) const;
    Result<Network> create(const NetworkSpec& spec);
    // Forbidden while it has endpoints or is predefined.
    Result<Network> remove(const std::string& reference);

    // Wires a container to a network: veth pair, address, route, all up. In host and none there is
    // nothing to wire: the endpoint says that the container is there.
    Result<Endpoint> connect(const std::string& reference, const ConnectOptions& options);
    // Publishes ports of an endpoint; on success they are in endpoint.ports.
    Result<void> publish(Endpoint& endpoint, const std::vector<PortRequest>& ports);
    // Takes some of its published ports back, also parts of ranges.
    Result<void> unpublish(Endpoint& endpoint, const std::vector<PublishedPort>& ports);
    // The container has ended: its ports and address are free again. The interfaces go with the
    // namespace, in the kernel's own time. Never fails and never waits for the kernel.
    void release(const Endpoint& endpoint);
    // The container goes on running without this network.
    Result<void> disconnect(const Endpoint& endpoint);
    // A renamed container, as inspect shows it.
    void rename(const std::string& container_id, const std::string& container_name);

    // Moves a container's default routes to these gateways; of a family for "" it has none.
    static Result<void> set_gateways(int netns_fd, const std::string& ipv4,
                                     const std::string& ipv6);
    // The use of its subnets, in the order of Network::subnets.
    std::vector<SubnetUse> use_of(const std::string& network_id) const;

    // Names for each other are what user-defined networks have and the default bridge has not.
    bool has_names(const Endpoint& endpoint) const;
    // Whether the container needs the engine's resolver: for such names, or because a policy says
    // which it may ask for.
    bool needs_resolver(const Endpoint& endpoint) const;
    // Answers the container's questions at 127.0.0.11 until stop_names(); see resolver.hpp.
    Result<void> serve_names(const std::string& container_id, int netns_fd,
                             std::vector<std::string> servers);
    void stop_names(const std::string& container_id);
    // Every name by which others of that network find it, in docker's order.
    static std::vector<std::string> names_of(const Endpoint& endpoint);

    // Another policy for a container or a network from now on, "" for none. Connections that exist
    // go on.
    Result<void> set_egress(Endpoint& endpoint, const std::string& policy);
    Result<void> set_egress(const std::string& network, const std::string& policy);
    // By the id of the endpoint or of the network; nullopt where there is no policy.
    Result<std::optional<EgressReport>> egress(const std::string& id) const;

    // What `host-gateway` means: the address of the default bridge.
    std::string host_gateway() const;

  private:
    struct Impl;
    explicit Networks(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::network
