#include "api/network.hpp"

namespace coffer::api {

void describe(json::Fields& f, const EgressPolicy& s) {
    f("Policy", s.policy);
}

void describe(json::Fields& f, const EgressRuleCount& s) {
    f("Rule", s.rule);
    f("Packets", s.packets);
    f("Bytes", s.bytes);
}

void describe(json::Fields& f, const EgressReport& s) {
    f("Of", s.of);
    f("Policy", s.policy);
    f("Rules", s.rules);
    f("Names", s.names);
}

void describe(json::Fields& f, const PortBinding& s) {
    f("HostIp", s.host_ip);
    f("HostPort", s.host_port);
}

void describe(json::Fields& f, const EndpointIpamConfig& s) {
    f("IPv4Address", s.ipv4_address, json::kOmitEmpty);
    f("IPv6Address", s.ipv6_address, json::kOmitEmpty);
    f("LinkLocalIPs", s.link_local_ips, json::kOmitEmpty);
}

void describe(json::Fields& f, const EndpointSettings& s) {
    f("IPAMConfig", s.ipam_config);
    f("Links", s.links, json::kNullIfEmpty);
    f("Aliases", s.aliases, json::kNullIfEmpty);
    f("MacAddress", s.mac_address);
    f("DriverOpts", s.driver_opts, json::kNullIfEmpty);
    f("GwPriority", s.gw_priority);
    f("NetworkID", s.network_id);
    f("EndpointID", s.endpoint_id);
    f("Gateway", s.gateway);
    f("IPAddress", s.ip_address);
    f("IPPrefixLen", s.ip_prefix_len);
    f("IPv6Gateway", s.ipv6_gateway);
    f("GlobalIPv6Address", s.global_ipv6_address);
    f("GlobalIPv6PrefixLen", s.global_ipv6_prefix_len);
    f("DNSNames", s.dns_names, json::kNullIfEmpty);
}

void describe(json::Fields& f, const NetworkingConfig& s) {
    f("EndpointsConfig", s.endpoints_config);
}

void describe(json::Fields& f, const IpamConfig& s) {
    f("Subnet", s.subnet, json::kOmitEmpty);
    f("IPRange", s.ip_range, json::kOmitEmpty);
    f("Gateway", s.gateway, json::kOmitEmpty);
    f("AuxiliaryAddresses", s.auxiliary_addresses, json::kOmitEmpty);
}

void describe(json::Fields& f, const Ipam& s) {
    f("Driver", s.driver);
    f("Options", s.options, json::kNullIfEmpty);
    f("Config", s.config);
}

void describe(json::Fields& f, const ConfigReference& s) {
    f("Network", s.network);
}

void describe(json::Fields& f, const EndpointResource& s) {
    f("Name", s.name);
    f("EndpointID", s.endpoint_id);
    f("MacAddress", s.mac_address);
    f("IPv4Address", s.ipv4_address);
    f("IPv6Address", s.ipv6_address);
}

void describe(json::Fields& f, const SubnetStatus& s) {
    f("IPsInUse", s.ips_in_use);
    f("DynamicIPsAvailable", s.dynamic_ips_available);
}

void describe(json::Fields& f, const IpamStatus& s) {
    f("Subnets", s.subnets);
}

void describe(json::Fields& f, const NetworkStatus& s) {
    f("IPAM", s.ipam);
}

void describe(json::Fields& f, const Network& s) {
    f("Name", s.name);
    f("Id", s.id);
    f("Created", s.created);
    f("Scope", s.scope);
    f("Driver", s.driver);
    f("EnableIPv4", s.enable_ipv4);
    f("EnableIPv6", s.enable_ipv6);
    f("IPAM", s.ipam);
    f("Internal", s.internal);
    f("Attachable", s.attachable);
    f("Ingress", s.ingress);
    f("ConfigFrom", s.config_from);
    f("ConfigOnly", s.config_only);
    f("Containers", s.containers);
    f("Options", s.options);
    f("Labels", s.labels);
    f("Status", s.status, json::kOmitEmpty);
}

void describe(json::Fields& f, const NetworkCreateRequest& s) {
    f("Name", s.name);
    f("Driver", s.driver);
    f("Scope", s.scope);
    f("EnableIPv4", s.enable_ipv4, json::kOmitEmpty);
    f("EnableIPv6", s.enable_ipv6, json::kOmitEmpty);
    f("IPAM", s.ipam);
    f("Internal", s.internal);
    f("Attachable", s.attachable);
    f("Ingress", s.ingress);
    f("ConfigOnly", s.config_only);
    f("ConfigFrom", s.config_from);
    f("Options", s.options);
    f("Labels", s.labels);
}

void describe(json::Fields& f, const NetworkCreateResponse& s) {
    f("Id", s.id);
    f("Warning", s.warning);
}

void describe(json::Fields& f, const NetworkConnectRequest& s) {
    f("Container", s.container);
    f("EndpointConfig", s.endpoint_config, json::kOmitEmpty);
}

void describe(json::Fields& f, const NetworkDisconnectRequest& s) {
    f("Container", s.container);
    f("Force", s.force);
}

void describe(json::Fields& f, const NetworksPruneReport& s) {
    f("NetworksDeleted", s.networks_deleted, json::kNullIfEmpty);
}

}  // namespace coffer::api
