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

constexpr const char* kNameOption = "com.docker.network.bridge.name";
constexpr const char* kIccOption = "com.docker.network.bridge.enable_icc";
constexpr const char* kMasqueradeOption = "com.docker.network.bridge.enable_ip_masquerade";
constexpr const char* kMtuOption = "com.docker.network.driver.mtu";

bool is_predefined(const std::string& name) {
    return name == "bridge" || name == "host" || name == "none" || name == "default";
}

bool is_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= 255 && plain(name[0]) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; });
}

std::string option_of(const NetworkSpec& spec, const char* key) {
    const auto found = spec.options.find(key);
    return found == spec.options.end() ? std::string() : found->second;
}

Result<bool> flag_of(const NetworkSpec& spec, const char* key, bool otherwise) {
    const std::string text = to_lower(option_of(spec, key));
    if (text.empty()) return otherwise;
    if (text == "true" || text == "1" || text == "t") return true;
    if (text == "false" || text == "0" || text == "f") return false;
    return fail(Code::InvalidArgument, "option {} wants true or false, not \"{}\"", key, text);
}

Result<unsigned> mtu_of(const NetworkSpec& spec, unsigned otherwise) {
    const std::string text = option_of(spec, kMtuOption);
    if (text.empty()) return otherwise;
    const auto mtu = parse_uint(text);
    if (!mtu || *mtu < 68 || *mtu > 65535)
        return fail(Code::InvalidArgument, "option {}: invalid mtu \"{}\"", kMtuOption, text);
    return static_cast<unsigned>(*mtu);
}

Network new_network(std::string name, std::string driver) {
    Network network;
    network.id = random_id();
    network.name = std::move(name);
    network.driver = std::move(driver);
    network.created = to_rfc3339(now());
    return network;
}

bool overlaps_any(const Prefix& prefix, const std::vector<Prefix>& used) {
    return std::any_of(used.begin(), used.end(),
                       [&](const Prefix& other) { return other.overlaps(prefix); });
}

}  // namespace

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

Result<std::vector<Prefix>> Networks::Impl::used_prefixes(const std::string& except) {
    auto used = TRY(bridge::used_prefixes(except));
    auto locked = state.lock();
    for (const auto& [id, known] : locked->networks)
        if (known.info.driver == "bridge" && known.info.bridge != except)
            used.push_back(known.subnet.prefix());
    return used;
}

Result<void> Networks::Impl::insert(Network network) {
    KnownNetwork known;
    if (network.driver == "bridge") {
        if (network.subnets.size() != 1)
            return fail(Code::InvalidArgument, "network {} needs one subnet", network.name);
        known.subnet = TRY(Subnet::create(network.subnets[0]));
    }
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

// Its identity stays over restarts; its address follows --bip, then what it had, then what the
// interface has, then the first free pool.
Result<void> Networks::Impl::open_default_bridge() {
    Network network = new_network("bridge", "bridge");
    std::string recorded;
    {
        auto locked = state.lock();
        if (const auto known = locked->find("bridge")) {
            network = (*known)->info;
            if (network.bridge == config.bridge) recorded = network.subnets[0].subnet;
            locked->networks.erase(network.id);
        }
    }
    const auto used = TRY(used_prefixes(config.bridge));
    const auto present = TRY(bridge::address_of(config.bridge));
    SubnetConfig subnet;
    if (!config.bip.empty()) {
        const auto bip = parse_interface(config.bip);
        if (!bip || bip->prefix.length > 30)
            return fail(Code::InvalidArgument, "invalid --bip \"{}\": want ADDRESS/LENGTH",
                        config.bip);
        if (overlaps_any(bip->prefix, used))
            return fail(Code::Conflict, "--bip {} overlaps a network that is in use", config.bip);
        subnet.subnet = to_string(bip->prefix);
        subnet.gateway = to_string(bip->address);
    } else if (!recorded.empty() && !overlaps_any(*parse_prefix(recorded), used)) {
        subnet = network.subnets[0];
    } else if (present && present->prefix.length <= 30) {
        subnet.subnet = to_string(present->prefix);
        subnet.gateway = to_string(present->address);
    } else {
        const auto prefix = TRY(choose_subnet(config.default_address_pools, used));
        subnet.subnet = to_string(prefix);
        subnet.gateway = to_string(Address{prefix.address.value + 1});
    }
    network.bridge = config.bridge;
    network.icc = config.icc;
    network.mtu = config.mtu;
    network.subnets = {subnet};
    network.options = {{"com.docker.network.bridge.default_bridge", "true"},
                       {"com.docker.network.bridge.host_binding_ipv4", config.publish_address},
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
    if (!parse_address(config.publish_address))
        return fail(Code::InvalidArgument, "invalid publish address \"{}\"",
                    config.publish_address);
    if (config.default_address_pools.empty()) config.default_address_pools = docker_address_pools();
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
    if (has_bridge) TRY_CONTEXT(impl.open_default_bridge(), "set up the default bridge network");
    return networks;
}

Result<void> Networks::Impl::ensure_bridge(const Network& network) {
    const auto subnet = TRY(Subnet::create(network.subnets[0]));
    bridge::BridgeOptions options;
    options.name = network.bridge;
    options.address = {subnet.gateway(), subnet.prefix()};
    options.mtu = network.mtu;
    return bridge::ensure(options);
}

Result<void> Networks::start() {
    TRY_CONTEXT(bridge::enable_forwarding(), "switch IPv4 forwarding on");
    std::vector<std::string> bridges;
    std::set<std::string> ports;
    for (const Network& network : list()) {
        if (network.driver != "bridge") continue;
        auto made = impl_->ensure_bridge(network);
        if (!made && network.name == "bridge") return made;
        if (!made) LOG_WARN("network {}: {}", network.name, made.error().message);
        bridges.push_back(network.bridge);
        for (const Endpoint& endpoint : endpoints(network.id)) ports.insert(endpoint.host_ifname);
    }
    TRY(impl_->start_isolation());
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
    return found ? to_string((*found)->subnet.gateway()) : std::string();
}

// Checks a specification and fills in what it leaves open; changes nothing.
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
    if (spec.enable_ipv6) return fail(Code::NotImplemented, "IPv6 networks are not supported yet");
    if (spec.subnets.size() > 1)
        return fail(Code::InvalidArgument, "bridge driver doesn't support multiple subnets");
    {
        auto locked = state.lock();
        for (const auto& [id, known] : locked->networks)
            if (known.info.name == spec.name)
                return fail(Code::Conflict, "network with name {} already exists", spec.name);
    }
    Network network = new_network(spec.name, "bridge");
    network.bridge = option_of(spec, kNameOption);
    if (network.bridge.empty()) network.bridge = "br-" + network.id.substr(0, 12);
    if (!bridge::is_interface_name(network.bridge))
        return fail(Code::InvalidArgument, "invalid bridge name \"{}\"", network.bridge);
    network.icc = TRY(flag_of(spec, kIccOption, true));
    network.masquerade = TRY(flag_of(spec, kMasqueradeOption, true));
    network.mtu = TRY(mtu_of(spec, config.mtu));
    network.internal = spec.internal;
    network.attachable = spec.attachable;
    network.options = spec.options;
    network.ipam_options = spec.ipam_options;
    network.labels = spec.labels;
    SubnetConfig subnet = spec.subnets.empty() ? SubnetConfig{} : spec.subnets[0];
    const auto used = TRY(used_prefixes(network.bridge));
    if (subnet.subnet.empty())
        subnet.subnet = to_string(TRY(choose_subnet(config.default_address_pools, used)));
    const auto checked = TRY(Subnet::create(subnet));
    if (overlaps_any(checked.prefix(), used))
        return fail(Code::Forbidden,
                    "invalid pool request: Pool overlaps with other one on this address space");
    subnet.gateway = to_string(checked.gateway());
    network.subnets = {subnet};
    return network;
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
    TRY(impl_->change_table(firewall::add_bridge(impl_->table, rules_of(network))));
    impl_->change_docker_user(
        [&](const auto& listing) { return firewall::pass_docker(listing, {rules_of(network)}); });
    TRY(impl_->insert(network));
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
    impl_->change_docker_user(
        [&](const auto& listing) { return firewall::unpass_docker(listing, network.bridge); });
    if (removed) removed = bridge::remove_interface(network.bridge);
    if (removed) removed = impl_->records.remove(network.id);
    if (!removed) {
        ignore(impl_->insert(network), "it was valid before");
        return wrap(std::move(removed).error(), "error while removing network");
    }
    return network;
}

}  // namespace coffer::network
