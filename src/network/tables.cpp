// The part of Networks that keeps the firewall tables in step with what is known.

#include "base/log.hpp"
#include "network/bridge.hpp"
#include "network/networks_state.hpp"
#include "sys/nft.hpp"

namespace coffer::network {

firewall::BridgeRules rules_of(const Network& network) {
    firewall::BridgeRules rules;
    rules.name = network.bridge;
    for (const SubnetConfig& subnet : network.subnets) rules.subnets.push_back(subnet.subnet);
    rules.talking = network.icc;
    rules.internal = network.internal;
    rules.masquerade = network.masquerade;
    return rules;
}

std::vector<firewall::BridgeRules> Networks::Impl::bridge_rules() {
    auto locked = state.lock();
    std::vector<firewall::BridgeRules> bridges;
    for (const auto& [id, known] : locked->networks)
        if (known.info.driver == "bridge") bridges.push_back(rules_of(known.info));
    return bridges;
}

guard::Port Networks::Impl::guard_of(const Network& network, const Endpoint& endpoint) const {
    const bool may_spoof = option_of(network.options, kSpoofingOption) == "allow";
    guard::Port port;
    port.name = endpoint.host_ifname;
    port.mac = endpoint.mac;
    // A policy is found by the hardware address, which therefore must be the interface's own.
    port.pins_mac = !may_spoof || !endpoint.egress.empty();
    port.pins_addresses = !may_spoof;
    port.isolated = isolates_by_table && !network.icc;
    std::vector<std::string> texts = endpoint.link_local;
    texts.insert(texts.end(), {endpoint.ip, endpoint.ip6});
    for (const std::string& text : texts)
        if (const auto address = parse_address(text)) port.addresses.push_back(*address);
    return port;
}

std::vector<guard::Port> Networks::Impl::guarded_ports() {
    auto locked = state.lock();
    std::vector<guard::Port> ports;
    for (const auto& [id, known] : locked->networks)
        for (const auto& [endpoint_id, endpoint] : known.endpoints)
            if (!endpoint.host_ifname.empty()) ports.push_back(guard_of(known.info, endpoint));
    return ports;
}

Result<void> Networks::Impl::start_guard() {
    isolates_by_table = bridge::is_netfilter_on();
    const auto made = sys::nft::run(guard::replace_table(table, guarded_ports()));
    if (!made) LOG_WARN("containers may send under any address: {}", made.error().message);
    has_guard = made.has_value();
    isolates_by_table = isolates_by_table && has_guard;
    if (isolates_by_table) return {};
    std::vector<std::string> isolated;
    {
        auto locked = state.lock();
        for (const auto& [id, known] : locked->networks)
            for (const auto& [endpoint_id, endpoint] : known.endpoints)
                if (!known.info.icc && !endpoint.host_ifname.empty())
                    isolated.push_back(endpoint.host_ifname);
    }
    for (const std::string& port : isolated)
        if (auto done = bridge::isolate(port); !done && done.error().sys_errno != ENODEV)
            return done;
    return {};
}

Result<void> Networks::Impl::rebuild_table() {
    const std::lock_guard writer(table_writer);
    return rebuild_table_locked();
}

Result<void> Networks::Impl::rebuild_table_locked() {
    const auto bridges = bridge_rules();
    std::vector<PublishedPort> ports;
    {
        auto locked = state.lock();
        for (const auto& [id, known] : locked->networks)
            for (const auto& [endpoint_id, endpoint] : known.endpoints)
                ports.insert(ports.end(), endpoint.ports.begin(), endpoint.ports.end());
    }
    std::string commands = firewall::replace_table(table, bridges, ports, reentry_or_null());
    commands += firewall::replace_judged(table, ports, reentry_or_null());
    if (has_guard) commands += guard::replace_table(table, guarded_ports());
    TRY(sys::nft::run(commands));
    expected_tables = TRY(list_tables());
    pass_host_chains(bridges);
    return {};
}

void Networks::Impl::pass_host_chains(const std::vector<firewall::BridgeRules>& bridges) {
    change_host_chains([&](const char* chain, const auto& listing) {
        return firewall::pass_host(chain, listing, bridges);
    });
}

void Networks::Impl::change_host_chains(
    const std::function<std::string(const char* chain, const std::string& listing)>& plan) {
    for (const char* chain : firewall::kHostChains) {
        const auto listing = sys::nft::run(format("list chain {}", chain));
        if (!listing) continue;  // no such chain here
        const std::string commands = plan(chain, *listing);
        if (commands.empty()) continue;
        if (const auto changed = sys::nft::run(commands); !changed)
            LOG_WARN("change {} for our bridges: {}", chain, changed.error().message);
    }
}

const reentry::Interfaces* Networks::Impl::reentry_or_null() const {
    return reentry ? &*reentry : nullptr;
}

std::vector<sys::nft::Element> Networks::Impl::port_elements(
    const std::vector<PublishedPort>& ports) const {
    auto elements = firewall::port_elements(table, ports);
    if (reentry) {
        const auto more = firewall::judged_elements(table, ports);
        elements.insert(elements.end(), more.begin(), more.end());
    }
    return elements;
}

Result<void> Networks::Impl::change_table(const std::function<Result<void>()>& change) {
    const std::lock_guard writer(table_writer);
    const auto changed = change();
    if (changed) return {};
    LOG_WARN("{}; making the firewall table again", changed.error().message);
    return rebuild_table_locked();
}

Result<void> Networks::Impl::change_table(const std::string& commands) {
    return change_table([&]() -> Result<void> {
        TRY(sys::nft::run(commands));
        return {};
    });
}

Result<std::string> Networks::Impl::list_tables() const {
    std::string listing = TRY(sys::nft::run("list table inet " + table));
    if (reentry) listing += TRY(sys::nft::run("list table ip " + table));
    if (has_guard) listing += TRY(sys::nft::run("list table bridge " + table));
    return listing;
}

Result<void> Networks::Impl::check_tables() {
    const std::lock_guard writer(table_writer);
    const auto present = list_tables();
    if (!present || *present != expected_tables) {
        LOG_WARN("somebody changed our firewall table; making it again");
        return rebuild_table_locked();
    }
    pass_host_chains(bridge_rules());
    return {};
}

void Networks::Impl::watch_tables(sys::nft::Watch watch) {
    constexpr std::chrono::milliseconds kQuiet{100};  // a reload is many changes
    for (;;) {
        const auto event = watch.wait(stop.fd(), kQuiet);
        if (event && *event == sys::nft::Watch::Event::Stopped) return;
        auto checked = event ? check_tables() : Result<void>(fail(event.error()));
        if (checked) checked = egress.check();
        if (checked) continue;
        LOG_ERROR("watch the firewall: {}", checked.error().message);
        if (!event) return;
    }
}

}  // namespace coffer::network
