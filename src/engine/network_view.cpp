#include "engine/network_view.hpp"

#include <algorithm>

#include "base/time.hpp"
#include "engine/events.hpp"

namespace coffer::engine {

namespace {

bool is_predefined(const network::Network& network) {
    return network.name == "bridge" || network.name == "host" || network.name == "none";
}

api::Network view_of(const network::Network& network) {
    api::Network view;
    view.name = network.name;
    view.id = network.id;
    view.created = network.created;
    view.scope = network.scope;
    view.driver = network.driver;
    view.enable_ipv4 = network.enable_ipv4;
    view.enable_ipv6 = network.enable_ipv6;
    view.internal = network.internal;
    view.attachable = network.attachable;
    view.options = network.options;
    view.labels = network.labels;
    view.ipam.driver = "default";
    view.ipam.options = network.ipam_options;
    for (const network::SubnetConfig& subnet : network.subnets) {
        view.ipam.config.push_back(
            {subnet.subnet, subnet.ip_range, subnet.gateway, subnet.auxiliary});
    }
    return view;
}

bool contains_any(const std::string& text, const Filters& filters, const std::string& key) {
    const auto& parts = filters.get(key);
    return !filters.has(key) || std::any_of(parts.begin(), parts.end(), [&](const auto& part) {
        return text.find(part) != std::string::npos;
    });
}

Result<bool> passes(const network::Networks& networks, const network::Network& network,
                    const Filters& filters) {
    if (filters.has("dangling")) {
        const bool wanted = TRY(filters.boolean("dangling", false));
        const bool unused = !is_predefined(network) && networks.endpoints(network.id).empty();
        if (unused != wanted) return false;
    }
    const std::string type = is_predefined(network) ? "builtin" : "custom";
    return filters.matches("driver", network.driver) && filters.matches("scope", network.scope) &&
           filters.matches("type", type) && contains_any(network.name, filters, "name") &&
           contains_any(network.id, filters, "id") && filters.match_labels(network.labels);
}

}  // namespace

Result<api::Network> inspect_network(const network::Networks& networks, const std::string& name) {
    const network::Network network = TRY(networks.get(name));
    api::Network view = view_of(network);
    const auto with_length = [](const std::string& ip, unsigned length) {
        return ip.empty() ? std::string() : format("{}/{}", ip, length);
    };
    for (const network::Endpoint& endpoint : networks.endpoints(network.id)) {
        view.containers[endpoint.container_id] = {
            endpoint.container_name, endpoint.id, endpoint.mac,
            with_length(endpoint.ip, endpoint.prefix), with_length(endpoint.ip6, endpoint.prefix6)};
    }
    api::NetworkStatus& status = view.status.emplace();
    for (const network::SubnetUse& use : networks.use_of(network.id))
        status.ipam.subnets[use.subnet] = {use.in_use, use.available};
    return view;
}

Result<std::vector<api::Network>> list_networks(const network::Networks& networks,
                                                const Filters& filters) {
    TRY(filters.accept({"dangling", "driver", "id", "label", "name", "scope", "type"}));
    std::vector<api::Network> views;
    for (const network::Network& network : networks.list()) {
        if (TRY(passes(networks, network, filters))) views.push_back(view_of(network));
    }
    return views;
}

Result<api::NetworkCreateResponse> create_network(network::Networks& networks, Events& events,
                                                  const api::NetworkCreateRequest& request) {
    if (request.ingress || request.config_only || request.config_from) {
        return fail(Code::NotImplemented, "networks of a swarm are not supported");
    }
    network::NetworkSpec spec;
    spec.name = request.name;
    spec.driver = request.driver;
    spec.internal = request.internal;
    spec.attachable = request.attachable;
    spec.enable_ipv4 = request.enable_ipv4.value_or(true);
    spec.enable_ipv6 = request.enable_ipv6.value_or(false);
    spec.options = request.options;
    spec.labels = request.labels;
    if (request.ipam) {
        spec.ipam_options = request.ipam->options;
        for (const api::IpamConfig& config : request.ipam->config) {
            spec.subnets.push_back(
                {config.subnet, config.ip_range, config.gateway, config.auxiliary_addresses});
        }
    }
    const network::Network made = TRY(networks.create(spec));
    events.publish(network_event("create", made.id, made.name, made.driver));
    return api::NetworkCreateResponse{made.id, ""};
}

Result<void> remove_network(network::Networks& networks, Events& events, const std::string& name) {
    const network::Network network = TRY(networks.get(name));
    TRY(networks.remove(network.id));
    events.publish(network_event("destroy", network.id, network.name, network.driver));
    return {};
}

Result<std::vector<std::string>> prune_networks(network::Networks& networks, Events& events,
                                                const Filters& filters) {
    TRY(filters.accept({"label", "label!", "until"}));
    std::optional<Time> until;
    if (filters.has("until")) {
        until = parse_timestamp(filters.get("until").front(), now());
        if (!until) return fail(Code::InvalidArgument, "invalid until filter");
    }
    std::vector<std::string> removed;
    for (const network::Network& network : networks.list()) {
        const auto created = parse_rfc3339(network.created);
        const bool too_new = until && (!created || *created > *until);
        if (is_predefined(network) || too_new || !filters.match_labels(network.labels) ||
            !networks.endpoints(network.id).empty()) {
            continue;
        }
        // One that somebody joined in the meantime stays.
        if (remove_network(networks, events, network.id)) removed.push_back(network.name);
    }
    events.publish(prune_event("network", 0));
    return removed;
}

Result<void> add_egress(const network::Networks& networks, const std::string& id,
                        const std::string& of, std::vector<api::EgressReport>& reports) {
    const auto found = TRY(networks.egress(id));
    if (!found) return {};
    api::EgressReport report;
    report.of = of;
    report.policy = found->policy;
    for (const network::EgressCount& count : found->counts) {
        report.rules.push_back({count.rule, static_cast<std::int64_t>(count.packets),
                                static_cast<std::int64_t>(count.bytes)});
    }
    for (const auto& [name, times] : found->names) {
        report.names[name] = static_cast<std::int64_t>(times);
    }
    reports.push_back(std::move(report));
    return {};
}

Result<std::vector<api::EgressReport>> network_egress(const network::Networks& networks,
                                                      const std::string& name) {
    const network::Network network = TRY(networks.get(name));
    std::vector<api::EgressReport> reports;
    TRY(add_egress(networks, network.id, format("network {}", network.name), reports));
    return reports;
}

}  // namespace coffer::engine
