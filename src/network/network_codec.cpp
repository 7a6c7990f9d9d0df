#include "json/codec.hpp"
#include "network/networks_state.hpp"

namespace coffer::network {

static void describe(json::Fields& f, const SubnetConfig& s) {
    f("subnet", s.subnet);
    f("ip_range", s.ip_range, json::kOmitEmpty);
    f("gateway", s.gateway, json::kOmitEmpty);
    f("auxiliary", s.auxiliary, json::kOmitEmpty);
}

static void describe(json::Fields& f, const Network& s) {
    f("id", s.id);
    f("name", s.name);
    f("driver", s.driver);
    f("scope", s.scope);
    f("created", s.created);
    f("enable_ipv4", s.enable_ipv4);
    f("enable_ipv6", s.enable_ipv6);
    f("internal", s.internal);
    f("attachable", s.attachable);
    f("masquerade", s.masquerade);
    f("icc", s.icc);
    f("mtu", s.mtu);
    f("bridge", s.bridge);
    f("subnets", s.subnets);
    f("options", s.options);
    f("ipam_options", s.ipam_options);
    f("labels", s.labels);
}

namespace {

struct PortDocument {
    std::string protocol;
    std::string host_ip;
    std::uint16_t host_port = 0;
    std::string container_ip;
    std::uint16_t container_port = 0;
    std::uint16_t count = 1;
};
void describe(json::Fields& f, const PortDocument& s) {
    f("protocol", s.protocol);
    f("host_ip", s.host_ip);
    f("host_port", s.host_port);
    f("container_ip", s.container_ip);
    f("container_port", s.container_port);
    f("count", s.count);
}

struct EndpointDocument {
    Endpoint endpoint;  // without its ports
    std::vector<PortDocument> ports;
};
void describe(json::Fields& f, const EndpointDocument& s) {
    f("id", s.endpoint.id);
    f("network_id", s.endpoint.network_id);
    f("network_name", s.endpoint.network_name);
    f("container_id", s.endpoint.container_id);
    f("container_name", s.endpoint.container_name);
    f("ifname", s.endpoint.ifname);
    f("host_ifname", s.endpoint.host_ifname);
    f("ip", s.endpoint.ip);
    f("prefix", s.endpoint.prefix);
    f("gateway", s.endpoint.gateway);
    f("ip6", s.endpoint.ip6);
    f("prefix6", s.endpoint.prefix6);
    f("gateway6", s.endpoint.gateway6);
    f("link_local", s.endpoint.link_local);
    f("mac", s.endpoint.mac);
    f("aliases", s.endpoint.aliases);
    f("hostname", s.endpoint.hostname);
    f("links", s.endpoint.links);
    f("ports", s.ports);
    f("egress", s.endpoint.egress, json::kOmitEmpty);
}

}  // namespace

std::string encode(const Network& network) {
    return json::encode(network);
}

Result<Network> decode_network(std::string_view text) {
    return json::decode<Network>(text);
}

std::string encode(const Endpoint& e) {
    EndpointDocument document{e, {}};
    for (const PublishedPort& port : e.ports)
        document.ports.push_back({std::string(to_string(port.protocol)), port.host_ip,
                                  port.host_port, port.container_ip, port.container_port,
                                  port.count});
    return json::encode(document);
}

Result<Endpoint> decode_endpoint(std::string_view text) {
    auto d = TRY_CONTEXT(json::decode<EndpointDocument>(text), "read an endpoint");
    Endpoint endpoint = std::move(d.endpoint);
    for (const PortDocument& port : d.ports) {
        const auto protocol = parse_protocol(port.protocol);
        if (!protocol)
            return fail(Code::InvalidArgument, "endpoint with a port of protocol '{}'",
                        port.protocol);
        endpoint.ports.push_back({*protocol, port.host_ip, port.host_port, port.container_ip,
                                  port.container_port, port.count});
    }
    return endpoint;
}

}  // namespace coffer::network
