// --network, --publish and --expose.
#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/create_request.hpp"

namespace coffer::cli {

namespace {

struct Attachment {
    std::string target;
    std::vector<std::string> aliases;
    json::Value driver_options;
    std::vector<std::string> links;
    std::string ipv4;
    std::string ipv6;
    std::vector<std::string> link_local;
    std::string mac;
    std::int64_t gateway_priority = 0;
};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Docker's test for the long syntax: \w+=\w+ anywhere.
bool has_long_syntax(std::string_view text) {
    for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '=' && is_word(text[i - 1]) && is_word(text[i + 1])) return true;
    }
    return false;
}

Result<void> set_driver_option(Attachment& out, std::string_view text) {
    const auto sides = cut(text, "=");
    if (!sides || sides->first.empty()) {
        return fail(Code::InvalidArgument, "invalid key value pair format in driver options");
    }
    out.driver_options.set(trim(sides->first), trim(sides->second));
    return {};
}

Result<Attachment> parse_attachment(std::string_view text) {
    Attachment out;
    if (!has_long_syntax(text)) {
        out.target = std::string(text);
        return out;
    }
    for (const std::string& raw : TRY(split_csv(text))) {
        const std::string field = to_lower(raw);
        const auto sides = cut(field, "=");
        if (!sides || sides->first.empty()) {
            return fail(Code::InvalidArgument, "invalid field {}", raw);
        }
        const std::string_view key = trim(sides->first);
        const std::string value(trim(sides->second));
        if (key == "name") {
            out.target = value;
        } else if (key == "alias") {
            out.aliases.push_back(value);
        } else if (key == "ip") {
            out.ipv4 = value;
        } else if (key == "ip6") {
            out.ipv6 = value;
        } else if (key == "mac-address") {
            out.mac = value;
        } else if (key == "link-local-ip") {
            out.link_local.push_back(value);
        } else if (key == "driver-opt") {
            TRY(set_driver_option(out, value));
        } else if (key == "gw-priority") {
            const Result<std::int64_t> priority = decimal(value, "Atoi");
            if (!priority) {
                const std::string& why = priority.error().message;
                return fail(Code::InvalidArgument, "invalid gw-priority ({}): {}", value,
                            why.substr(why.rfind(": ") + 2));
            }
            out.gateway_priority = *priority;
        } else {
            return fail(Code::InvalidArgument, "invalid field key {}", key);
        }
    }
    if (out.target.empty()) {
        return fail(Code::InvalidArgument, "network name/id is not specified");
    }
    return out;
}

bool is_user_defined(std::string_view mode) {
    return mode != "default" && mode != "bridge" && mode != "host" && mode != "none" &&
           !mode.starts_with("container:");
}

bool is_mac(std::string_view text) {
    text = trim(text);
    for (const char separator : {':', '-'}) {
        const std::vector<std::string> parts = split(text, separator);
        if (parts.size() != 6 && parts.size() != 8 && parts.size() != 20) continue;
        return std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
            return part.size() == 2 && is_hex(to_lower(part));
        });
    }
    const std::vector<std::string> parts = split(text, '.');
    return (parts.size() == 3 || parts.size() == 4 || parts.size() == 10) &&
           std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
               return part.size() == 4 && is_hex(to_lower(part));
           });
}

// The flags from before the long syntax belong to the first network.
Result<void> apply_single_flags(Attachment& out, const Values& flags) {
    const auto conflict = [](std::string_view flag, std::string_view what) {
        return fail(Code::InvalidArgument,
                    "conflicting options: cannot specify both --{} and per-network {}", flag, what);
    };
    const auto aliases = flags.list("network-alias");
    const auto links = flags.list("link");
    const auto link_local = flags.list("link-local-ip");
    const std::string ipv4 = flags.text("ip");
    const std::string ipv6 = flags.text("ip6");
    const std::string mac = flags.text("mac-address");
    if (!out.aliases.empty() && !aliases.empty()) return conflict("network-alias", "alias");
    if (!out.ipv4.empty() && !ipv4.empty()) return conflict("ip", "IPv4 address");
    if (!out.ipv6.empty() && !ipv6.empty()) return conflict("ip6", "IPv6 address");
    if (!out.mac.empty() && !mac.empty()) return conflict("mac-address", "MAC address");
    if (!out.link_local.empty() && !link_local.empty()) {
        return conflict("link-local-ip", "link-local IP addresses");
    }
    if (!aliases.empty()) out.aliases = aliases;
    if (is_user_defined(out.target) && !links.empty()) out.links = links;
    if (!ipv4.empty()) out.ipv4 = ipv4;
    if (!ipv6.empty()) out.ipv6 = ipv6;
    if (!mac.empty()) out.mac = mac;
    if (!link_local.empty()) out.link_local = link_local;
    return {};
}

Result<json::Value> endpoint(const Attachment& from) {
    if (trim(from.target).empty()) {
        return fail(Code::InvalidArgument, "no name set for network");
    }
    if (!is_user_defined(from.target)) {
        if (!from.aliases.empty()) {
            return fail(Code::InvalidArgument,
                        "network-scoped aliases are only supported for user-defined networks");
        }
        if (!from.links.empty()) {
            return fail(Code::InvalidArgument,
                        "links are only supported for user-defined networks");
        }
    }
    if (!from.mac.empty() && !is_mac(from.mac)) {
        return fail(Code::InvalidArgument, "{} is not a valid mac address", from.mac);
    }
    json::Value ipam;
    if (!from.ipv4.empty() || !from.ipv6.empty() || !from.link_local.empty()) {
        ipam = json::Object{};
        if (!from.ipv4.empty()) ipam.set("IPv4Address", from.ipv4);
        if (!from.ipv6.empty()) ipam.set("IPv6Address", from.ipv6);
        if (!from.link_local.empty()) ipam.set("LinkLocalIPs", string_array(from.link_local));
    }
    return json::Value(json::Object{{"IPAMConfig", ipam},
                                    {"Links", string_array_or_null(from.links)},
                                    {"Aliases", string_array_or_null(from.aliases)},
                                    {"MacAddress", from.mac},
                                    {"DriverOpts", from.driver_options},
                                    {"GwPriority", from.gateway_priority},
                                    {"NetworkID", ""},
                                    {"EndpointID", ""},
                                    {"Gateway", ""},
                                    {"IPAddress", ""},
                                    {"IPPrefixLen", 0},
                                    {"IPv6Gateway", ""},
                                    {"GlobalIPv6Address", ""},
                                    {"GlobalIPv6PrefixLen", 0},
                                    {"DNSNames", nullptr}});
}

struct PortRange {
    unsigned first = 0;
    unsigned last = 0;
};

std::optional<unsigned> parse_port(std::string_view text) {
    const auto number = parse_uint(text);
    if (!number || *number > 65535) return std::nullopt;
    return static_cast<unsigned>(*number);
}

std::optional<PortRange> parse_range(std::string_view text) {
    const auto sides = cut(text, "-");
    if (!sides) {
        const auto port = parse_port(text);
        if (!port) return std::nullopt;
        return PortRange{*port, *port};
    }
    const auto first = parse_port(sides->first);
    const auto last = parse_port(sides->second.substr(0, sides->second.find('-')));
    if (!first || !last || *last < *first) return std::nullopt;
    return PortRange{*first, *last};
}

struct PortAndProtocol {
    std::string_view port;
    std::string protocol;
};

PortAndProtocol split_protocol(std::string_view text) {
    const auto sides = cut(text, "/");
    if (!sides) return {text, "tcp"};
    const std::string_view protocol = sides->second.substr(0, sides->second.find('/'));
    return {sides->first, protocol.empty() ? "tcp" : std::string(protocol)};
}

// "published=80,target=8080,protocol=udp" in the short form.
Result<std::string> short_form(std::string_view text) {
    if (text.find('=') == std::string_view::npos) return std::string(text);
    std::string published;
    std::string target;
    std::string protocol = "tcp";
    for (const std::string& field : split(text, ',')) {
        const auto sides = cut(field, "=");
        if (!sides || sides->first.empty()) {
            return fail(Code::InvalidArgument,
                        "invalid publish opts format (should be name=value but got '{}')", field);
        }
        if (sides->first == "published") published = std::string(sides->second);
        if (sides->first == "target") target = std::string(sides->second);
        if (sides->first == "protocol") protocol = std::string(sides->second);
    }
    return format("{}:{}/{}", published, target, protocol);
}

}  // namespace

Result<std::string> check_network(std::string_view text) {
    TRY(parse_attachment(text));
    return std::string(text);
}

std::string network_mode(const Values& flags) {
    const auto networks = flags.list("network");
    if (networks.empty()) return "default";
    const Result<Attachment> first = parse_attachment(networks[0]);
    return first ? first->target : networks[0];
}

Result<json::Value> endpoints_config(const Values& flags) {
    const std::string mac = flags.text("mac-address");
    if (!mac.empty() && !is_mac(mac)) {
        return fail(Code::InvalidArgument, "{} is not a valid mac address", mac);
    }
    std::vector<Attachment> networks;
    for (const std::string& text : flags.list("network")) {
        networks.push_back(TRY(parse_attachment(text)));
    }
    const bool none_given = networks.empty();
    if (none_given) {
        networks.emplace_back();
        networks[0].target = "default";
    }
    json::Value out{json::Object{}};
    bool user_defined = false;
    bool other = false;
    for (std::size_t i = 0; i < networks.size(); ++i) {
        Attachment& network = networks[i];
        (is_user_defined(network.target) ? user_defined : other) = true;
        if (i == 0) TRY(apply_single_flags(network, flags));
        json::Value described = TRY(endpoint(network));
        if (out.find(network.target) != nullptr) {
            return fail(Code::InvalidArgument, "network {} is specified multiple times",
                        quoted(network.target));
        }
        // One network without options of its own: the daemon makes the endpoint by itself.
        Attachment plain;
        plain.target = network.target;
        const bool bare = described == TRY(endpoint(plain));
        if (!none_given && networks.size() == 1 && bare) continue;
        out.set(network.target, std::move(described));
    }
    if (user_defined && other) {
        return fail(Code::InvalidArgument,
                    "conflicting options: cannot attach both user-defined and non-user-defined "
                    "network-modes");
    }
    return out;
}

Result<std::vector<PortMapping>> parse_publish(std::string_view given) {
    const std::string text = TRY(short_form(given));
    const std::size_t last_colon = text.rfind(':');
    const std::string_view tail = last_colon == std::string::npos
                                      ? std::string_view(text)
                                      : std::string_view(text).substr(last_colon + 1);
    std::string host_port;
    std::string ip;
    if (last_colon != std::string::npos) {
        const std::string head = text.substr(0, last_colon);
        const std::size_t colon = head.rfind(':');
        host_port = colon == std::string::npos ? head : head.substr(colon + 1);
        if (colon != std::string::npos) ip = head.substr(0, colon);
    }
    const auto [port_text, protocol] = split_protocol(tail);
    if (ip.starts_with('[')) {
        if (!ip.ends_with(']')) {
            return fail(Code::InvalidArgument, "invalid IP address {}: missing ']' in address", ip);
        }
        ip = ip.substr(1, ip.size() - 2);
    }
    if (!ip.empty() && !normal_ip(ip)) {
        return fail(Code::InvalidArgument, "invalid IP address: {}", ip);
    }
    if (port_text.empty()) {
        return fail(Code::InvalidArgument, "no port specified: {}<empty>", text);
    }
    const auto inside = parse_range(port_text);
    if (!inside) return fail(Code::InvalidArgument, "invalid containerPort: {}", port_text);
    std::optional<PortRange> outside = PortRange{};
    if (!host_port.empty()) outside = parse_range(host_port);
    if (!outside) return fail(Code::InvalidArgument, "invalid hostPort: {}", host_port);
    const unsigned count = inside->last - inside->first;
    if (!host_port.empty() && count != outside->last - outside->first && count != 0) {
        return fail(Code::InvalidArgument,
                    "invalid ranges specified for container and host Ports: {} and {}", port_text,
                    host_port);
    }
    const std::string lower = to_lower(protocol);
    if (lower != "tcp" && lower != "udp" && lower != "sctp") {
        return fail(Code::InvalidArgument, "invalid proto: {}", protocol);
    }
    std::vector<PortMapping> out;
    for (unsigned i = 0; i <= count; ++i) {
        std::string host;
        if (!host_port.empty()) host = format("{}", outside->first + i);
        if (count == 0 && outside->first != outside->last) {
            host = format("{}-{}", outside->first, outside->last);
        }
        out.push_back({format("{}/{}", inside->first + i, lower), ip, host});
    }
    return out;
}

Result<std::vector<std::string>> parse_expose(std::string_view text) {
    if (text.find(':') != std::string_view::npos) {
        return fail(Code::InvalidArgument, "invalid port format for --expose: {}", text);
    }
    const auto [port_text, protocol] = split_protocol(text);
    const auto range = parse_range(port_text);
    if (!range) {
        const std::string why =
            port_text.empty() ? "empty string specified for ports"
            : port_text.find('-') != std::string_view::npos
                ? format("invalid range specified for port: {}", port_text)
                : format("strconv.ParseUint: parsing {}: invalid syntax", quoted(port_text));
        return fail(Code::InvalidArgument, "invalid range format for --expose: {}, error: {}", text,
                    why);
    }
    std::vector<std::string> out;
    for (unsigned port = range->first; port <= range->last; ++port) {
        out.push_back(format("{}/{}", port, protocol));
    }
    return out;
}

}  // namespace coffer::cli
