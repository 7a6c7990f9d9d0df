#pragma once
// The registries as they are configured: which hosts are asked for an image, in which order, and
// why. Files are read again when they have changed; of a file that is wrong then, what it said
// before stays. Safe from any thread.

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/sync.hpp"
#include "oci/reference.hpp"
#include "registry/auth.hpp"
#include "registry/rules.hpp"
#include "registry/tokens.hpp"

namespace coffer::registry {

struct RouteHost {
    Host host;
    std::string repository;
    std::string source;  // the rule it is from; empty: it is the registry itself, without a rule
};

struct Route {
    std::vector<RouteHost> hosts;       // in the order to ask them
    std::vector<std::string> problems;  // of the files that were read
    std::string blocked_by;             // then there are no hosts
    std::string message;                // of the rule that blocks
};

class Registries {
  public:
    explicit Registries(Config config) : config_(std::move(config)) {}

    const Config& config() const { return config_; }
    // Fails when a file is wrong that has never been right.
    Result<Route> explain(const oci::Reference& reference);
    // The same for who is going to ask the hosts: Forbidden when they are blocked.
    Result<Route> route(const oci::Reference& reference);

    // A mirror that did not answer, or whose answer was wrong, is passed over for a while.
    void note_failure(const std::string& address);
    bool has_failed(const std::string& address);

    // Of all that is asked.
    Tokens& tokens() { return tokens_; }

  private:
    using Parse = std::function<Result<RulesFile>(const std::string& text)>;
    struct Loaded {
        std::string stamp;  // changes with the file
        std::optional<RulesFile> file;
        std::string problem;
    };
    // An absent file has no rules.
    Result<RulesFile> load(const std::string& path, const Parse& parse, Route& route);
    Result<std::optional<Rule>> find_rule(const oci::Reference& reference, Route& route);
    Result<std::optional<Rule>> find_hosts_toml(const std::string& folder,
                                                const std::string& registry, Route& route);
    Result<std::vector<Rule>> load_registries_conf(const std::string& path, Route& route);

    Config config_;
    Sync<std::map<std::string, Loaded>> files_;
    Sync<std::map<std::string, std::chrono::steady_clock::time_point>> failed_;
    Tokens tokens_;
};

// Where a registry is asked: docker.io has a host of its own for that.
std::string address_of(const std::string& registry);
// Where the login for a host is from: the file that its rule names; "client", what the client sent
// for `registry`, when that is the same host or the rule says so; "", none.
std::string login_of(const Host& host, const std::string& registry);
Result<Credentials> credentials_for(const Host& host, const std::string& registry,
                                    const Credentials& of_client);

}  // namespace coffer::registry
