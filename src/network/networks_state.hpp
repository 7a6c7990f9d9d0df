#pragma once
// What Networks keeps behind its lock, shared by the files that are parts of it: networks, plan,
// endpoints, names, policies, tables and network_codec. Internal to this folder.

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.hpp"
#include "network/bridge_guard.hpp"
#include "network/firewall.hpp"
#include "network/networks.hpp"
#include "network/resolver.hpp"
#include "sys/nft.hpp"

namespace coffer::network {

// Options of networks, by docker's names.
inline constexpr const char* kNameOption = "com.docker.network.bridge.name";
inline constexpr const char* kIccOption = "com.docker.network.bridge.enable_icc";
inline constexpr const char* kMasqueradeOption = "com.docker.network.bridge.enable_ip_masquerade";
inline constexpr const char* kMtuOption = "com.docker.network.driver.mtu";
// "allow": containers may send under any address. Our own.
inline constexpr const char* kSpoofingOption = "coffer.network.spoofing";
// The address of the host that ports are published on when they name none.
inline constexpr const char* kHostBindingOption = "com.docker.network.bridge.host_binding_ipv4";

struct KnownNetwork {
    Network info;
    std::vector<Subnet> subnets;
    std::map<std::string, Endpoint> endpoints;

    // nullptr when it has none of the family.
    const Subnet* first_subnet(Family family) const;
};

// A prefix that is somebody's already: of one of our networks, or of an interface of the host.
struct Claim {
    Prefix prefix;
    std::string network;  // its name; empty: of an interface
    int interface = 0;
    // Of what the host reaches through a router a part may be ours.
    bool whole = true;
};
std::vector<Prefix> prefixes_of(const std::vector<Claim>& claims);
// One that `wanted` clashes with; nullptr when there is none.
const Claim* find_claim(const std::vector<Claim>& claims, const Prefix& wanted);
// "10.1.0.0/16 of network front"
std::string text_of(const Claim& claim);

struct NetworksState {
    std::map<std::string, KnownNetwork> networks;  // by id
    Portmap portmap;

    // By id, name or unique prefix of the id.
    Result<KnownNetwork*> find(const std::string& reference);
    KnownNetwork* find_endpoint(const Endpoint& endpoint);
};

struct Networks::Impl {
    Impl(Config given, Records& store)
        : config(std::move(given)),
          records(store),
          table(firewall::table_name(config.bridge)),
          reentry(config.respect_host_firewall
                      ? std::optional(reentry::interfaces_of(config.bridge))
                      : std::nullopt),
          egress("egress_" + table) {}
    ~Impl() {
        stop.cancel();
        resolver.lock()->reset();  // its thread asks us
        if (watcher.joinable()) watcher.join();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    Impl(Impl&&) = delete;
    Impl& operator=(Impl&&) = delete;

    Config config;
    Records& records;
    const std::string table;
    const std::optional<reentry::Interfaces> reentry;  // of one that respects the host's firewall
    Sync<NetworksState> state;
    EgressTable egress;  // never called with the state locked
    std::mutex changes;  // one create or remove of a network at a time
    // Set by start(), before there are others to see it: whether the kernel has tables of the
    // bridge family, and whether that one or the bridge keeps containers apart.
    bool has_guard = false;
    bool isolates_by_table = false;
    // One writer of the table at a time. Taken before the state's lock, never after: a rebuild
    // reads the state while it holds off all incremental changes.
    std::mutex table_writer;
    std::string expected_tables;  // what list_tables() gave after the last rebuild; under the above
    Cancel stop;
    std::thread watcher;
    Sync<std::unique_ptr<Resolver>> resolver;  // made with its first container

    NameAnswer resolve(const std::string& container_id, const dns::Question& question);

    // The ids that policies of a container can have.
    std::vector<std::string> egress_keys(const std::string& container_id);
    void learn(const std::string& container_id, const std::string& name, std::string_view reply);
    Result<void> check_guard() const;
    Result<void> pin(const Network& network, const Endpoint& before, const Endpoint& now);
    Result<void> enforce(const Network& network, const Endpoint& endpoint);
    Result<void> enforce(const Network& network);

    Result<void> open_default_bridge();
    std::optional<SubnetConfig> kept_subnet(Family family,
                                            const std::vector<SubnetConfig>& recorded,
                                            const std::vector<Claim>& claims);
    Result<void> open_predefined(const std::string& name, const std::string& driver);
    Result<void> insert(Network network);
    Result<Network> plan(const NetworkSpec& spec);
    Result<std::vector<Claim>> claims(const std::string& except);
    Result<void> plan_subnets(const NetworkSpec& spec, Network& network);
    Result<void> ensure_bridge(const Network& network);

    // Looks after the tables while the engine runs: what somebody else flushes is made again, and a
    // dockerd that starts later is told to let our bridges through.
    void watch_tables(sys::nft::Watch watch);
    Result<void> check_tables();
    Result<std::string> list_tables() const;

    // Applies one change of the table; a table that somebody removed is made again as a whole.
    Result<void> change_table(const std::function<Result<void>()>& change);
    Result<void> change_table(const std::string& commands);
    Result<void> rebuild_table();
    Result<void> start_guard();
    std::vector<firewall::BridgeRules> bridge_rules();
    guard::Port guard_of(const Network& network, const Endpoint& endpoint) const;
    std::vector<guard::Port> guarded_ports();
    Result<void> rebuild_table_locked();
    static void pass_host_chains(const std::vector<firewall::BridgeRules>& bridges);
    // Lets `plan` answer the listing of each chain of others that may drop what is ours.
    static void change_host_chains(
        const std::function<std::string(const char* chain, const std::string& listing)>& plan);
    const reentry::Interfaces* reentry_or_null() const;
    std::vector<sys::nft::Element> port_elements(const std::vector<PublishedPort>& ports) const;

    Result<Endpoint> reserve(const std::string& reference, const ConnectOptions& options,
                             Network& network);
};

// Empty when it is not given.
const std::string& option_of(const std::map<std::string, std::string>& options, const char* name);
firewall::BridgeRules rules_of(const Network& network);
bool is_predefined(const std::string& name);
// With an identity and the time of now.
Network new_network(std::string name, std::string driver);
std::string encode(const Network& network);
Result<Network> decode_network(std::string_view text);

}  // namespace coffer::network
