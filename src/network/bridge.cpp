#include "network/bridge.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"

namespace coffer::network::bridge {
namespace {

namespace netlink = sys::netlink;

constexpr std::string_view kPortPrefix = "cof";

struct Sysctl {
    std::string path;
    const char* value;
};

// rp_filter: a container cannot send under an address of another interface. route_localnet: a
// connection from the host's own loopback may be translated to a container; the firewall drops what
// comes from outside with a loopback address. IPv6: no address, no router advertisement is
// believed.
Result<void> write_sysctls(const std::string& name) {
    for (const Sysctl& sysctl : {Sysctl{"ipv4/conf/" + name + "/rp_filter", "1"},
                                 Sysctl{"ipv4/conf/" + name + "/route_localnet", "1"},
                                 Sysctl{"ipv4/conf/" + name + "/accept_redirects", "0"},
                                 Sysctl{"ipv4/conf/" + name + "/send_redirects", "0"},
                                 Sysctl{"ipv6/conf/" + name + "/accept_ra", "0"},
                                 Sysctl{"ipv6/conf/" + name + "/disable_ipv6", "1"}}) {
        auto written = sys::write_existing("/proc/sys/net/" + sysctl.path, sysctl.value);
        if (!written && written.error().sys_errno != ENOENT)  // a kernel without IPv6
            return written;
    }
    return {};
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

Result<std::vector<Prefix>> used_prefixes(const std::string& except) {
    auto socket = TRY(netlink::Socket::open());
    const auto excepted = TRY(socket.find_link(except));
    const int skip = excepted ? excepted->index : 0;
    std::vector<Prefix> used;
    for (const netlink::Route& route : TRY(socket.routes()))
        if (route.prefix != 0 && route.index != skip)
            used.push_back({Address{route.destination}, route.prefix});
    for (const netlink::LinkAddress& address : TRY(socket.addresses()))
        if (address.index != skip)
            used.push_back(prefix_of(Address{address.address}, address.prefix));
    return used;
}

Result<std::optional<Interface>> address_of(const std::string& name) {
    auto socket = TRY(netlink::Socket::open());
    const auto link = TRY(socket.find_link(name));
    if (!link) return std::optional<Interface>();
    for (const netlink::LinkAddress& address : TRY(socket.addresses()))
        if (address.index == link->index)
            return std::optional(interface_of(Address{address.address}, address.prefix));
    return std::optional<Interface>();
}

Result<bool> exists(const std::string& name) {
    auto socket = TRY(netlink::Socket::open());
    return TRY(socket.find_link(name)).has_value();
}

Result<unsigned> default_mtu() {
    auto socket = TRY(netlink::Socket::open());
    const auto routes = TRY(socket.routes());
    const auto route = std::find_if(routes.begin(), routes.end(),
                                    [](const netlink::Route& r) { return r.prefix == 0; });
    if (route == routes.end()) return 1500U;
    for (const netlink::Link& link : TRY(socket.links()))
        if (link.index == route->index) return std::min(link.mtu, 1500U);
    return 1500U;
}

Result<void> ensure(const BridgeOptions& options) {
    auto socket = TRY(netlink::Socket::open());
    const netlink::Link link = TRY(find_or_create(socket, options));
    const std::uint32_t wanted = options.address.address.value;
    const unsigned length = options.address.prefix.length;
    netlink::Batch batch;
    for (const netlink::LinkAddress& address : TRY(socket.addresses()))
        if (address.index == link.index && (address.address != wanted || address.prefix != length))
            batch.remove_address(link.index, address.address, address.prefix);
    batch.add_address(link.index, wanted, length);
    if (options.mtu != 0 && link.mtu != options.mtu) batch.set_mtu(link.index, options.mtu);
    batch.set_up(link.index);
    TRY_CONTEXT(write_sysctls(options.name), "set up bridge '{}'", options.name);
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

Result<void> enable_forwarding() {
    const std::string path = "/proc/sys/net/ipv4/ip_forward";
    // Writing resets the forwarding of every interface, so not when it is on already.
    if (trim(TRY(sys::read_file(path))) == "1") return {};
    return sys::write_existing(path, "1");
}

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
    if (wiring.isolated) outside.isolate_port(wiring.host_ifname);
    TRY(host.commit(outside));

    auto inside = TRY(netlink::Socket::open_in(wiring.netns_fd));
    const auto link = TRY(inside.find_link(wiring.ifname));
    if (!link) return fail(Code::Internal, "interface '{}' vanished", wiring.ifname);
    netlink::Batch batch;
    batch.add_address(link->index, wiring.address.address.value, wiring.address.prefix.length);
    batch.set_up(link->index);
    if (wiring.gateway) batch.add_default_route(wiring.gateway->value);
    TRY(inside.commit(batch));
    // The kernel notices in the background that both ends are up, and until then the bridge drops
    // what comes: the container's first packet, and a second until it is sent again. Asking for an
    // interface makes the kernel notice at once (6.9 and later).
    TRY(inside.find_link(wiring.ifname));
    TRY(host.find_link(wiring.host_ifname));
    TRY(host.find_link(wiring.bridge));  // it came up with its first port
    return {};
}

Result<void> set_default_route(int netns_fd, std::optional<Address> gateway) {
    auto inside = TRY(netlink::Socket::open_in(netns_fd));
    netlink::Batch batch;
    bool present = false;
    for (const netlink::Route& route : TRY(inside.routes())) {
        if (route.prefix != 0) continue;
        if (gateway && route.gateway == gateway->value)
            present = true;
        else
            batch.remove_default_route(route.gateway);
    }
    if (gateway && !present) batch.add_default_route(gateway->value);
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
    batch.isolate_port(host_ifname);
    return socket.commit(batch);
}

bool is_netfilter_on() {
    const auto text = sys::read_file("/proc/sys/net/bridge/bridge-nf-call-iptables");
    return text && trim(*text) == "1";
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
