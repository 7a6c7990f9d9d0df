#pragma once
// Networks, and how a container is attached to them: Engine API 1.50. Plain data. A member is the
// snake case of its wire name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::api {

struct PortBinding {
    std::string host_ip;
    std::string host_port;
    bool operator==(const PortBinding&) const = default;
};
// By port, "80/tcp"; nullopt (null) is a port that is exposed and not published.
using PortMap = std::map<std::string, std::optional<std::vector<PortBinding>>>;

struct EndpointIpamConfig {
    std::string ipv4_address;
    std::string ipv6_address;
    std::vector<std::string> link_local_ips;
};

struct EndpointSettings {
    // What was asked for.
    std::optional<EndpointIpamConfig> ipam_config;
    std::vector<std::string> links;
    std::vector<std::string> aliases;
    std::string mac_address;
    std::map<std::string, std::string> driver_opts;
    std::int64_t gw_priority = 0;
    // What came of it.
    std::string network_id;
    std::string endpoint_id;
    std::string gateway;
    std::string ip_address;
    std::int32_t ip_prefix_len = 0;
    std::string ipv6_gateway;
    std::string global_ipv6_address;
    std::int32_t global_ipv6_prefix_len = 0;
    std::vector<std::string> dns_names;
};

struct NetworkingConfig {
    std::map<std::string, EndpointSettings> endpoints_config;  // by network name or id
};

// Our own: a policy of what may be reached, and what came of it.
struct EgressRuleCount {
    std::string rule;
    std::int64_t packets = 0;  // first ones of connections
    std::int64_t bytes = 0;
};
struct EgressReport {
    std::string of;  // "container web in front", "network front"
    std::string policy;
    std::vector<EgressRuleCount> rules;
    std::map<std::string, std::int64_t> names;  // that were refused, how often
};
struct EgressPolicy {
    std::string policy;  // empty: none
};
void describe(json::Fields& f, const EgressPolicy& s);
void describe(json::Fields& f, const EgressRuleCount& s);
void describe(json::Fields& f, const EgressReport& s);

struct IpamConfig {
    std::string subnet;
    std::string ip_range;
    std::string gateway;
    std::map<std::string, std::string> auxiliary_addresses;
};

struct Ipam {
    std::string driver;
    std::map<std::string, std::string> options;
    std::vector<IpamConfig> config;
};

struct ConfigReference {
    std::string network;
};

struct EndpointResource {
    std::string name;
    std::string endpoint_id;
    std::string mac_address;
    std::string ipv4_address;  // with the prefix length
    std::string ipv6_address;
};

// API 1.52. Both counts end at 2^64 - 1.
struct SubnetStatus {
    std::uint64_t ips_in_use = 0;
    std::uint64_t dynamic_ips_available = 0;
};
struct IpamStatus {
    std::map<std::string, SubnetStatus> subnets;  // by prefix
};
struct NetworkStatus {
    IpamStatus ipam;
};

// Of the list and of inspect; the list has no containers and no status.
struct Network {
    std::string name;
    std::string id;
    std::string created;
    std::string scope;
    std::string driver;
    bool enable_ipv4 = true;
    bool enable_ipv6 = false;
    Ipam ipam;
    bool internal = false;
    bool attachable = false;
    bool ingress = false;
    ConfigReference config_from;
    bool config_only = false;
    std::map<std::string, EndpointResource> containers;  // by container id
    std::map<std::string, std::string> options;
    std::map<std::string, std::string> labels;
    std::optional<NetworkStatus> status;
};

struct NetworkCreateRequest {
    std::string name;
    std::string driver;
    std::string scope;
    std::optional<bool> enable_ipv4;
    std::optional<bool> enable_ipv6;
    std::optional<Ipam> ipam;
    bool internal = false;
    bool attachable = false;
    bool ingress = false;
    bool config_only = false;
    std::optional<ConfigReference> config_from;
    std::map<std::string, std::string> options;
    std::map<std::string, std::string> labels;
};

struct NetworkCreateResponse {
    std::string id;
    std::string warning;
};

struct NetworkConnectRequest {
    std::string container;
    std::optional<EndpointSettings> endpoint_config;
};

struct NetworkDisconnectRequest {
    std::string container;
    bool force = false;
};

struct NetworksPruneReport {
    std::vector<std::string> networks_deleted;
};

void describe(json::Fields& f, const PortBinding& s);
void describe(json::Fields& f, const EndpointIpamConfig& s);
void describe(json::Fields& f, const EndpointSettings& s);
void describe(json::Fields& f, const NetworkingConfig& s);
void describe(json::Fields& f, const IpamConfig& s);
void describe(json::Fields& f, const Ipam& s);
void describe(json::Fields& f, const ConfigReference& s);
void describe(json::Fields& f, const EndpointResource& s);
void describe(json::Fields& f, const SubnetStatus& s);
void describe(json::Fields& f, const IpamStatus& s);
void describe(json::Fields& f, const NetworkStatus& s);
void describe(json::Fields& f, const Network& s);
void describe(json::Fields& f, const NetworkCreateRequest& s);
void describe(json::Fields& f, const NetworkCreateResponse& s);
void describe(json::Fields& f, const NetworkConnectRequest& s);
void describe(json::Fields& f, const NetworkDisconnectRequest& s);
void describe(json::Fields& f, const NetworksPruneReport& s);

}  // namespace coffer::api
