#pragma once
// Networks as the API shows them and asks for them. Pure functions.

#include <vector>

#include "api/network.hpp"
#include "engine/filters.hpp"
#include "network/networks.hpp"

namespace coffer::engine {

class Events;

Result<api::Network> inspect_network(const network::Networks& networks, const std::string& name);
// Filters dangling, driver, id, label, name, scope and type.
Result<std::vector<api::Network>> list_networks(const network::Networks& networks,
                                                const Filters& filters);
Result<api::NetworkCreateResponse> create_network(network::Networks& networks, Events& events,
                                                  const api::NetworkCreateRequest& request);
Result<void> remove_network(network::Networks& networks, Events& events, const std::string& name);
// Removes the user-defined networks that no container is on; gives their names.
Result<std::vector<std::string>> prune_networks(network::Networks& networks, Events& events,
                                                const Filters& filters);

// Adds what the policy of a network or an endpoint has come to, where there is one.
Result<void> add_egress(const network::Networks& networks, const std::string& id,
                        const std::string& of, std::vector<api::EgressReport>& reports);
Result<std::vector<api::EgressReport>> network_egress(const network::Networks& networks,
                                                      const std::string& name);

}  // namespace coffer::engine
