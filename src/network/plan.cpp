// The part of Networks that decides what a new network will be: checks of what is asked for, and
// its subnets. Nothing here changes anything.

#include <algorithm>

#include "network/bridge.hpp"
#include "network/networks_state.hpp"
#include "network/rate.hpp"

namespace coffer::network {
namespace {

bool is_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= 255 && plain(name[0]) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; });
}

Result<bool> flag_of(const NetworkSpec& spec, const char* key, bool otherwise) {
    const std::string text = to_lower(option_of(spec.options, key));
    if (text.empty()) return otherwise;
    if (text == "true" || text == "1" || text == "t") return true;
    if (text == "false" || text == "0" || text == "f") return false;
    return fail(Code::InvalidArgument, "option {} wants true or false, not \"{}\"", key, text);
}

Result<unsigned> mtu_of(const NetworkSpec& spec, unsigned otherwise) {
    const std::string text = option_of(spec.options, kMtuOption);
    if (text.empty()) return otherwise;
    const auto mtu = parse_uint(text);
    if (!mtu || *mtu < 68 || *mtu > 65535)
        return fail(Code::InvalidArgument, "option {}: invalid mtu \"{}\"", kMtuOption, text);
    return static_cast<unsigned>(*mtu);
}

// A route to half of all addresses is a default route by another name (VPNs make two of them).
bool is_default_route(const Prefix& prefix) {
    return prefix.length <= (prefix.family() == Family::V4 ? 1 : 3);
}

}  // namespace

std::vector<Prefix> prefixes_of(const std::vector<Claim>& claims) {
    std::vector<Prefix> prefixes;
    prefixes.reserve(claims.size());
    for (const Claim& claim : claims) prefixes.push_back(claim.prefix);
    return prefixes;
}

const Claim* find_claim(const std::vector<Claim>& claims, const Prefix& wanted) {
    const auto found = std::find_if(claims.begin(), claims.end(), [&](const Claim& claim) {
        const bool inside = claim.prefix.contains(wanted) && claim.prefix != wanted;
        return claim.prefix.overlaps(wanted) && (claim.whole || !inside);
    });
    return found == claims.end() ? nullptr : &*found;
}

std::string text_of(const Claim& claim) {
    if (!claim.network.empty())
        return format("{} of network {}", to_string(claim.prefix), claim.network);
    return format("{} of the host's interface {}", to_string(claim.prefix),
                  bridge::interface_name(claim.interface));
}

Result<std::vector<Claim>> Networks::Impl::claims(const std::string& except) {
    std::vector<Claim> claims;
    {
        auto locked = state.lock();
        for (const auto& [id, known] : locked->networks)
            for (const Subnet& subnet : known.subnets)
                if (known.info.bridge != except)
                    claims.push_back({.prefix = subnet.prefix(), .network = known.info.name});
    }
    for (const bridge::UsedPrefix& used : TRY(bridge::used_prefixes(except)))
        if (!is_default_route(used.prefix))
            claims.push_back({.prefix = used.prefix,
                              .network = {},
                              .interface = used.interface,
                              .whole = !used.behind_router});
    return claims;
}

Result<void> Networks::Impl::plan_subnets(const NetworkSpec& spec, Network& network) {
    std::vector<Claim> taken = TRY(claims(network.bridge));
    for (const Family family : {Family::V4, Family::V6}) {
        if (!(family == Family::V4 ? spec.enable_ipv4 : spec.enable_ipv6)) continue;
        std::vector<SubnetConfig> wanted;
        for (const SubnetConfig& subnet : spec.subnets) {
            const auto interface = parse_interface(subnet.subnet);
            if (interface && interface->address.family == family) wanted.push_back(subnet);
        }
        if (wanted.empty()) wanted.emplace_back();
        for (SubnetConfig& subnet : wanted) {
            const auto size = parse_prefix(subnet.subnet);
            if (!size || size->address.is_unspecified()) {
                const auto piece =
                    TRY(choose_subnet(config.default_address_pools, prefixes_of(taken), family,
                                      size ? size->length : 0));
                subnet.subnet = to_string(piece);
            }
            const auto checked = TRY(Subnet::create(subnet));
            if (const Claim* claim = find_claim(taken, checked.prefix()))
                return fail(Code::Forbidden,
                            "invalid pool request: Pool overlaps with other one on this address "
                            "space: {} overlaps {}",
                            subnet.subnet, text_of(*claim));
            subnet.gateway = to_string(checked.gateway());
            taken.push_back({.prefix = checked.prefix(), .network = network.name});
            network.subnets.push_back(std::move(subnet));
        }
    }
    return {};
}

// Checks a specification and fills in what it leaves open.
Result<Network> Networks::Impl::plan(const NetworkSpec& spec) {
    if (is_predefined(spec.name))
        return fail(Code::Forbidden, "operation is not permitted on predefined {} network",
                    spec.name);
    if (!is_name(spec.name))
        return fail(Code::InvalidArgument,
                    "invalid network name: {} (only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed)",
                    spec.name);
    if (!spec.driver.empty() && spec.driver != "bridge")
        return fail(Code::NotFound,
                    "could not find plugin {0} in v1 plugin registry: plugin "
                    "\"{0}\" not found",
                    spec.driver);
    if (!spec.enable_ipv4 && !spec.enable_ipv6)
        return fail(Code::InvalidArgument, "IPv4 or IPv6 must be enabled");
    for (const SubnetConfig& subnet : spec.subnets)
        TRY_CONTEXT(check(subnet), "invalid network config");
    {
        auto locked = state.lock();
        for (const auto& [id, known] : locked->networks)
            if (known.info.name == spec.name)
                return fail(Code::Conflict, "network with name {} already exists", spec.name);
    }
    Network network = new_network(spec.name, "bridge");
    network.bridge = option_of(spec.options, kNameOption);
    if (network.bridge.empty()) network.bridge = "br-" + network.id.substr(0, 12);
    if (!bridge::is_interface_name(network.bridge))
        return fail(Code::InvalidArgument, "invalid bridge name \"{}\"", network.bridge);
    network.icc = TRY(flag_of(spec, kIccOption, true));
    network.masquerade = TRY(flag_of(spec, kMasqueradeOption, true));
    network.mtu = TRY(mtu_of(spec, config.mtu));
    network.enable_ipv4 = spec.enable_ipv4;
    network.enable_ipv6 = spec.enable_ipv6;
    network.internal = spec.internal;
    network.attachable = spec.attachable;
    network.options = spec.options;
    network.ipam_options = spec.ipam_options;
    network.labels = spec.labels;
    if (const std::string& policy = option_of(network.options, kEgressOption); !policy.empty())
        TRY(parse_egress(policy));
    TRY(parse_rate(option_of(network.options, kRateOption)));
    if (const std::string& spoofing = option_of(network.options, kSpoofingOption);
        !spoofing.empty() && spoofing != "allow" && spoofing != "deny")
        return fail(Code::InvalidArgument, "option {} wants allow or deny, not \"{}\"",
                    kSpoofingOption, spoofing);
    TRY(plan_subnets(spec, network));
    return network;
}

}  // namespace coffer::network
