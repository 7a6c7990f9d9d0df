#include "network/bridge_guard.hpp"

#include "base/text.hpp"
#include "sys/netlink.hpp"

namespace coffer::network::guard {
namespace {

// Before br_netfilter, whose tracking of connections must not see what is dropped here. 9 of
// neighbour advertisements: the address that they are about follows 8 bytes of header.
constexpr const char* kChains = R"(
    set coffer_isolated { type ifname; }
    set coffer_pinned { type ifname; }
    set coffer_macs { type ifname . ether_addr; }
    set coffer_guarded { type ifname; }
    set coffer_senders4 { type ifname . ipv4_addr; }
    set coffer_senders6 { type ifname . ipv6_addr; }
    set coffer_targets6 { typeof iifname . @th,64,128; }
    chain coffer_arp {
        iifname . arp saddr ether != @coffer_macs drop
        arp saddr ip 0.0.0.0 return
        iifname . arp saddr ip != @coffer_senders4 drop
    }
    chain coffer_ip {
        ip saddr 0.0.0.0 udp sport 68 udp dport 67 return
        ip saddr 0.0.0.0 meta l4proto igmp return
        iifname . ip saddr != @coffer_senders4 drop
        udp sport 67 drop
    }
    chain coffer_ip6 {
        icmpv6 type { nd-router-advert, nd-redirect } drop
        icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @coffer_targets6 drop
        ip6 saddr :: return
        iifname . ip6 saddr != @coffer_senders6 drop
        udp sport 547 drop
    }
    chain coffer_prerouting {
        type filter hook prerouting priority -300; policy accept;
        iifname @coffer_pinned iifname . ether saddr != @coffer_macs drop
        iifname @coffer_guarded ether type vmap { arp : jump coffer_arp, ip : jump coffer_ip, ip6 : jump coffer_ip6 }
    }
    chain coffer_forward {
        type filter hook forward priority filter; policy accept;
        iifname @coffer_isolated oifname @coffer_isolated meta mark & 0x20000000 == 0 drop
    }
)";

struct Member {
    const char* set;
    std::string text;  // what follows the port's name in the key, as nft writes it
    std::string bytes;
};

// The address of IPv6 that an interface gives itself, RFC 4291 appendix A.
Address link_local_of(const std::string& mac) {
    std::string bytes = sys::netlink::mac_bytes(mac);
    bytes[0] = static_cast<char>(bytes[0] ^ 2);
    const std::string address =
        std::string("\xfe\x80\0\0\0\0\0\0", 8) + bytes.substr(0, 3) + "\xff\xfe" + bytes.substr(3);
    return *address_from_bytes(address);
}

std::vector<Member> members_of(const Port& port) {
    std::vector<Member> members;
    if (port.isolated) members.push_back({"coffer_isolated", {}, {}});
    if (port.pins_mac) members.push_back({"coffer_pinned", {}, {}});
    if (port.pins_mac || port.pins_addresses)
        members.push_back(
            {"coffer_macs", port.mac, sys::netlink::mac_bytes(port.mac) + std::string(2, '\0')});
    if (!port.pins_addresses) return members;
    members.push_back({"coffer_guarded", {}, {}});
    std::vector<Address> addresses = port.addresses;
    addresses.push_back(link_local_of(port.mac));
    for (const Address& address : addresses) {
        const std::string text = to_string(address);
        members.push_back(
            {address.is_v6() ? "coffer_senders6" : "coffer_senders4", text, address.bytes()});
        if (address.is_v6())
            members.push_back({"coffer_targets6", "0x" + to_hex(address.bytes()), address.bytes()});
    }
    return members;
}

}  // namespace

std::string replace_table(const std::string& table, const std::vector<Port>& ports) {
    std::string text = format("add table bridge {0}\ndelete table bridge {0}\n", table);
    text += format("table bridge {} {{{}}}\n", table, kChains);
    for (const Port& port : ports)
        for (const Member& member : members_of(port))
            text += format("add element bridge {} {} {{ \"{}\"{}{} }}\n", table, member.set,
                           port.name, member.text.empty() ? "" : " . ", member.text);
    return text;
}

std::vector<sys::nft::Element> elements_of(const std::string& table, const Port& port) {
    std::vector<sys::nft::Element> elements;
    const std::vector<Member> members = members_of(port);
    elements.reserve(members.size());
    for (const Member& member : members)
        elements.push_back({.family = sys::nft::Family::Bridge,
                            .table = table,
                            .set = member.set,
                            .key = sys::nft::interface_name(port.name) + member.bytes});
    return elements;
}

}  // namespace coffer::network::guard
