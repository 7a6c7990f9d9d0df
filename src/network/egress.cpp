#include "network/egress.hpp"

#include <algorithm>
#include <optional>

#include "network/portmap.hpp"

namespace coffer::network {
namespace {

constexpr const char* kPrivate[] = {"10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",
                                    "100.64.0.0/10", "127.0.0.0/8",   "169.254.0.0/16",
                                    "fc00::/7",      "fe80::/10"};
// Of AWS (also to its tasks), Alibaba, Oracle; most others share the first.
constexpr const char* kMetadata[] = {"169.254.169.254/32", "169.254.170.0/23",
                                     "100.100.100.200/32", "192.0.0.192/32",
                                     "fd00:ec2::254/128",  "fd20:ce::254/128"};

Failure bad(std::string_view word, std::string_view why) {
    return fail(Code::InvalidArgument, "invalid egress policy: '{}' {}", word, why);
}

template <std::size_t N>
std::vector<Prefix> prefixes_of(const char* const (&texts)[N]) {
    std::vector<Prefix> prefixes;
    for (const char* text : texts) prefixes.push_back(*parse_prefix(text));
    return prefixes;
}

// "a.example", "*.example"; what looks like a mistyped address is none.
bool is_name(std::string_view text) {
    if (text.starts_with("*.")) text.remove_prefix(2);
    if (text.empty() || text.size() > 253) return false;
    const auto labels = split(text, '.');
    const bool numeric_end = parse_uint(labels.back()).has_value();
    return !numeric_end && std::all_of(labels.begin(), labels.end(), [](const std::string& label) {
        return !label.empty() && label.size() <= 63 && label.front() != '-' &&
               std::all_of(label.begin(), label.end(), [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
               });
    });
}

std::optional<Prefix> parse_host(std::string_view text) {
    const auto address = parse_address(text);
    if (address) return prefix_of(*address, bits_of(address->family));
    return parse_prefix(text);
}

// In nft's words.
std::optional<std::string> parse_ports(std::string_view text) {
    const std::vector<std::string> parts = split(text, ',');
    const bool good = std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
        return parse_port_range(part).has_value();
    });
    return good ? std::optional(join(parts, ", ")) : std::nullopt;
}

Result<void> parse_target(std::string_view word, std::string_view target, EgressRule& rule) {
    if (const auto whole = parse_host(target)) {
        rule.prefixes = {*whole};
        return {};
    }
    if (const std::size_t slash = target.rfind('/'); slash != std::string_view::npos) {
        const std::string_view protocol = target.substr(slash + 1);
        for (const char* known : {"tcp", "udp", "sctp", "icmp"}) {
            if (protocol == known) rule.protocol = known;
        }
        if (!rule.protocol.empty()) target = target.substr(0, slash);
    }
    std::string_view host = target;
    if (!parse_host(target)) {
        const std::size_t colon = target.rfind(':');
        const bool in_brackets =
            colon != std::string_view::npos && target.find(']', colon) != std::string_view::npos;
        if (colon != std::string_view::npos && !in_brackets) {
            const auto ports = parse_ports(target.substr(colon + 1));
            if (!ports) return bad(word, "has a port that is none");
            rule.ports = *ports;
            host = target.substr(0, colon);
        }
    }
    if (rule.protocol == "icmp" && !rule.ports.empty()) return bad(word, "gives icmp a port");
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (const auto prefix = parse_host(host)) {
        rule.prefixes = {*prefix};
    } else if (host == "private") {
        rule.prefixes = prefixes_of(kPrivate);
    } else if (host == "metadata") {
        rule.prefixes = prefixes_of(kMetadata);
    } else if (is_name(host)) {
        if (host != "any") rule.name = host;
    } else {
        return bad(word, "names no address, prefix, name, 'any', 'private' or 'metadata'");
    }
    return {};
}

}  // namespace

Result<EgressPolicy> parse_egress(std::string_view text) {
    constexpr std::size_t kMostRules = 256;
    EgressPolicy policy;
    bool refuses = false;
    bool has_default = false;
    for (const std::string& given : split_fields(text)) {
        const std::string word = to_lower(given);
        if (word == "allow" || word == "deny") {
            if (std::exchange(has_default, true)) return bad(given, "is a second default");
            policy.allow = word == "allow";
            refuses = refuses || !policy.allow;
            continue;
        }
        if (word == "audit" || word == "dns") {
            (word == "audit" ? policy.audit : policy.any_name) = true;
            continue;
        }
        const auto sides = cut(word, ":");
        if (!sides || (sides->first != "allow" && sides->first != "deny"))
            return bad(given, "is none of allow, deny, audit, dns, allow:TARGET and deny:TARGET");
        EgressRule rule;
        rule.allow = sides->first == "allow";
        rule.text = word;
        TRY(parse_target(given, sides->second, rule));
        refuses = refuses || !rule.allow;
        if (policy.rules.size() == kMostRules) return bad(given, "is one rule too many");
        policy.rules.push_back(std::move(rule));
    }
    if (!refuses) return bad(text, "refuses nothing; say 'deny' for what is not allowed");
    return policy;
}

bool is_named_by(const EgressRule& rule, std::string_view name) {
    const std::string_view pattern = rule.name;
    if (!pattern.starts_with("*.")) return !pattern.empty() && equals_ignoring_case(pattern, name);
    const std::string_view end = pattern.substr(1);
    return name.size() > end.size() &&
           equals_ignoring_case(name.substr(name.size() - end.size()), end);
}

bool may_ask(const EgressPolicy& policy, std::string_view name) {
    if (policy.any_name) return true;
    const auto rule = std::find_if(policy.rules.begin(), policy.rules.end(),
                                   [&](const EgressRule& one) { return is_named_by(one, name); });
    return rule == policy.rules.end() ? policy.allow : rule->allow;
}

}  // namespace coffer::network
