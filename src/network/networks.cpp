#include "network/networks.hpp"

#include <algorithm>
#include <set>

#include "base/id.hpp"
#include "base/log.hpp"
#include "base/rollback.hpp"
#include "base/time.hpp"
#include "network/bridge.hpp"
#include "network/networks_state.hpp"

namespace coffer::network {
namespace {

bool has_family(const std::vector<AddressPool>& pools, Family family) {
    return std::any_of(pools.begin(), pools.end(),
                       [&](const AddressPool& pool) { return pool.base.family() == family; });
}

}  // namespace

const std::string& option_of(const std::map<std::string, std::string>& options, const char* name) {
    static const std::string none;
    const auto found = options.find(name);
    return found == options.end() ? none : found->second;
}

bool is_predefined(const std::string& name) {
    return name == "bridge" || name == "host" || name == "none" || name == "default";
}

Network new_network(std::string name, std::string driver) {
    Network network;
    network.id = random_id();
    network.name = std::move(name);
    network.driver = std::move(driver);
    network.created = to_rfc3339(now());
    return network;
}

const Subnet* KnownNetwork::first_subnet(Family family) const {
    for (const Subnet& subnet : subnets)
        if (subnet.prefix().family() == family) return &subnet;
    return nullptr;
}

Result<KnownNetwork*> NetworksState::find(const std::string& reference) {
    if (const auto exact = networks.find(reference); exact != networks.end()) return &exact->second;
    KnownNetwork* found = nullptr;
    for (auto& [id, known] : networks)
        if (known.info.name == reference) return &known;
    for (auto& [id, known] : networks) {
        if (reference.empty() || !id.starts_with(reference)) continue;
        if (found != nullptr)
            return fail(Code::InvalidArgument, "network {} is ambiguous (2 matches found on id)",
                        reference);
        found = &known;
    }
    if (found == nullptr) return fail(Code::NotFound, "network {} not found", reference);
    return found;
}

KnownNetwork* NetworksState::find_endpoint(const Endpoint& endpoint) {
    const auto network = networks.find(endpoint.network_id);
    if (network == networks.end() || !network->second.endpoints.contains(endpoint.id))
        return nullptr;
    return &network->second;
}

Result<void> Networks::Impl::insert(Network network) {
    KnownNetwork known;
    for (const SubnetConfig& subnet : network.subnets)
        known.subnets.push_back(TRY(Subnet::create(subnet)));
    const std::string id = network.id;
    known.info = std::move(network);
    state.lock()->networks[id] = std::move(known);
    return {};
}

Result<void> Networks::Impl::open_predefined(const std::string& name, const std::string& driver) {
    if (state.lock()->find(name)) return {};
    const Network network = new_network(name, driver);
    TRY(records.save(network.id, encode(network)));
    return insert(network);
}

// What the default bridge had before, in the record or on the interface, unless it is another's
// now.
std::optional<SubnetConfig> Networks::Impl::kept_subnet(Family family,
                                                        const std::vector<SubnetConfig>& recorded,
                                                        const std::vector<Claim>& claims) {
    for (const SubnetConfig& subnet : recorded) {
        const auto prefix = parse_prefix(subnet.subnet);
        if (prefix && prefix->family() == family && find_claim(claims, *prefix) == nullptr)
            return subnet;
    }
    const auto present = bridge::addresses_of(config.bridge);
    if (!present) return std::nullopt;
    for (const Interface& own : *present)
        if (own.address.family == family && bits_of(family) - own.prefix.length >= 2)
            return SubnetConfig{.subnet = to_string(own.prefix), .gateway = to_string(own.address)};
    return std::nullopt;
}

// Its identity stays over restarts; its addresses follow the flags, then what it had, then what the
// interface has, then the first free pool.
Result<void> Networks::Impl::open_default_bridge() {
    Network network = new_network("bridge", "bridge");
    std::vector<SubnetConfig> recorded;
    {
        auto locked = state.lock();
        if (const auto known = locked->find("bridge")) {
            network = (*known)->info;
            if (network.bridge == config.bridge) recorded = network.subnets;
            locked->networks.erase(network.id);
        }
    }
    const auto used = TRY(claims(config.bridge));
    const auto from_pools = [&](Family family) -> Result<SubnetConfig> {
        const auto prefix =
            TRY(choose_subnet(config.default_address_pools, prefixes_of(used), family));
        return SubnetConfig{.subnet = to_string(prefix),
                            .gateway = to_string(advance(prefix.address, 1))};
    };
    network.subnets.clear();
    if (!config.bip.empty()) {
        const auto bip = parse_interface(config.bip);
        if (!bip || bip->address.is_v6() || bip->prefix.length > 30)
            return fail(Code::InvalidArgument, "invalid --bip \"{}\": want ADDRESS/LENGTH",
                        config.bip);
        if (const Claim* claim = find_claim(used, bip->prefix))
            return fail(Code::Conflict, "--bip {} overlaps {}", config.bip, text_of(*claim));
        network.subnets.push_back(
            {.subnet = to_string(bip->prefix), .gateway = to_string(bip->address)});
    } else if (const auto kept = kept_subnet(Family::V4, recorded, used)) {
        network.subnets.push_back(*kept);
    } else {
        network.subnets.push_back(TRY(from_pools(Family::V4)));
    }
    network.enable_ipv6 = config.ipv6;
    if (config.ipv6 && !config.fixed_cidr_v6.empty()) {
        const auto fixed = parse_prefix(config.fixed_cidr_v6);
        if (!fixed || fixed->family() != Family::V6)
            return fail(Code::InvalidArgument, "invalid --fixed-cidr-v6 \"{}\"",
                        config.fixed_cidr_v6);
        network.subnets.push_back(
            {.subnet = to_string(*fixed), .gateway = to_string(advance(fixed->address, 1))});
    } else if (config.ipv6) {
        const auto kept = kept_subnet(Family::V6, recorded, used);
        network.subnets.push_back(kept ? *kept : TRY(from_pools(Family::V6)));
    }
    network.bridge = config.bridge;
    network.icc = config.icc;
    network.mtu = config.mtu;
    network.options = {{"com.docker.network.bridge.default_bridge", "true"},
                       {kHostBindingOption, config.publish_address},
                       {kIccOption, config.icc ? "true" : "false"},
                       {kMasqueradeOption, "true"},
                       {kNameOption, config.bridge},
                       {kMtuOption, format("{}", config.mtu)}};
    TRY(insert(network));
    return records.save(network.id, encode(network));
}

Networks::Networks(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Networks::~Networks() = default;

Result<std::unique_ptr<Networks>> Networks::open(Config config, Records& records) {
    if (!bridge::is_interface_name(config.bridge))
        return fail(Code::InvalidArgument, "invalid bridge name \"{}\"", config.bridge);
    if (!parse_ipv4(config.publish_address))
        return fail(Code::InvalidArgument, "invalid publish address \"{}\"",
                    config.publish_address);
    auto& pools = config.default_address_pools;
    if (!has_family(pools, Family::V4))
        for (const AddressPool& pool : standard_address_pools()) pools.push_back(pool);
    if (config.mtu == 0) config.mtu = TRY(bridge::default_mtu());
    const bool has_bridge = config.bridge != "none";
    std::unique_ptr<Networks> networks(
        new Networks(std::make_unique<Impl>(std::move(config), records)));
    Impl& impl = *networks->impl_;
    for (const std::string& document : TRY(records.load())) {
        Network network = TRY_CONTEXT(decode_network(document), "read a network's record");
        if (network.name == "bridge" && !has_bridge) continue;
        TRY_CONTEXT(impl.insert(std::move(network)), "read a network's record");
    }
    TRY(impl.open_predefined("host", "host"));
    TRY(impl.open_predefined("none", "null"));
    // The identity of that network was made at random at the engine's first start, and stays.
    if (!has_family(impl.config.default_address_pools, Family::V6))
        impl.config.default_address_pools.push_back(local_ipv6_pool(TRY(networks->get("host")).id));
    if (has_bridge) TRY_CONTEXT(impl.open_default_bridge(), "set up the default bridge network");
    return networks;
}

Result<void> Networks::Impl::ensure_bridge(const Network& network) {
    bridge::BridgeOptions options;
    options.name = network.bridge;
    for (const SubnetConfig& config_of : network.subnets) {
        const auto subnet = TRY(Subnet::create(config_of));
        options.addresses.push_back({subnet.gateway(), subnet.prefix()});
    }
    options.mtu = network.mtu;
    if (network.enable_ipv6)
        TRY_CONTEXT(bridge::enable_forwarding(Family::V6), "switch IPv6 forwarding on");
    return bridge::ensure(options);
}

Result<void> Networks::start() {
    TRY_CONTEXT(bridge::enable_forwarding(Family::V4), "switch IPv4 forwarding on");
    std::vector<std::string> bridges;
    std::set<std::string> ports;
    for (const Network& network : list()) {
        if (network.driver != "bridge") continue;
        auto made = impl_->ensure_bridge(network);
        if (!made && network.name == "bridge") return made;
        if (!made) LOG_WARN("network {}: {}", network.name, made.error().message);
        bridges.push_back(network.bridge);
        for (const Endpoint& endpoint : endpoints(network.id)) ports.insert(endpoint.host_ifname);
        TRY(impl_->enforce(network));
    }
    TRY(impl_->egress.start());
    const auto reentry = reentry::interfaces_of(impl_->config.bridge);
    if (impl_->reentry)
        TRY_CONTEXT(reentry::ensure(reentry), "set up the way past the host's firewall");
    else
        TRY(reentry::remove(reentry));
    TRY(impl_->start_guard());
    TRY(impl_->rebuild_table());
    impl_->watcher =
        std::thread([impl = impl_.get(), watch = TRY(sys::nft::Watch::open())]() mutable {
            impl->watch_tables(std::move(watch));
        });
    return bridge::remove_leftovers(bridges, ports);
}

Result<Network> Networks::get(const std::string& reference) const {
    auto locked = impl_->state.lock();
    return TRY(locked->find(reference))->info;
}

std::vector<Network> Networks::list() const {
    auto locked = impl_->state.lock();
    std::vector<Network> networks;
    for (const auto& [id, known] : locked->networks) networks.push_back(known.info);
    return networks;
}

std::vector<Endpoint> Networks::endpoints(const std::string& network_id) const {
    auto locked = impl_->state.lock();
    std::vector<Endpoint> found;
    if (const auto network = locked->networks.find(network_id); network != locked->networks.end())
        for (const auto& [id, endpoint] : network->second.endpoints) found.push_back(endpoint);
    return found;
}

std::string Networks::host_gateway() const {
    auto locked = impl_->state.lock();
    const auto found = locked->find("bridge");
    const Subnet* subnet = found ? (*found)->first_subnet(Family::V4) : nullptr;
    return subnet == nullptr ? std::string() : to_string(subnet->gateway());
}

std::vector<SubnetUse> Networks::use_of(const std::string& network_id) const {
    auto locked = impl_->state.lock();
    std::vector<SubnetUse> uses;
    const auto network = locked->networks.find(network_id);
    if (network == locked->networks.end()) return uses;
    for (const Subnet& subnet : network->second.subnets)
        uses.push_back({to_string(subnet.prefix()), subnet.in_use(), subnet.available()});
    return uses;
}

Result<Network> Networks::create(const NetworkSpec& spec) {
    const std::lock_guard one_at_a_time(impl_->changes);
    const Network network = TRY(impl_->plan(spec));
    if (TRY(bridge::exists(network.bridge)))
        return fail(Code::Conflict, "interface '{}' exists already", network.bridge);
    Rollback undo;
    TRY(impl_->records.save(network.id, encode(network)));
    TRY(undo.add([&] { ignore(impl_->records.remove(network.id), "undo of a failed create"); }));
    TRY(impl_->ensure_bridge(network));
    TRY(undo.add(
        [&] { ignore(bridge::remove_interface(network.bridge), "undo of a failed create"); }));
    TRY(impl_->enforce(network));
    TRY(undo.add([&] { impl_->egress.remove(network.id); }));
    // Before the table is changed: it may be made again, from the books.
    TRY(impl_->insert(network));
    TRY(undo.add([&] { impl_->state.lock()->networks.erase(network.id); }));
    TRY(impl_->change_table(firewall::add_bridge(impl_->table, rules_of(network))));
    impl_->pass_host_chains({rules_of(network)});
    undo.commit();
    return network;
}

Result<Network> Networks::remove(const std::string& reference) {
    const std::lock_guard one_at_a_time(impl_->changes);
    Network network;
    {
        auto locked = impl_->state.lock();
        const KnownNetwork* known = TRY(locked->find(reference));
        network = known->info;
        if (is_predefined(network.name))
            return fail(Code::Forbidden, "{} is a pre-defined network and cannot be removed",
                        network.name);
        if (!known->endpoints.empty()) {
            std::vector<std::string> users;
            users.reserve(known->endpoints.size());
            for (const auto& [id, endpoint] : known->endpoints)
                users.push_back(format("name:\"{}\" id:\"{}\"", endpoint.container_name,
                                       endpoint.id.substr(0, 12)));
            return fail(Code::Forbidden,
                        "error while removing network: network {} has active endpoints ({})",
                        network.name, join(users, ", "));
        }
        locked->networks.erase(network.id);
    }
    // The record goes last: after a crash half-way the network is whole again at the next start.
    auto removed = impl_->change_table(firewall::remove_bridge(impl_->table, rules_of(network)));
    impl_->change_host_chains([&](const char* chain, const auto& listing) {
        return firewall::unpass_host(chain, listing, network.bridge);
    });
    if (removed) removed = bridge::remove_interface(network.bridge);
    if (removed) removed = impl_->records.remove(network.id);
    if (!removed) {
        ignore(impl_->insert(network), "it was valid before");
        ignore(impl_->rebuild_table(), "made again when somebody changes it");
        return wrap(std::move(removed).error(), "error while removing network");
    }
    impl_->egress.remove(network.id);
    return network;
}

}  // namespace coffer::network
