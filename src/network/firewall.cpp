#include "network/firewall.hpp"

namespace coffer::network::firewall {
namespace {

// The chains; every name has a prefix, since nft reserves many plain words. `iif 0`: br_netfilter
// does not say where a bridged frame comes from.
constexpr const char* kChains = R"(
    chain coffer_raw {
        type filter hook prerouting priority raw; policy accept;
        iifname != "lo" ip daddr 127.0.0.0/8 drop
        iifname @coffer_bridges ip daddr 169.254.169.254 drop
        iifname @coffer_bridges ip6 daddr fd00:ec2::254 drop
    }
    chain coffer_publish {
        meta nfproto vmap { ipv4 : goto coffer_publish4, ipv6 : goto coffer_publish6 }
    }
    chain coffer_publish4 {
        dnat ip to meta l4proto . ip daddr . th dport map @coffer_ports_at4
        dnat ip to meta l4proto . th dport map @coffer_ports4
        dnat ip to meta l4proto . ip daddr . th dport map @coffer_ranges_at4
        dnat ip to meta l4proto . th dport map @coffer_ranges4
    }
    chain coffer_publish6 {
        dnat ip6 to meta l4proto . ip6 daddr . th dport map @coffer_ports_at6
        dnat ip6 to meta l4proto . th dport map @coffer_ports6
        dnat ip6 to meta l4proto . ip6 daddr . th dport map @coffer_ranges_at6
        dnat ip6 to meta l4proto . th dport map @coffer_ranges6
    }
    chain coffer_mark {
        type filter hook prerouting priority -90; policy accept;
        iifname @coffer_bridges ct status dnat meta mark set meta mark | 0x20000000
    }
    chain coffer_output {
        type nat hook output priority -100; policy accept;
        fib daddr type local jump coffer_publish
    }
    chain coffer_refuse {
        type filter hook output priority filter; policy accept;
        ip6 saddr ::1 ip6 daddr @coffer_subnets6 meta l4proto tcp reject with tcp reset
        ip6 saddr ::1 ip6 daddr @coffer_subnets6 reject
    }
    chain coffer_forward {
        type filter hook forward priority filter; policy accept;
        iifname . oifname @coffer_talking accept
        iifname @coffer_internal drop
        oifname @coffer_internal drop
        ct state established,related accept
        oifname @coffer_bridges ct status dnat accept
        oifname @coffer_bridges drop
    }
    chain coffer_postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname @coffer_bridges ip saddr 127.0.0.0/8 masquerade
        iifname . oifname @coffer_hairpins ct status dnat masquerade
        iif 0 oifname @coffer_bridges ct status dnat ip saddr @coffer_subnets4 masquerade
        iif 0 oifname @coffer_bridges ct status dnat ip6 saddr @coffer_subnets6 masquerade
        oifname != @coffer_bridges ip saddr @coffer_subnets4 masquerade
        oifname != @coffer_bridges ip6 saddr @coffer_subnets6 masquerade
    }
)";

// What there is once for each family, whose number and type of addresses these are.
std::string sets_of_family(const char* number, const char* type) {
    return format(R"(
    set coffer_subnets{0} {{ type {1}; flags interval; }}
    map coffer_ports{0} {{ type inet_proto . inet_service : {1} . inet_service; }}
    map coffer_ports_at{0} {{ type inet_proto . {1} . inet_service : {1} . inet_service; }}
    map coffer_ranges{0} {{ type inet_proto . inet_service : {1}; flags interval; }}
    map coffer_ranges_at{0} {{ type inet_proto . {1} . inet_service : {1}; flags interval; }}
)",
                  number, type);
}

std::string quoted(const std::string& name) {
    return "\"" + name + "\"";
}

bool is_v6(const std::string& text) {
    return text.find(':') != std::string::npos;
}

struct Element {
    std::string set;
    std::string key;
    std::string value;  // of a map
};

std::vector<Element> elements_of(const BridgeRules& bridge) {
    const std::string itself = quoted(bridge.name) + " . " + quoted(bridge.name);
    std::vector<Element> elements{{"coffer_bridges", quoted(bridge.name), {}},
                                  {"coffer_hairpins", itself, {}}};
    if (bridge.talking) elements.push_back({"coffer_talking", itself, {}});
    if (bridge.internal) elements.push_back({"coffer_internal", quoted(bridge.name), {}});
    if (bridge.masquerade && !bridge.internal)
        for (const std::string& subnet : bridge.subnets)
            elements.push_back({is_v6(subnet) ? "coffer_subnets6" : "coffer_subnets4", subnet, {}});
    return elements;
}

bool is_everywhere(const PublishedPort& port) {
    return port.host_ip == "0.0.0.0" || port.host_ip == "::";
}

// Whether a range is one element.
bool keeps_ports(const PublishedPort& port) {
    return port.count > 1 && port.host_port == port.container_port;
}

std::string map_of(const PublishedPort& port) {
    return format("coffer_{}{}{}", keeps_ports(port) ? "ranges" : "ports",
                  is_everywhere(port) ? "" : "_at", is_v6(port.host_ip) ? "6" : "4");
}

const char* judged_set_of(const PublishedPort& port) {
    return is_everywhere(port) ? "coffer_judged" : "coffer_judged_at";
}

// What becomes one element each.
std::vector<PublishedPort> pieces_of(const std::vector<PublishedPort>& ports) {
    std::vector<PublishedPort> pieces;
    for (const PublishedPort& port : ports)
        if (keeps_ports(port))
            pieces.push_back(port);
        else
            for (std::uint16_t i = 0; i < port.count; ++i) pieces.push_back(port.at(i));
    return pieces;
}

std::vector<Element> elements_of(const std::vector<PublishedPort>& ports) {
    std::vector<Element> elements;
    for (const PublishedPort& port : pieces_of(ports)) {
        const bool range = keeps_ports(port);
        std::string key = format("{} . ", to_string(port.protocol));
        if (!is_everywhere(port)) key += port.host_ip + " . ";
        key += range ? format("{}-{}", port.host_port, port.host_port_last())
                     : format("{}", port.host_port);
        std::string value =
            range ? port.container_ip : format("{} . {}", port.container_ip, port.container_port);
        elements.push_back({map_of(port), std::move(key), std::move(value)});
    }
    return elements;
}

// An address of the books, which is valid.
std::string address_bytes(const std::string& text) {
    return parse_address(text).value_or(Address{}).bytes();
}

std::string command(const char* verb, const std::string& table, const Element& element) {
    const std::string value = element.value.empty() ? "" : " : " + element.value;
    return format("{} element inet {} {} {{ {}{} }}\n", verb, table, element.set, element.key,
                  value);
}

std::string add(const std::string& table, const std::vector<Element>& elements) {
    std::string text;
    for (const Element& element : elements) text += command("add", table, element);
    return text;
}

// Added first, so that an element which is gone already is no error.
std::string remove(const std::string& table, const std::vector<Element>& elements) {
    std::string text = add(table, elements);
    for (const Element& element : elements)
        text += command("delete", table, {element.set, element.key, {}});
    return text;
}

}  // namespace

std::string table_name(const std::string& default_bridge) {
    std::string name = "coffer_";
    for (const char c : default_bridge) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name += plain ? c : '_';
    }
    return name;
}

std::string replace_table(const std::string& table, const std::vector<BridgeRules>& bridges,
                          const std::vector<PublishedPort>& ports,
                          const reentry::Interfaces* reentry) {
    std::string text = format("add table inet {0}\ndelete table inet {0}\n", table);
    text += format("table inet {} {{\n", table);
    text += "    set coffer_bridges { type ifname; }\n";
    text += "    set coffer_internal { type ifname; }\n";
    text += "    set coffer_talking { type ifname . ifname; }\n";
    text += "    set coffer_hairpins { type ifname . ifname; }\n";
    text += sets_of_family("4", "ipv4_addr") + sets_of_family("6", "ipv6_addr");
    text += kChains;
    text += format(R"(
    chain coffer_prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {}
    }}
)",
                   reentry == nullptr
                       ? "fib daddr type local jump coffer_publish"
                       : format("iifname @coffer_bridges fib daddr type local jump coffer_publish\n"
                                "        iifname {} jump coffer_publish",
                                quoted(reentry->in)));
    text += "}\n";
    for (const BridgeRules& bridge : bridges) text += add_bridge(table, bridge);
    return text + add(table, elements_of(ports));
}

std::string add_bridge(const std::string& table, const BridgeRules& bridge) {
    return add(table, elements_of(bridge));
}

std::string remove_bridge(const std::string& table, const BridgeRules& bridge) {
    return remove(table, elements_of(bridge));
}

std::vector<sys::nft::Element> port_elements(const std::string& table,
                                             const std::vector<PublishedPort>& ports) {
    std::vector<sys::nft::Element> elements;
    for (const PublishedPort& port : pieces_of(ports)) {
        std::string start = sys::nft::number8(number_of(port.protocol));
        if (!is_everywhere(port)) start += address_bytes(port.host_ip);
        sys::nft::Element element;
        element.table = table;
        element.set = map_of(port);
        element.key = start + sys::nft::number16(port.host_port);
        element.value = address_bytes(port.container_ip);
        if (keeps_ports(port))
            element.key_end = start + sys::nft::number16(port.host_port_last());
        else
            element.value += sys::nft::number16(port.container_port);
        elements.push_back(std::move(element));
    }
    return elements;
}

std::string replace_judged(const std::string& table, const std::vector<PublishedPort>& ports,
                           const reentry::Interfaces* reentry) {
    std::string text = format("add table ip {0}\ndelete table ip {0}\n", table);
    if (reentry == nullptr) return text;
    text += format(R"(table ip {0} {{
    set coffer_judged {{ type inet_proto . inet_service; flags interval; }}
    set coffer_judged_at {{ type inet_proto . ipv4_addr . inet_service; flags interval; }}
    chain coffer_input {{
        type filter hook input priority 50; policy accept;
        iifname {{ "lo", "{1}" }} accept
        ct state != new accept
        meta l4proto . ip daddr . th dport @coffer_judged_at jump coffer_reenter
        meta l4proto . th dport @coffer_judged jump coffer_reenter
    }}
    chain coffer_reenter {{
        meta mark set meta mark | {2:#x} dup to {3} device "{4}" drop
    }}
}}
)",
                   table, reentry->in, reentry::kMark, reentry::kNextHop, reentry->out);
    for (const PublishedPort& port : ports)
        if (!is_v6(port.host_ip))
            text +=
                format("add element ip {} {} {{ {} . {}{}-{} }}\n", table, judged_set_of(port),
                       to_string(port.protocol), is_everywhere(port) ? "" : port.host_ip + " . ",
                       port.host_port, port.host_port_last());
    return text;
}

std::vector<sys::nft::Element> judged_elements(const std::string& table,
                                               const std::vector<PublishedPort>& ports) {
    std::vector<sys::nft::Element> elements;
    for (const PublishedPort& port : ports) {
        if (is_v6(port.host_ip)) continue;
        std::string start = sys::nft::number8(number_of(port.protocol));
        if (!is_everywhere(port)) start += address_bytes(port.host_ip);
        elements.push_back({.family = sys::nft::Family::Ip,
                            .table = table,
                            .set = judged_set_of(port),
                            .key = start + sys::nft::number16(port.host_port),
                            .key_end = start + sys::nft::number16(port.host_port_last())});
    }
    return elements;
}

std::string pass_host(const char* chain, const std::string& listing,
                      const std::vector<BridgeRules>& bridges) {
    // Of a chain with a hook, which most hosts have with the policy accept.
    if (listing.find("policy accept") != std::string::npos) return "";
    std::string text;
    for (const BridgeRules& bridge : bridges)
        for (const char* direction : {"iifname", "oifname"})
            if (const std::string match = format("{} {}", direction, quoted(bridge.name));
                listing.find(match) == std::string::npos)
                text += format("insert rule {} {} accept\n", chain, match);
    return text;
}

std::string unpass_host(const char* chain, const std::string& listing, const std::string& bridge) {
    std::string text;
    for (const std::string& line : split(listing, '\n')) {
        const auto sides = cut(line, " # handle ");
        if (sides &&
            sides->first.find("ifname " + quoted(bridge) + " accept") != std::string_view::npos)
            text += format("delete rule {} handle {}\n", chain, sides->second);
    }
    return text;
}

}  // namespace coffer::network::firewall
