#include "network/bridge.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"

namespace coffer::network::bridge {
namespace {

namespace netlink = sys::netlink;
using Port = netlink::Batch::PortOption;

constexpr std::string_view kPortPrefix = "cof";

bool is_link_local(const Prefix& prefix) {
    static const Prefix kLinkLocal = *parse_prefix("fe80::/10");
    return kLinkLocal.contains(prefix);
}

template <class Members>
bool has_ipv6(const Members& members) {
    return std::any_of(members.begin(), members.end(),
                       [](const Interface& member) { return member.address.is_v6(); });
}

// Of /proc/sys/net, in the network namespace of this thread.
Result<void> write_sysctl(const std::string& path, const char* value) {
    auto written = sys::write_existing("/proc/sys/net/" + path, value);
    if (!written && written.error().sys_errno == ENOENT) return {};  // a kernel without IPv6
    return written;
}

// Without IPv6 an interface has no address of it. With it, it believes no router and asks nobody
// whether an address is free.
Result<void> write_ipv6_sysctls(const std::string& name, bool ipv6) {
    const std::string folder = "ipv6/conf/" + name + "/";
    TRY(write_sysctl(folder + "accept_ra", "0"));
    TRY(write_sysctl(folder + "autoconf", "0"));
    TRY(write_sysctl(folder + "accept_dad", "0"));
    return write_sysctl(folder + "disable_ipv6", ipv6 ? "0" : "1");
}

// rp_filter: a container cannot send under an address of another interface. route_localnet: a
// connection from the host's own loopback may be translated to a container; the firewall drops what
// comes from outside with a loopback address.
Result<void> write_sysctls(const BridgeOptions& options) {
    const std::string folder = "ipv4/conf/" + options.name + "/";
    TRY(write_sysctl(folder + "rp_filter", "1"));
    TRY(write_sysctl(folder + "route_localnet", "1"));
    TRY(write_sysctl(folder + "accept_redirects", "0"));
    TRY(write_sysctl(folder + "send_redirects", "0"));
    return write_ipv6_sysctls(options.name, has_ipv6(options.addresses));
}

Result<netlink::Link> find_or_create(netlink::Socket& socket, const BridgeOptions& options) {
    if (auto link = TRY(socket.find_link(options.name))) {
        if (link->kind != "bridge")
            return fail(Code::Conflict, "interface '{}' exists and is no bridge", options.name);
        return *link;
    }
    netlink::Batch batch;
    batch.add_bridge({options.name, options.mtu});
    TRY(socket.commit(batch));
    auto link = TRY(socket.find_link(options.name));
    if (!link) return fail(Code::Internal, "bridge '{}' vanished", options.name);
    return *link;
}

}  // namespace

Result<std::vector<UsedPrefix>> used_prefixes(const std::string& except) {
    auto socket = TRY(netlink::Socket::open());
    const auto excepted = TRY(socket.find_link(except));
    std::vector<UsedPrefix> used;
    const auto add = [&](std::string_view address, unsigned length, int index, bool behind) {
        const auto number = address_from_bytes(address);
        if (!number || (excepted && index == excepted->index)) return;
        const Prefix prefix = prefix_of(*number, length);
        if (!is_link_local(prefix)) used.push_back({prefix, index, behind});
    };
    for (const netlink::Route& route : TRY(socket.routes()))
        if (route.prefix != 0)
            add(route.destination, route.prefix, route.index, !route.gateway.empty());
    for (const netlink::LinkAddress& address : TRY(socket.addresses()))
        add(address.address, address.prefix, address.index, false);
    return used;
}

std::string interface_name(int index) {
    std::array<char, IF_NAMESIZE> name{};
    return ::if_indextoname(static_cast<unsigned>(index), name.data()) == nullptr ? ""
                                                                                  : name.data();
}

Result<std::vector<Interface>> addresses_of(const std::string& name) {
    auto socket = TRY(netlink::Socket::open());
    const auto link = TRY(socket.find_link(name));
    std::vector<Interface> found;
    if (!link) return found;
    for (const netlink::LinkAddress& address : TRY(socket.addresses(link->index))) {
        const Interface own = interface_of(*address_from_bytes(address.address), address.prefix);
        if (!is_link_local(own.prefix)) found.push_back(own);
    }
    return found;
}

Result<bool> exists(const std::string& name) {
    auto socket = TRY(netlink::Socket::open());
    return TRY(socket.find_link(name)).has_value();
}

Result<unsigned> default_mtu() {
    auto socket = TRY(netlink::Socket::open());
    const auto routes = TRY(socket.routes());
    const auto route = std::find_if(routes.begin(), routes.end(),
                                    [](const netlink::Route& each) { return each.prefix == 0; });
    if (route == routes.end()) return 1500U;
    for (const netlink::Link& link : TRY(socket.links()))
        if (link.index == route->index) return std::min(link.mtu, 1500U);
    return 1500U;
}

Result<void> ensure(const BridgeOptions& options) {
    auto socket = TRY(netlink::Socket::open());
    const netlink::Link link = TRY(find_or_create(socket, options));
    // Before the addresses: an interface without IPv6 takes none of it.
    TRY_CONTEXT(write_sysctls(options), "set up bridge '{}'", options.name);
    netlink::Batch batch;
    for (const netlink::LinkAddress& address : TRY(socket.addresses(link.index))) {
        const Interface own = interface_of(*address_from_bytes(address.address), address.prefix);
        if (!is_link_local(own.prefix) &&
            std::find(options.addresses.begin(), options.addresses.end(), own) ==
                options.addresses.end())
            batch.remove_address(link.index, address.address, address.prefix);
    }
    for (const Interface& address : options.addresses)
        batch.add_address(link.index, address.address.bytes(), address.prefix.length);
    if (options.mtu != 0 && link.mtu != options.mtu) batch.set_mtu(link.index, options.mtu);
    batch.set_up(link.index);
    TRY_CONTEXT(socket.commit(batch), "set up bridge '{}'", options.name);
    return {};
}

bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() < 16 && name != "." && name != ".." && name != "all" &&
           name != "default" && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
           });
}

// Writing resets what the interfaces have, so not when it is on already.
Result<void> enable_forwarding(Family family) {
    if (family == Family::V4) {
        const std::string path = "/proc/sys/net/ipv4/ip_forward";
        if (trim(TRY(sys::read_file(path))) == "1") return {};
        return sys::write_existing(path, "1");
    }
    const std::string folder = "/proc/sys/net/ipv6/conf/";
    if (trim(TRY(sys::read_file(folder + "all/forwarding"))) == "1") return {};
    auto socket = TRY(netlink::Socket::open());
    for (const netlink::Link& link : TRY(socket.links())) {
        const std::string path = folder + link.name + "/accept_ra";
        const auto accepts = sys::read_file(path);
        if (accepts && trim(*accepts) == "1") TRY(sys::write_existing(path, "2"));
    }
    return sys::write_existing(folder + "all/forwarding", "1");
}

namespace {
Result<netlink::Socket> open_inside(const Wiring& wiring) {
    std::optional<netlink::Socket> socket;
    auto entered = netlink::run_in_netns(wiring.netns_fd, [&]() -> Result<void> {
        // New interfaces there have no IPv6.
        if (has_ipv6(wiring.addresses)) TRY(write_ipv6_sysctls(wiring.ifname, true));
        socket = TRY(netlink::Socket::open());
        return {};
    });
    if (!entered) return fail(std::move(entered).error());
    return std::move(*socket);
}
}  // namespace

Result<void> wire(const Wiring& wiring) {
    auto host = TRY(netlink::Socket::open());
    const auto master = TRY(host.find_link(wiring.bridge));
    if (!master) return fail(Code::NotFound, "bridge '{}' does not exist", wiring.bridge);
    netlink::Veth veth;
    veth.name = wiring.host_ifname;
    veth.master = master->index;
    veth.mtu = wiring.mtu;
    veth.peer_netns = wiring.netns_fd;
    veth.peer_name = wiring.ifname;
    veth.peer_mac = wiring.mac;
    netlink::Batch outside;
    outside.add_veth(veth);
    if (wiring.isolated) outside.set_port(wiring.host_ifname, Port::Isolated);
    // There the bridge itself brings a container back what it sends to a port of its own.
    if (is_netfilter_on()) outside.set_port(wiring.host_ifname, Port::Reflecting);
    TRY(host.commit(outside));
    // The host speaks to the container by the bridge alone.
    TRY(write_ipv6_sysctls(wiring.host_ifname, false));
    if (wiring.rate.in != 0) {
        const auto port = TRY(host.find_link(wiring.host_ifname));
        if (!port) return fail(Code::Internal, "interface '{}' vanished", wiring.host_ifname);
        netlink::Batch limit;
        limit.limit_rate(port->index, wiring.rate.in);
        TRY(host.commit(limit));
    }

    netlink::Socket inside = TRY(open_inside(wiring));
    const auto link = TRY(inside.find_link(wiring.ifname));
    if (!link) return fail(Code::Internal, "interface '{}' vanished", wiring.ifname);
    netlink::Batch batch;
    for (const Interface& address : wiring.addresses)
        batch.add_address(link->index, address.address.bytes(), address.prefix.length);
    if (wiring.rate.out != 0) batch.limit_rate(link->index, wiring.rate.out);
    batch.set_up(link->index);
    for (const Address& gateway : wiring.gateways) batch.add_default_route(gateway.bytes());
    TRY(inside.commit(batch));
    // The kernel notices in the background that both ends are up, and until then the bridge drops
    // what comes: the container's first packet, and a second until it is sent again. Asking for an
    // interface makes the kernel notice at once (6.9 and later).
    TRY(inside.find_link(wiring.ifname));
    TRY(host.find_link(wiring.host_ifname));
    TRY(host.find_link(wiring.bridge));  // it came up with its first port
    return {};
}

Result<void> set_default_routes(int netns_fd, const std::vector<Address>& gateways) {
    auto inside = TRY(netlink::Socket::open_in(netns_fd));
    netlink::Batch batch;
    std::vector<Address> missing = gateways;
    for (const netlink::Route& route : TRY(inside.routes())) {
        const auto gateway = address_from_bytes(route.gateway);
        if (route.prefix != 0 || !gateway) continue;
        const auto wanted = std::find(missing.begin(), missing.end(), *gateway);
        if (wanted == missing.end())
            batch.remove_default_route(route.gateway);
        else
            missing.erase(wanted);
    }
    for (const Address& gateway : missing) batch.add_default_route(gateway.bytes());
    return inside.commit(batch);
}

Result<void> remove_interface(const std::string& name) {
    auto socket = TRY(netlink::Socket::open());
    const auto link = TRY(socket.find_link(name));
    if (!link) return {};
    netlink::Batch batch;
    batch.remove_link(link->index);
    auto removed = socket.commit(batch);
    if (!removed && removed.error().sys_errno == ENODEV) return {};  // its namespace went first
    return removed;
}

Result<void> isolate(const std::string& host_ifname) {
    auto socket = TRY(netlink::Socket::open());
    netlink::Batch batch;
    batch.set_port(host_ifname, Port::Isolated);
    return socket.commit(batch);
}

bool is_netfilter_on() {
    for (const char* name : {"iptables", "ip6tables"}) {
        const auto text = sys::read_file(format("/proc/sys/net/bridge/bridge-nf-call-{}", name));
        if (text && trim(*text) == "1") return true;
    }
    return false;
}

std::string host_ifname(const std::string& endpoint_id) {
    return std::string(kPortPrefix) + endpoint_id.substr(0, 11);
}

Result<void> remove_leftovers(const std::vector<std::string>& bridges,
                              const std::set<std::string>& known) {
    auto socket = TRY(netlink::Socket::open());
    const auto links = TRY(socket.links());
    std::set<int> masters;
    for (const netlink::Link& link : links)
        if (std::find(bridges.begin(), bridges.end(), link.name) != bridges.end())
            masters.insert(link.index);
    for (const netlink::Link& link : links) {
        if (!masters.contains(link.master) || !link.name.starts_with(kPortPrefix) ||
            link.kind != "veth" || known.contains(link.name))
            continue;
        netlink::Batch batch;
        batch.remove_link(link.index);
        if (auto removed = socket.commit(batch); removed)
            LOG_INFO("removed leftover interface '{}'", link.name);
        else if (removed.error().sys_errno != ENODEV)
            return removed;
    }
    return {};
}

}  // namespace coffer::network::bridge
