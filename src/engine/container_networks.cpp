// A container's place in its networks: at its start, while it runs, and after a restart of the
// engine; with the files and the resolver that make names work in it.
#include <fcntl.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/rollback.hpp"
#include "engine/container_egress.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/port_ranges.hpp"
#include "network/networks.hpp"
#include "network/resolv.hpp"
#include "sys/file.hpp"
#include "sys/namespace.hpp"

namespace coffer::engine {

namespace {

using Endpoints = std::vector<network::Endpoint>;

Endpoints decode_all(const std::vector<std::string>& texts) {
    Endpoints endpoints;
    for (const std::string& text : texts) {
        if (auto endpoint = network::decode_endpoint(text))
            endpoints.push_back(std::move(*endpoint));
    }
    return endpoints;
}

// Where the container that this one replaces was; empty when there is none.
network::Endpoint kept_endpoint(const Record& record, const std::string& network) {
    if (!record.replaces) return {};
    for (const network::Endpoint& endpoint : decode_all(record.replaces->endpoints)) {
        if (endpoint.network_name == network) return endpoint;
    }
    return {};
}

// A port that was any free one stays the same.
void keep_ports(const Record& record, std::vector<network::PortRequest>& requests) {
    if (!record.replaces) return;
    for (network::PortRequest& request : requests) {
        if (request.host_port_first != 0) continue;
        for (const network::Endpoint& endpoint : decode_all(record.replaces->endpoints)) {
            for (const network::PublishedPort& port : endpoint.ports) {
                const int distance = request.container_port - port.container_port;
                if (port.protocol == request.protocol && distance >= 0 && distance < port.count) {
                    request.host_port_first = static_cast<std::uint16_t>(port.host_port + distance);
                }
            }
        }
    }
}

Result<std::vector<network::PortRequest>> port_requests(const Record& record) {
    std::vector<network::PortRequest> requests;
    for (const auto& [port, bindings] : record.host_config.port_bindings) {
        if (!bindings) continue;
        const auto more = TRY(requests_of(port, *bindings));
        requests.insert(requests.end(), more.begin(), more.end());
    }
    if (record.host_config.publish_all_ports) {
        const api::PortMap bound = split_ports(record.host_config.port_bindings);
        for (const auto& [port, nothing] : split_ports(record.config.exposed_ports)) {
            if (bound.contains(port)) continue;
            requests.push_back(TRY(network::parse_container_port(port)));
        }
    }
    keep_ports(record, requests);
    return requests;
}

// "db:alias" or "db".
std::pair<std::string, std::string> split_link(const std::string& link) {
    const auto sides = cut(link, ":");
    if (!sides) return {link, link};
    return {std::string(sides->first), std::string(sides->second)};
}

Result<void> publish(Core& core, const Record& record, network::Endpoint& endpoint) {
    const auto ports = TRY(port_requests(record));
    if (ports.empty()) return {};
    TRY_CONTEXT(core.networks.publish(endpoint, ports),
                "failed to set up container networking: driver failed programming external "
                "connectivity on endpoint {} ({})",
                record.name, endpoint.id);
    return {};
}

// The default route and the published ports go to the network that leads out.
Result<void> settle_way_out(Core& core, const Record& record, Endpoints& endpoints, int netns) {
    const auto best = way_out(record, endpoints, network::Family::V4);
    const auto best6 = way_out(record, endpoints, network::Family::V6);
    const auto published = publishing(record, endpoints);
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        if (i != published) TRY(core.networks.unpublish(endpoints[i], endpoints[i].ports));
    }
    TRY(network::Networks::set_gateways(netns, best ? endpoints[*best].gateway : "",
                                        best6 ? endpoints[*best6].gateway6 : ""));
    if (published && endpoints[*published].ports.empty())
        return publish(core, record, endpoints[*published]);
    return {};
}

bool need_resolver(const Core& core, const Endpoints& endpoints) {
    return std::any_of(endpoints.begin(), endpoints.end(), [&](const network::Endpoint& endpoint) {
        return core.networks.needs_resolver(endpoint);
    });
}

std::string resolv_text(const Record& record, bool names) {
    const api::HostConfig& host = record.host_config;
    const network::DnsOptions dns{host.dns, host.dns_search, host.dns_options};
    const std::string text = network::read_host_resolv_conf().value_or("");
    if (host.network_mode == "host") return network::host_network_resolv_conf(text, dns);
    return names ? network::embedded_resolv_conf(text, dns) : network::resolv_conf(text, dns);
}

// In place: the file is mounted in the container. What the container has written there stays.
void rewrite(const std::string& path, const std::string& before, const std::string& after) {
    constexpr std::size_t kLimit = 64 << 10;
    const auto present = sys::read_regular_file(AT_FDCWD, path, kLimit);
    if (before == after || !present || *present != before) return;
    const auto written = sys::write_file(path, after, 0644);
    if (!written) LOG_WARN("{}", written.error().message);
}

// A number of eth0, eth1, ... that no endpoint has.
std::string free_ifname(const Endpoints& endpoints) {
    for (int number = 0;; ++number) {
        std::string name = format("eth{}", number);
        const bool taken =
            std::any_of(endpoints.begin(), endpoints.end(),
                        [&](const network::Endpoint& other) { return other.ifname == name; });
        if (!taken) return name;
    }
}

// docker's rules about networks that exclude others.
Result<void> check_change(const Record& record, const network::Network& network) {
    const std::string& mode = record.host_config.network_mode;
    if (shared_with(mode)) {
        return fail(Code::InvalidArgument,
                    "container sharing network namespace with another container or host cannot be "
                    "connected to any other network");
    }
    if (mode == "host" || network.driver == "host") {
        return fail(Code::InvalidArgument,
                    "container cannot be disconnected from host network or connected to host "
                    "network");
    }
    return {};
}

Result<sys::Fd> netns_of(const Record& record) {
    sys::Fd netns = TRY(sys::ns::open_of(record.pid, sys::ns::Kind::Network));
    // Were the process gone and its number another's: not ours, whatever happens.
    const sys::Fd own = TRY(sys::ns::open_self(sys::ns::Kind::Network));
    if (TRY(sys::ns::same(netns.get(), own.get()))) {
        return fail(Code::Conflict, "container {} is not running", record.id);
    }
    return netns;
}

}  // namespace

std::optional<std::size_t> way_out(const Record& record, const Endpoints& endpoints,
                                   network::Family family) {
    const auto priority = [&](const network::Endpoint& endpoint) {
        const auto settings = record.networks.find(endpoint.network_name);
        return settings == record.networks.end() ? 0 : settings->second.gw_priority;
    };
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const bool leads_out = family == network::Family::V4 ? !endpoints[i].gateway.empty()
                                                             : !endpoints[i].gateway6.empty();
        if (!leads_out) continue;
        const bool better = !best || priority(endpoints[i]) > priority(endpoints[*best]) ||
                            (priority(endpoints[i]) == priority(endpoints[*best]) &&
                             endpoints[i].network_name < endpoints[*best].network_name);
        if (better) best = i;
    }
    return best;
}

std::optional<std::size_t> publishing(const Record& record, const Endpoints& endpoints) {
    const auto best = way_out(record, endpoints, network::Family::V4);
    return best ? best : way_out(record, endpoints, network::Family::V6);
}

std::vector<std::string> encode_all(const std::vector<network::Endpoint>& endpoints) {
    std::vector<std::string> texts;
    texts.reserve(endpoints.size());
    for (const network::Endpoint& endpoint : endpoints) texts.push_back(network::encode(endpoint));
    return texts;
}

std::vector<network::Endpoint> endpoints_of(const Record& record) {
    return decode_all(record.endpoints);
}

Result<void> check_endpoint(const network::Network& network,
                            const api::EndpointSettings& settings) {
    const bool user_defined = network.driver == "bridge" && network.name != "bridge";
    if (settings.ipam_config) {
        const api::EndpointIpamConfig& ipam = *settings.ipam_config;
        const bool is_static = !ipam.ipv4_address.empty() || !ipam.ipv6_address.empty();
        if (is_static && !user_defined) {
            return fail(Code::InvalidArgument,
                        "user specified IP address is supported on user defined networks only");
        }
        if (!ipam.ipv4_address.empty() && !network::parse_ipv4(ipam.ipv4_address)) {
            return fail(Code::InvalidArgument, "invalid IPv4 address: {}", ipam.ipv4_address);
        }
        if (!ipam.ipv6_address.empty() && !network::parse_ipv6(ipam.ipv6_address)) {
            return fail(Code::InvalidArgument, "invalid IPv6 address: {}", ipam.ipv6_address);
        }
        for (const std::string& address : ipam.link_local_ips) {
            if (!network::parse_address(address)) {
                return fail(Code::InvalidArgument, "invalid link-local IP address: {}", address);
            }
        }
    }
    if (!settings.aliases.empty() && !user_defined) {
        return fail(Code::InvalidArgument,
                    "network-scoped alias is supported only for containers in user defined "
                    "networks");
    }
    if (!settings.mac_address.empty() && !network::is_mac(settings.mac_address)) {
        return fail(Code::InvalidArgument, "invalid MAC address: {}", settings.mac_address);
    }
    for (const auto& [option, value] : settings.driver_opts) {
        return fail(Code::NotImplemented, "endpoint option {} is not supported", option);
    }
    return {};
}

void Containers::Impl::publish_network_event(const network::Endpoint& endpoint,
                                             const std::string& action) const {
    core.events.publish(network_event(action, endpoint.network_id, endpoint.network_name, "bridge",
                                      {{"container", endpoint.container_id}}));
}

Result<network::Endpoint> Containers::Impl::connect_one(const Record& record,
                                                        const std::string& name,
                                                        const std::string& ifname, int netns) {
    const api::EndpointSettings& settings = record.networks.at(name);
    const network::Endpoint kept = kept_endpoint(record, name);
    network::ConnectOptions options;
    options.container_id = record.id;
    options.container_name = record.name;
    options.netns_fd = netns;
    options.ifname = ifname;
    if (settings.ipam_config) {
        options.ip = settings.ipam_config->ipv4_address;
        options.ip6 = settings.ipam_config->ipv6_address;
        options.link_local = settings.ipam_config->link_local_ips;
    }
    if (options.ip.empty()) options.ip = kept.ip;
    if (options.ip6.empty()) options.ip6 = kept.ip6;
    options.mac = settings.mac_address.empty() ? kept.mac : settings.mac_address;
    options.aliases = settings.aliases;
    options.hostname = record.config.hostname;
    options.egress = egress_of(record.host_config);
    options.rate = rate_of(record.host_config);
    std::vector<std::string> links = settings.links;
    if (name == record.host_config.network_mode) {
        const auto& more = record.host_config.links;
        links.insert(links.end(), more.begin(), more.end());
    }
    for (const std::string& link : links) {
        const auto [target, alias] = split_link(link);
        options.links[alias] = TRY(find(target))->id();
    }
    options.default_route = false;  // settled once all are there
    return core.networks.connect(name, options);
}

Result<Endpoints> Containers::Impl::connect_all(const Record& record, int netns, Rollback& undo) {
    TRY(port_requests(record));  // a bad one is an error in every network
    std::vector<std::string> names;
    for (const auto& [name, settings] : record.networks) {
        if (TRY(core.networks.get(name)).driver == "bridge") names.push_back(name);
    }
    // eth0 is the default bridge network's, when it is among them.
    std::stable_partition(names.begin(), names.end(),
                          [](const std::string& name) { return name == "bridge"; });
    Endpoints endpoints;
    for (const std::string& name : names) {
        const network::Endpoint endpoint =
            TRY(connect_one(record, name, format("eth{}", endpoints.size()), netns));
        endpoints.push_back(endpoint);
        TRY(undo.add([this, endpoint] { core.networks.release(endpoint); }));
    }
    if (!endpoints.empty()) TRY(settle_way_out(core, record, endpoints, netns));
    TRY(serve_names(record, endpoints, netns));
    TRY(undo.add([this, id = record.id] { core.networks.stop_names(id); }));
    return endpoints;
}

Result<void> Containers::Impl::serve_names(const Record& record, const Endpoints& endpoints,
                                           int netns) {
    if (!need_resolver(core, endpoints)) return {};
    return core.networks.serve_names(record.id, netns, record.host_config.dns);
}

Result<void> Containers::Impl::serve_names_again(const Record& record) {
    const Endpoints endpoints = endpoints_of(record);
    if (!need_resolver(core, endpoints)) return {};
    const sys::Fd netns = TRY(netns_of(record));
    return serve_names(record, endpoints, netns.get());
}

Result<std::string> Containers::Impl::hosts_text(const Record& record, const Endpoints& endpoints) {
    network::HostsOptions hosts;
    hosts.hostname = record.config.hostname;
    hosts.domainname = record.config.domainname;
    for (const network::Endpoint& endpoint : endpoints) {
        for (const std::string& ip : {endpoint.ip, endpoint.ip6}) {
            if (!ip.empty()) hosts.addresses.push_back(ip);
        }
        if (core.networks.has_names(endpoint)) continue;
        for (const auto& [alias, id] : endpoint.links) {
            const auto target = TRY(find(id))->record();
            const Endpoints theirs = endpoints_of(*target);
            const auto there = std::find_if(theirs.begin(), theirs.end(), [&](const auto& other) {
                return other.network_id == endpoint.network_id;
            });
            if (there == theirs.end()) {
                return fail(Code::Conflict, "Cannot link to a non running container: /{} AS /{}/{}",
                            target->name, record.name, alias);
            }
            for (const std::string& ip : {there->ip, there->ip6}) {
                if (ip.empty()) continue;
                hosts.entries.push_back({ip, {alias, target->config.hostname, target->name}});
            }
        }
    }
    hosts.extra_hosts = record.host_config.extra_hosts;
    hosts.host_gateway = core.networks.host_gateway();
    return network::hosts_file(hosts);
}

Result<void> Containers::Impl::write_network_files(const Record& record,
                                                   const Endpoints& endpoints) {
    const std::string files = folder(record);
    const std::string hosts = TRY(hosts_text(record, endpoints));
    const std::string resolv = resolv_text(record, need_resolver(core, endpoints));
    TRY(sys::write_file(files + "/hosts", hosts, 0644));
    TRY(sys::write_file(files + "/resolv.conf", resolv, 0644));
    return sys::write_file(files + "/hostname", network::hostname_file(record.config.hostname),
                           0644);
}

// Of a running container whose networks have changed.
Result<void> Containers::Impl::networks_changed(Record& record, const Endpoints& before,
                                                Endpoints after, int netns) {
    TRY(settle_way_out(core, record, after, netns));
    const bool had_resolver = need_resolver(core, before);
    const bool has_resolver = need_resolver(core, after);
    if (has_resolver && !had_resolver) TRY(serve_names(record, after, netns));
    if (had_resolver && !has_resolver) core.networks.stop_names(record.id);
    const std::string files = folder(record);
    rewrite(files + "/resolv.conf", resolv_text(record, had_resolver),
            resolv_text(record, has_resolver));
    const auto old_hosts = hosts_text(record, before);
    const auto new_hosts = hosts_text(record, after);
    if (old_hosts && new_hosts) rewrite(files + "/hosts", *old_hosts, *new_hosts);
    record.endpoints = encode_all(after);
    return {};
}

Result<void> Containers::Impl::egress_changed(Record& record, const std::string& policy) {
    const sys::Fd netns = TRY(netns_of(record));
    const Endpoints before = endpoints_of(record);
    Endpoints after = before;
    for (network::Endpoint& endpoint : after) TRY(core.networks.set_egress(endpoint, policy));
    return networks_changed(record, before, after, netns.get());
}

Result<void> Containers::connect(const std::string& network, const std::string& name,
                                 const api::EndpointSettings& settings) {
    const auto container = TRY(impl_->find(name));
    const network::Network known = TRY(impl_->core.networks.get(network));
    Container::Claim claim(container);
    Record record = claim.copy();
    if (container->removed()) return fail(Code::NotFound, "No such container: {}", name);
    TRY(check_change(record, known));
    if (known.driver == "null" || record.networks.contains("none")) {
        return fail(Code::InvalidArgument,
                    "container cannot be connected to multiple networks with one of the networks "
                    "in private (none) mode");
    }
    TRY(check_endpoint(known, settings));
    const bool runs = record.pid > 0 && container->link();
    if (runs && record.networks.contains(known.name)) {
        return fail(Code::Forbidden, "endpoint with name {} already exists in network {}",
                    record.name, known.name);
    }
    record.networks[known.name] = settings;
    record.networks[known.name].network_id = known.id;
    if (!runs) return impl_->save(claim, record);

    const sys::Fd netns = TRY(netns_of(record));
    const Endpoints before = endpoints_of(record);
    const network::Endpoint endpoint =
        TRY(impl_->connect_one(record, known.name, free_ifname(before), netns.get()));
    Endpoints after = before;
    after.push_back(endpoint);
    auto changed = impl_->networks_changed(record, before, after, netns.get());
    if (changed) changed = impl_->save(claim, record);
    if (!changed) {
        ignore(impl_->core.networks.disconnect(endpoint), "undo of a failed connect");
        return changed;
    }
    impl_->publish_network_event(endpoint, "connect");
    return {};
}

Result<void> Containers::disconnect(const std::string& network, const std::string& name,
                                    bool force) {
    const auto container = TRY(impl_->find(name));
    const auto found = impl_->core.networks.get(network);
    if (!found && !force) return fail(found.error());
    Container::Claim claim(container);
    Record record = claim.copy();
    // One that is gone has left its name in the record.
    if (found) TRY(check_change(record, *found));
    const std::string known = found ? found->name : network;
    if (record.networks.erase(known) == 0) {
        return fail(Code::Forbidden, "container {} is not connected to {} {}", record.id,
                    record.pid > 0 ? "network" : "the network", known);
    }
    const Endpoints before = endpoints_of(record);
    const auto gone = std::find_if(
        before.begin(), before.end(),
        [&](const network::Endpoint& endpoint) { return endpoint.network_name == known; });
    if (gone == before.end()) return impl_->save(claim, record);
    Endpoints after = before;
    after.erase(after.begin() + (gone - before.begin()));
    const sys::Fd netns = TRY(netns_of(record));
    TRY(impl_->core.networks.disconnect(*gone));
    TRY(impl_->networks_changed(record, before, after, netns.get()));
    TRY(impl_->save(claim, record));
    impl_->publish_network_event(*gone, "disconnect");
    return {};
}

}  // namespace coffer::engine
