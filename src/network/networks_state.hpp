#pragma once
// What Networks keeps behind its lock, shared by networks.cpp (networks) and endpoints.cpp
// (containers in them). Internal to this folder.

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.hpp"
#include "network/firewall.hpp"
#include "network/networks.hpp"
#include "network/resolver.hpp"
#include "sys/nft.hpp"

namespace coffer::network {

struct KnownNetwork {
    Network info;
    Subnet subnet;  // of driver bridge only
    std::map<std::string, Endpoint> endpoints;
};

struct NetworksState {
    std::map<std::string, KnownNetwork> networks;  // by id
    Portmap portmap;

    // By id, name or unique prefix of the id.
    Result<KnownNetwork*> find(const std::string& reference);
    KnownNetwork* find_endpoint(const Endpoint& endpoint);
};

struct Networks::Impl {
    Impl(Config given, Records& store)
        : config(std::move(given)), records(store), table(firewall::table_name(config.bridge)) {}
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
    Sync<NetworksState> state;
    std::mutex changes;  // one create or remove of a network at a time
    // Set by start(), before there are others to see it: who keeps containers apart, the bridge or
    // a table (firewall.hpp).
    bool isolates_by_table = false;
    // One writer of the table at a time. Taken before the state's lock, never after: a rebuild
    // reads the state while it holds off all incremental changes.
    std::mutex table_writer;
    std::string expected_tables;  // what list_tables() gave after the last rebuild; under the above
    Cancel stop;
    std::thread watcher;
    Sync<std::unique_ptr<Resolver>> resolver;  // made with its first container

    NameAnswer resolve(const std::string& container_id, const dns::Question& question);

    Result<void> open_default_bridge();
    Result<void> open_predefined(const std::string& name, const std::string& driver);
    Result<void> insert(Network network);
    Result<Network> plan(const NetworkSpec& spec);
    Result<std::vector<Prefix>> used_prefixes(const std::string& except);
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
    Result<void> start_isolation();
    std::vector<std::string> isolated_ports();
    Result<void> rebuild_table_locked();
    // Lets `plan` answer the listing of docker's chain for others, where there is one.
    static void change_docker_user(
        const std::function<std::string(const std::string& listing)>& plan);

    Result<Endpoint> reserve(const std::string& reference, const ConnectOptions& options,
                             Network& network);
    void forget(const Endpoint& endpoint);
};

firewall::BridgeRules rules_of(const Network& network);
std::string encode(const Network& network);
Result<Network> decode_network(std::string_view text);

}  // namespace coffer::network
