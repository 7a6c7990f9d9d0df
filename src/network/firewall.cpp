#include "network/firewall.hpp"

#include <netinet/in.h>

namespace coffer::network::firewall {
namespace {

// The chains; every name has a prefix, since nft reserves many plain words.
constexpr const char* kChains = R"(
    chain coffer_raw {
        type filter hook prerouting priority raw; policy accept;
        iifname != "lo" ip daddr 127.0.0.0/8 drop
        iifname @coffer_bridges ip daddr 169.254.169.254 drop
    }
    chain coffer_publish {
        dnat ip to meta l4proto . ip daddr . th dport map @coffer_ports_at
        dnat ip to meta l4proto . th dport map @coffer_ports
    }
    chain coffer_prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local jump coffer_publish
    }
    chain coffer_mark {
        type filter hook prerouting priority -90; policy accept;
        iifname @coffer_bridges ct status dnat meta mark set meta mark | 0x20000000
    }
    chain coffer_output {
        type nat hook output priority -100; policy accept;
        fib daddr type local jump coffer_publish
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
        oifname @coffer_bridges ct status dnat ip saddr @coffer_subnets masquerade
        oifname != @coffer_bridges ip saddr @coffer_subnets masquerade
    }
)";

std::string quoted(const std::string& name) {
    return "\"" + name + "\"";
}

struct Element {
    const char* set;
    std::string key;
    std::string value;  // of a map
};

std::vector<Element> elements_of(const BridgeRules& bridge) {
    std::vector<Element> elements{{"coffer_bridges", quoted(bridge.name), {}}};
    if (bridge.talking)
        elements.push_back(
            {"coffer_talking", quoted(bridge.name) + " . " + quoted(bridge.name), {}});
    if (bridge.internal) elements.push_back({"coffer_internal", quoted(bridge.name), {}});
    if (bridge.masquerade && !bridge.internal)
        for (const std::string& subnet : bridge.subnets)
            elements.push_back({"coffer_subnets", subnet, {}});
    return elements;
}

std::vector<Element> elements_of(const std::vector<PublishedPort>& ports) {
    std::vector<Element> elements;
    for (const PublishedPort& port : ports) {
        std::string value = format("{} . {}", port.container_ip, port.container_port);
        if (port.host_ip == "0.0.0.0")
            elements.push_back({"coffer_ports",
                                format("{} . {}", to_string(port.protocol), port.host_port),
                                std::move(value)});
        else
            elements.push_back(
                {"coffer_ports_at",
                 format("{} . {} . {}", to_string(port.protocol), port.host_ip, port.host_port),
                 std::move(value)});
    }
    return elements;
}

std::uint8_t protocol_number(Protocol protocol) {
    switch (protocol) {
        case Protocol::Tcp:
            return IPPROTO_TCP;
        case Protocol::Udp:
            return IPPROTO_UDP;
        case Protocol::Sctp:
            return IPPROTO_SCTP;
    }
    return 0;
}

// An address of the books, which is valid.
std::string address_bytes(const std::string& text) {
    const std::uint32_t address = htonl(parse_address(text).value_or(Address{}).value);
    return {reinterpret_cast<const char*>(&address), sizeof address};
}

std::string command(const char* verb, const std::string& table, const Element& element) {
    const std::string value = element.value.empty() ? "" : " : " + element.value;
    return format("{} element ip {} {} {{ {}{} }}\n", verb, table, element.set, element.key, value);
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
                          const std::vector<PublishedPort>& ports) {
    std::string text = format("add table ip {0}\ndelete table ip {0}\n", table);
    text += format("table ip {} {{\n", table);
    text += "    set coffer_bridges { type ifname; }\n";
    text += "    set coffer_internal { type ifname; }\n";
    text += "    set coffer_talking { type ifname . ifname; }\n";
    text += "    set coffer_subnets { type ipv4_addr; flags interval; }\n";
    text +=
        "    map coffer_ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
        "    map coffer_ports_at {\n"
        "        type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service;\n"
        "    }";
    text += kChains;
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
    for (const PublishedPort& port : ports) {
        const bool everywhere = port.host_ip == "0.0.0.0";
        sys::nft::Element element{sys::nft::Family::Ip,
                                  table,
                                  everywhere ? "coffer_ports" : "coffer_ports_at",
                                  sys::nft::number8(protocol_number(port.protocol)),
                                  {}};
        if (!everywhere) element.key += address_bytes(port.host_ip);
        element.key += sys::nft::number16(port.host_port);
        element.value = address_bytes(port.container_ip) + sys::nft::number16(port.container_port);
        elements.push_back(std::move(element));
    }
    return elements;
}

std::string remove_isolation(const std::string& table) {
    return format("add table bridge {0}\ndelete table bridge {0}\n", table);
}

std::string replace_isolation(const std::string& table, const std::vector<std::string>& ports) {
    std::string text = remove_isolation(table);
    text += format(R"(table bridge {} {{
    set coffer_isolated {{ type ifname; }}
    chain coffer_forward {{
        type filter hook forward priority filter; policy accept;
        iifname @coffer_isolated oifname @coffer_isolated meta mark & 0x20000000 == 0 drop
    }}
}}
)",
                   table);
    for (const std::string& port : ports)
        text += format("add element bridge {} coffer_isolated {{ {} }}\n", table, quoted(port));
    return text;
}

sys::nft::Element isolated_element(const std::string& table, const std::string& port) {
    return {sys::nft::Family::Bridge, table, "coffer_isolated", sys::nft::interface_name(port), {}};
}

std::string pass_docker(const std::string& listing, const std::vector<BridgeRules>& bridges) {
    std::string text;
    for (const BridgeRules& bridge : bridges)
        for (const char* direction : {"iifname", "oifname"})
            if (const std::string match = format("{} {}", direction, quoted(bridge.name));
                listing.find(match) == std::string::npos)
                text += format("insert rule ip filter DOCKER-USER {} accept\n", match);
    return text;
}

std::string unpass_docker(const std::string& listing, const std::string& bridge) {
    std::string text;
    for (const std::string& line : split(listing, '\n')) {
        const auto sides = cut(line, " # handle ");
        if (sides && sides->first.find("ifname " + quoted(bridge) + " ") != std::string_view::npos)
            text += format("delete rule ip filter DOCKER-USER handle {}\n", sides->second);
    }
    return text;
}

}  // namespace coffer::network::firewall
