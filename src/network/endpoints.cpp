// The part of Networks that is about containers: connect, publish, release.

#include <netinet/in.h>

#include <algorithm>

#include "base/id.hpp"
#include "base/log.hpp"
#include "network/bridge.hpp"
#include "network/networks_state.hpp"
#include "sys/conntrack.hpp"

namespace coffer::network {
namespace {

// The kernel translates a flow by the rules of its first packet. A UDP client that never pauses
// would go on to the container that had the port before, or to nobody. The table of connections is
// shared with dying namespaces, so this can wait for milliseconds; TCP has no need of it.
bool has_udp(const std::vector<PublishedPort>& ports) {
    return std::any_of(ports.begin(), ports.end(),
                       [](const PublishedPort& port) { return port.protocol == Protocol::Udp; });
}

void cut_off(const Result<void>& forgotten) {
    if (!forgotten) LOG_DEBUG("{}", forgotten.error().message);
}

}  // namespace

Result<void> Networks::restore(const Endpoint& endpoint) {
    auto locked = impl_->state.lock();
    KnownNetwork* known = TRY(locked->find(endpoint.network_id));
    if (!endpoint.ip.empty()) {
        const auto address = parse_address(endpoint.ip);
        if (!address) return fail(Code::InvalidArgument, "bad address '{}'", endpoint.ip);
        TRY_CONTEXT(known->subnet.reserve(*address), "restore address {}", endpoint.ip);
    }
    known->endpoints[endpoint.id] = endpoint;
    auto ports = locked->portmap.restore(endpoint.ports);
    if (!ports) known->endpoints[endpoint.id].ports.clear();
    return ports;
}

// Takes an address and enters the endpoint in the books; the kernel knows nothing of it yet.
Result<Endpoint> Networks::Impl::reserve(const std::string& reference,
                                         const ConnectOptions& options, Network& network) {
    auto locked = state.lock();
    KnownNetwork* known = TRY(locked->find(reference));
    network = known->info;
    for (const auto& [id, other] : known->endpoints)
        if (other.container_id == options.container_id)
            return fail(Code::Forbidden, "endpoint with name {} already exists in network {}",
                        options.container_name, network.name);
    Endpoint endpoint;
    endpoint.id = random_id();
    endpoint.network_id = network.id;
    endpoint.network_name = network.name;
    endpoint.container_id = options.container_id;
    endpoint.container_name = options.container_name;
    endpoint.aliases = options.aliases;
    endpoint.hostname = options.hostname;
    endpoint.links = options.links;
    if (network.driver == "bridge") {
        if (!options.mac.empty() && !is_mac(options.mac))
            return fail(Code::InvalidArgument, "invalid MAC address: {}", options.mac);
        Address address;
        if (options.ip.empty()) {
            address = TRY(known->subnet.allocate());
        } else {
            const auto wanted = parse_address(options.ip);
            if (!wanted) return fail(Code::InvalidArgument, "invalid IPv4 address: {}", options.ip);
            address = TRY(known->subnet.reserve(*wanted));
        }
        endpoint.ifname = options.ifname;
        endpoint.host_ifname = bridge::host_ifname(endpoint.id);
        endpoint.ip = to_string(address);
        endpoint.prefix = known->subnet.prefix().length;
        if (!network.internal) endpoint.gateway = to_string(known->subnet.gateway());
        endpoint.mac = options.mac.empty() ? mac_of(address) : to_lower(options.mac);
    }
    known->endpoints[endpoint.id] = endpoint;
    return endpoint;
}

void Networks::Impl::forget(const Endpoint& endpoint) {
    auto locked = state.lock();
    KnownNetwork* known = locked->find_endpoint(endpoint);
    if (known == nullptr) return;
    locked->portmap.release(known->endpoints.at(endpoint.id).ports);
    if (const auto address = parse_address(endpoint.ip)) known->subnet.release(*address);
    known->endpoints.erase(endpoint.id);
}

Result<Endpoint> Networks::connect(const std::string& reference, const ConnectOptions& options) {
    Network network;
    const Endpoint endpoint = TRY(impl_->reserve(reference, options, network));
    if (network.driver != "bridge") return endpoint;
    bridge::Wiring wiring;
    wiring.bridge = network.bridge;
    wiring.host_ifname = endpoint.host_ifname;
    wiring.ifname = endpoint.ifname;
    wiring.mac = endpoint.mac;
    wiring.address = *parse_interface(format("{}/{}", endpoint.ip, endpoint.prefix));
    if (options.default_route) wiring.gateway = parse_address(endpoint.gateway);
    wiring.mtu = network.mtu;
    wiring.isolated = !network.icc && !impl_->isolates_by_table;
    wiring.netns_fd = options.netns_fd;
    Result<void> wired;
    if (impl_->isolates_by_table && !network.icc)  // before there is anything to reach
        wired = impl_->change_table([&] {
            return sys::nft::add_elements(
                {firewall::isolated_element(impl_->table, endpoint.host_ifname)});
        });
    if (wired) wired = bridge::wire(wiring);
    if (!wired && wired.error().code == Code::NotFound) {  // somebody deleted the bridge
        wired = impl_->ensure_bridge(network);
        if (wired) wired = bridge::wire(wiring);
    }
    if (wired) return endpoint;
    ignore(bridge::remove_interface(endpoint.host_ifname), "undo of a failed connect");
    release(endpoint);
    return wrap(std::move(wired).error(), format("connect to network {}", network.name));
}

Result<void> Networks::publish(Endpoint& endpoint, const std::vector<PortRequest>& ports) {
    if (ports.empty()) return {};
    std::vector<PublishedPort> taken;
    {
        auto locked = impl_->state.lock();
        KnownNetwork* known = locked->find_endpoint(endpoint);
        if (known == nullptr || endpoint.ip.empty())
            return fail(Code::InvalidArgument, "no address to publish");
        taken = TRY(locked->portmap.allocate(ports, endpoint.ip, impl_->config.publish_address));
        auto& all = known->endpoints.at(endpoint.id).ports;
        all.insert(all.end(), taken.begin(), taken.end());
    }
    auto opened = impl_->change_table(
        [&] { return sys::nft::add_elements(firewall::port_elements(impl_->table, taken)); });
    if (!opened) {
        auto locked = impl_->state.lock();
        locked->portmap.release(taken);
        if (KnownNetwork* known = locked->find_endpoint(endpoint))
            std::erase_if(known->endpoints.at(endpoint.id).ports, [&](const PublishedPort& port) {
                return std::find(taken.begin(), taken.end(), port) != taken.end();
            });
        return opened;
    }
    for (const PublishedPort& port : taken)
        if (port.protocol == Protocol::Udp)
            cut_off(sys::conntrack::forget_sent_to(IPPROTO_UDP, port.host_port));
    endpoint.ports.insert(endpoint.ports.end(), taken.begin(), taken.end());
    return {};
}

Result<void> Networks::unpublish(Endpoint& endpoint, std::vector<PublishedPort> ports) {
    if (ports.empty()) return {};
    TRY(impl_->change_table(
        [&] { return sys::nft::remove_elements(firewall::port_elements(impl_->table, ports)); }));
    if (has_udp(ports))
        cut_off(sys::conntrack::forget_answers_from(parse_address(endpoint.ip)->value));
    const auto is_gone = [&](const PublishedPort& port) {
        return std::find(ports.begin(), ports.end(), port) != ports.end();
    };
    std::erase_if(endpoint.ports, is_gone);
    auto locked = impl_->state.lock();
    locked->portmap.release(ports);
    if (KnownNetwork* known = locked->find_endpoint(endpoint))
        std::erase_if(known->endpoints.at(endpoint.id).ports, is_gone);
    return {};
}

void Networks::release(const Endpoint& endpoint) {
    std::vector<PublishedPort> ports;
    bool isolated = false;
    {
        auto locked = impl_->state.lock();
        const KnownNetwork* known = locked->find_endpoint(endpoint);
        if (known == nullptr) return;
        ports = known->endpoints.at(endpoint.id).ports;
        isolated = impl_->isolates_by_table && !known->info.icc && !endpoint.ip.empty();
    }
    // Before the ports are free in the books, or the next owner's elements would go too.
    auto elements = firewall::port_elements(impl_->table, ports);
    if (isolated)
        elements.push_back(firewall::isolated_element(impl_->table, endpoint.host_ifname));
    auto closed = impl_->change_table([&] { return sys::nft::remove_elements(elements); });
    if (!closed) LOG_WARN("release {}: {}", endpoint.container_name, closed.error().message);
    if (has_udp(ports))
        cut_off(sys::conntrack::forget_answers_from(parse_address(endpoint.ip)->value));
    impl_->forget(endpoint);
}

Result<void> Networks::disconnect(const Endpoint& endpoint) {
    if (!endpoint.host_ifname.empty()) TRY(bridge::remove_interface(endpoint.host_ifname));
    release(endpoint);
    return {};
}

Result<void> Networks::set_gateway(int netns_fd, const std::string& gateway) {
    return bridge::set_default_route(netns_fd, parse_address(gateway));
}

void Networks::rename(const std::string& container_id, const std::string& container_name) {
    auto locked = impl_->state.lock();
    for (auto& [id, network] : locked->networks)
        for (auto& [endpoint_id, endpoint] : network.endpoints)
            if (endpoint.container_id == container_id) endpoint.container_name = container_name;
}

}  // namespace coffer::network
