// Publishing ports of a container, and taking them back, also while it runs.
#include <algorithm>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/port_ranges.hpp"
#include "network/networks.hpp"

namespace coffer::engine {

namespace {

using Bindings = std::vector<api::PortBinding>;

// "80" means "80/tcp".
Result<std::string> port_key(const std::string& port) {
    const network::PortRequest request = TRY(network::parse_container_port(port));
    return format("{}/{}", request.container_port, network::to_string(request.protocol));
}

bool is_meant(const network::PublishedPort& port, const network::PortRequest& wanted) {
    return port.protocol == wanted.protocol && port.container_port == wanted.container_port &&
           (wanted.host_ip.empty() || port.host_ip == wanted.host_ip) &&
           (wanted.host_port_first == 0 ||
            (port.host_port >= wanted.host_port_first && port.host_port <= wanted.host_port_last));
}

// Whether a binding of the record is what was wanted, or what came of it is.
bool is_meant(const api::PortBinding& binding, const api::PortBinding& wanted,
              const std::vector<network::PublishedPort>& taken) {
    if (wanted.host_port.empty() && wanted.host_ip.empty()) return true;
    if (!wanted.host_ip.empty() && !binding.host_ip.empty() && wanted.host_ip != binding.host_ip) {
        return false;
    }
    if (wanted.host_port.empty() || wanted.host_port == binding.host_port) return true;
    return std::any_of(taken.begin(), taken.end(), [&](const network::PublishedPort& port) {
        return binding.host_port.empty() && std::to_string(port.host_port) == wanted.host_port;
    });
}

std::vector<network::PublishedPort> singles(const std::vector<network::PublishedPort>& ports) {
    std::vector<network::PublishedPort> out;
    for (const network::PublishedPort& port : ports) {
        for (std::uint16_t i = 0; i < port.count; ++i) out.push_back(port.at(i));
    }
    return out;
}

struct Change {
    std::vector<network::PublishedPort> remove;
    std::vector<network::PortRequest> add;
};

// Leaves the new bindings in the record. `taken`: what is published now.
Result<Change> change_bindings(Record& record, const api::PortMap& add, const api::PortMap& remove,
                               const std::vector<network::PublishedPort>& taken) {
    Change change;
    api::PortMap bindings = split_ports(record.host_config.port_bindings);
    ExposedPorts exposed = split_ports(record.config.exposed_ports);
    for (const auto& [port, given] : remove) {
        const std::string key = TRY(port_key(port));
        const auto found = bindings.find(key);
        if (found == bindings.end() || !found->second) {
            return fail(Code::InvalidArgument, "port {} is not published", key);
        }
        for (const api::PortBinding& wanted : given && !given->empty() ? *given : Bindings(1)) {
            const network::PortRequest request = TRY(requests_of(key, {wanted})).front();
            const auto erased = std::erase_if(*found->second, [&](const api::PortBinding& binding) {
                return is_meant(binding, wanted, taken);
            });
            if (erased == 0) {
                return fail(Code::InvalidArgument, "port {} is not published at {}{}{}", key,
                            wanted.host_ip, wanted.host_ip.empty() ? "" : ":", wanted.host_port);
            }
            std::copy_if(taken.begin(), taken.end(), std::back_inserter(change.remove),
                         [&](const auto& known) { return is_meant(known, request); });
        }
        if (found->second->empty()) bindings.erase(found);
    }
    for (const auto& [port, given] : add) {
        const std::string key = TRY(port_key(port));
        std::optional<Bindings>& all = bindings[key];
        if (!all) all.emplace();
        for (const api::PortBinding& binding : given && !given->empty() ? *given : Bindings(1)) {
            TRY(requests_of(key, {binding}));
            all->push_back(binding);
        }
        exposed[key];
    }
    for (const auto& [port, given] : join_ports(add)) {
        const auto more = TRY(requests_of(port, given && !given->empty() ? *given : Bindings(1)));
        change.add.insert(change.add.end(), more.begin(), more.end());
    }
    record.config.exposed_ports = join_ports(exposed);
    record.host_config.port_bindings = join_ports(bindings);
    return change;
}

// As they were, at the same places.
std::vector<network::PortRequest> requests_for(const std::vector<network::PublishedPort>& ports) {
    std::vector<network::PortRequest> requests;
    requests.reserve(ports.size());
    for (const network::PublishedPort& port : ports) {
        requests.push_back({.protocol = port.protocol,
                            .container_port = port.container_port,
                            .host_ip = port.host_ip,
                            .host_port_first = port.host_port,
                            .host_port_last = port.host_port,
                            .count = port.count});
    }
    return requests;
}

}  // namespace

Result<void> Containers::set_ports(const std::string& name, const api::PortMap& add,
                                   const api::PortMap& remove) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    Record record = claim.copy();
    const std::string& mode = record.host_config.network_mode;
    if (mode == "host" || mode == "none" || shared_with(mode)) {
        return fail(Code::InvalidArgument,
                    "container {} has no network of its own in which ports could be published",
                    record.name);
    }
    std::vector<network::Endpoint> endpoints = endpoints_of(record);
    // Ports are published in the network that leads out: see container_networks.cpp.
    const auto outward = publishing(record, endpoints);
    const Change change = TRY(change_bindings(
        record, add, remove,
        outward ? singles(endpoints[*outward].ports) : std::vector<network::PublishedPort>()));
    if (!outward) return impl_->save(claim, record);

    network::Networks& networks = impl_->core.networks;
    network::Endpoint& endpoint = endpoints[*outward];
    TRY(networks.unpublish(endpoint, change.remove));
    const std::vector<network::PublishedPort> kept = endpoint.ports;
    auto done = networks.publish(endpoint, change.add);
    if (done) {
        record.endpoints = encode_all(endpoints);
        done = impl_->save(claim, record);
    }
    if (done) {
        impl_->publish_event(record, "update");
        return {};
    }
    const auto added = network::without(endpoint.ports, kept);
    auto undone = networks.unpublish(endpoint, added);
    if (undone) undone = networks.publish(endpoint, requests_for(change.remove));
    if (!undone) LOG_WARN("ports of {}: {}", record.id, undone.error().message);
    return done;
}

}  // namespace coffer::engine
