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

std::vector<std::string> addresses_of(const Endpoint& endpoint) {
    std::vector<std::string> addresses;
    for (const std::string& ip : {endpoint.ip, endpoint.ip6})
        if (!ip.empty()) addresses.push_back(ip);
    return addresses;
}

// Where a port is published that names no address. Where IPv4 is everywhere, IPv6 is too.
std::vector<std::string> publish_addresses(const Config& config, const Network& network) {
    const std::string& option = option_of(network.options, kHostBindingOption);
    const std::string& ipv4 = option.empty() ? config.publish_address : option;
    if (ipv4 == "0.0.0.0") return {ipv4, "::"};
    return {ipv4};
}

void cut_off(const Result<void>& forgotten) {
    if (!forgotten) LOG_DEBUG("{}", forgotten.error().message);
}

void forget_answers(const Endpoint& endpoint) {
    for (const std::string& ip : addresses_of(endpoint))
        if (const auto address = parse_address(ip))
            cut_off(sys::conntrack::forget_answers_from(address->bytes()));
}

// The subnet that an address was taken from.
struct Taken {
    const Subnet* subnet = nullptr;
    Address address;
};

Result<Taken> take_address(KnownNetwork& known, const std::string& text) {
    const auto wanted = parse_address(text);
    if (!wanted) return fail(Code::InvalidArgument, "bad address '{}'", text);
    for (Subnet& subnet : known.subnets)
        if (subnet.prefix().contains(*wanted)) return Taken{&subnet, TRY(subnet.reserve(*wanted))};
    return fail(Code::InvalidArgument,
                "invalid address {}: It does not belong to any of this network's subnets", text);
}

// The next free one of a family; without a subnet when the network has none of it.
Result<Taken> take_next(KnownNetwork& known, Family family) {
    Result<Taken> taken = Taken{};
    for (Subnet& subnet : known.subnets) {
        if (subnet.prefix().family() != family) continue;
        if (auto address = subnet.allocate()) return Taken{&subnet, *address};
        taken = fail(Code::Unavailable,
                     "no available IPv{} addresses on this network's address pools: {} ({})",
                     family == Family::V4 ? 4 : 6, known.info.name, known.info.id);
    }
    return taken;
}

void give_back(KnownNetwork& known, const std::string& text) {
    const auto address = parse_address(text);
    if (!address) return;
    for (Subnet& subnet : known.subnets) subnet.release(*address);
}

// All or none.
Result<void> assign_addresses(KnownNetwork& known, const ConnectOptions& options,
                              Endpoint& endpoint) {
    const bool leads_out = !known.info.internal;
    const auto take = [&](Family family, const std::string& wanted, std::string& ip,
                          unsigned& prefix, std::string& gateway) -> Result<void> {
        const Taken taken =
            TRY(wanted.empty() ? take_next(known, family) : take_address(known, wanted));
        if (taken.subnet == nullptr) return {};
        ip = to_string(taken.address);
        prefix = taken.subnet->prefix().length;
        if (leads_out) gateway = to_string(taken.subnet->gateway());
        return {};
    };
    TRY(take(Family::V4, options.ip, endpoint.ip, endpoint.prefix, endpoint.gateway));
    auto second = take(Family::V6, options.ip6, endpoint.ip6, endpoint.prefix6, endpoint.gateway6);
    if (!second) give_back(known, endpoint.ip);
    return second;
}

std::vector<Interface> interfaces_of(const Endpoint& endpoint) {
    std::vector<Interface> addresses;
    const auto add = [&](const std::string& text, unsigned prefix) {
        if (const auto address = parse_address(text))
            addresses.push_back(interface_of(*address, prefix));
    };
    add(endpoint.ip, endpoint.prefix);
    add(endpoint.ip6, endpoint.prefix6);
    for (const std::string& text : endpoint.link_local) add(text, parse_ipv4(text) ? 16 : 64);
    return addresses;
}

std::vector<Address> gateways_of(const std::string& ipv4, const std::string& ipv6) {
    std::vector<Address> gateways;
    for (const std::string& text : {ipv4, ipv6})
        if (const auto gateway = parse_address(text)) gateways.push_back(*gateway);
    return gateways;
}

}  // namespace

Result<void> Networks::restore(const Endpoint& endpoint) {
    auto locked = impl_->state.lock();
    KnownNetwork* known = TRY(locked->find(endpoint.network_id));
    for (const std::string& ip : {endpoint.ip, endpoint.ip6})
        if (!ip.empty()) TRY_CONTEXT(take_address(*known, ip), "restore address {}", ip);
    known->endpoints[endpoint.id] = endpoint;
    auto ports = locked->portmap.restore(endpoint.ports);
    if (!ports) known->endpoints[endpoint.id].ports.clear();
    const Network network = known->info;
    locked.unlock();
    TRY(impl_->enforce(network, endpoint));
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
    endpoint.egress = options.egress;
    if (network.driver == "bridge") {
        if (!options.mac.empty() && !is_mac(options.mac))
            return fail(Code::InvalidArgument, "invalid MAC address: {}", options.mac);
        endpoint.ifname = options.ifname;
        endpoint.host_ifname = bridge::host_ifname(endpoint.id);
        endpoint.link_local = options.link_local;
        TRY(assign_addresses(*known, options, endpoint));
        endpoint.mac =
            !options.mac.empty()
                ? to_lower(options.mac)
                : mac_of(*parse_address(endpoint.ip.empty() ? endpoint.ip6 : endpoint.ip));
    }
    known->endpoints[endpoint.id] = endpoint;
    return endpoint;
}

Result<Endpoint> Networks::connect(const std::string& reference, const ConnectOptions& options) {
    const RateLimit rate = TRY(parse_rate(options.rate));
    if (!options.egress.empty()) TRY(impl_->check_guard());
    Network network;
    const Endpoint endpoint = TRY(impl_->reserve(reference, options, network));
    if (network.driver != "bridge") return endpoint;
    bridge::Wiring wiring;
    wiring.bridge = network.bridge;
    wiring.host_ifname = endpoint.host_ifname;
    wiring.ifname = endpoint.ifname;
    wiring.mac = endpoint.mac;
    wiring.addresses = interfaces_of(endpoint);
    if (options.default_route) wiring.gateways = gateways_of(endpoint.gateway, endpoint.gateway6);
    wiring.mtu = network.mtu;
    wiring.isolated = !network.icc && !impl_->isolates_by_table;
    wiring.netns_fd = options.netns_fd;
    // That of the network was checked when it was made.
    wiring.rate = tighter(rate, parse_rate(option_of(network.options, kRateOption)).value_or({}));
    Result<void> wired = impl_->enforce(network, endpoint);
    if (wired && impl_->has_guard)  // before it can send anything
        wired = impl_->change_table([&] {
            return sys::nft::add_elements(
                guard::elements_of(impl_->table, impl_->guard_of(network, endpoint)));
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
        if (known == nullptr || (endpoint.ip.empty() && endpoint.ip6.empty()))
            return fail(Code::InvalidArgument, "no address to publish");
        taken = TRY(locked->portmap.allocate(ports, addresses_of(endpoint),
                                             publish_addresses(impl_->config, known->info)));
        auto& all = known->endpoints.at(endpoint.id).ports;
        all.insert(all.end(), taken.begin(), taken.end());
    }
    auto opened =
        impl_->change_table([&] { return sys::nft::add_elements(impl_->port_elements(taken)); });
    if (!opened) {
        auto locked = impl_->state.lock();
        locked->portmap.release(taken);
        if (KnownNetwork* known = locked->find_endpoint(endpoint)) {
            auto& all = known->endpoints.at(endpoint.id).ports;
            all = without(all, taken);
        }
        return opened;
    }
    for (const PublishedPort& port : taken)
        if (const auto address = parse_address(port.host_ip);
            address && port.protocol == Protocol::Udp)
            cut_off(sys::conntrack::forget_sent_to(address->is_v6() ? AF_INET6 : AF_INET,
                                                   IPPROTO_UDP, port.host_port,
                                                   port.host_port_last()));
    endpoint.ports.insert(endpoint.ports.end(), taken.begin(), taken.end());
    return {};
}

Result<void> Networks::unpublish(Endpoint& endpoint, const std::vector<PublishedPort>& ports) {
    if (ports.empty()) return {};
    auto left = without(endpoint.ports, ports);
    // Of a range that goes in part, the rest is entered anew in the same transaction.
    const auto changed = touching(endpoint.ports, ports);
    const auto enter = [&](const std::vector<PublishedPort>& now) {
        auto locked = impl_->state.lock();
        if (KnownNetwork* known = locked->find_endpoint(endpoint))
            known->endpoints.at(endpoint.id).ports = now;
    };
    enter(left);  // a table that is made again from here on must not have them
    auto closed = impl_->change_table([&] {
        return sys::nft::replace_elements(impl_->port_elements(changed),
                                          impl_->port_elements(without(changed, ports)));
    });
    if (!closed) {
        enter(endpoint.ports);
        return closed;
    }
    if (has_udp(ports)) forget_answers(endpoint);
    impl_->state.lock()->portmap.release(ports);
    endpoint.ports = std::move(left);  // last: `ports` may be these
    return {};
}

void Networks::release(const Endpoint& endpoint) {
    std::vector<PublishedPort> ports;
    std::vector<sys::nft::Element> guarded;
    {
        auto locked = impl_->state.lock();
        KnownNetwork* known = locked->find_endpoint(endpoint);
        if (known == nullptr) return;
        // A table that is made again from here on must not have them.
        ports = std::exchange(known->endpoints.at(endpoint.id).ports, {});
        if (impl_->has_guard && !endpoint.host_ifname.empty())
            guarded = guard::elements_of(
                impl_->table, impl_->guard_of(known->info, known->endpoints.at(endpoint.id)));
    }
    // Before the ports are free for others, or the next owner's elements would go too.
    auto elements = impl_->port_elements(ports);
    elements.insert(elements.end(), guarded.begin(), guarded.end());
    auto closed = impl_->change_table([&] { return sys::nft::remove_elements(elements); });
    if (!closed) LOG_WARN("release {}: {}", endpoint.container_name, closed.error().message);
    if (has_udp(ports)) forget_answers(endpoint);
    impl_->egress.remove(endpoint.id);
    auto locked = impl_->state.lock();
    locked->portmap.release(ports);
    KnownNetwork* known = locked->find_endpoint(endpoint);
    if (known == nullptr) return;
    for (const std::string& ip : {endpoint.ip, endpoint.ip6}) give_back(*known, ip);
    known->endpoints.erase(endpoint.id);
}

Result<void> Networks::disconnect(const Endpoint& endpoint) {
    if (!endpoint.host_ifname.empty()) TRY(bridge::remove_interface(endpoint.host_ifname));
    release(endpoint);
    return {};
}

Result<void> Networks::set_gateways(int netns_fd, const std::string& ipv4,
                                    const std::string& ipv6) {
    return bridge::set_default_routes(netns_fd, gateways_of(ipv4, ipv6));
}

void Networks::rename(const std::string& container_id, const std::string& container_name) {
    auto locked = impl_->state.lock();
    for (auto& [id, network] : locked->networks)
        for (auto& [endpoint_id, endpoint] : network.endpoints)
            if (endpoint.container_id == container_id) endpoint.container_name = container_name;
}

}  // namespace coffer::network
