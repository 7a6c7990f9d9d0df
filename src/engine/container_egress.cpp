// Egress policies of containers: an annotation, enforced by the network.
#include "engine/container_egress.hpp"

#include "engine/containers_impl.hpp"
#include "engine/network_view.hpp"
#include "network/networks.hpp"
#include "network/rate.hpp"

namespace coffer::engine {

static const std::string& annotation_of(const api::HostConfig& host, const char* name) {
    static const std::string none;
    const auto found = host.annotations.find(name);
    return found == host.annotations.end() ? none : found->second;
}

Result<void> check_egress(const api::HostConfig& host) {
    const std::string& policy = egress_of(host);
    if (!policy.empty()) TRY(network::parse_egress(policy));
    TRY(network::parse_rate(rate_of(host)));
    const std::string& mode = host.network_mode;
    if (policy.empty() && rate_of(host).empty()) return {};
    if (mode != "host" && mode != "none" && !shared_with(mode)) return {};
    return fail(Code::InvalidArgument, "conflicting options: {} and network mode {}",
                policy.empty() ? "a rate limit" : "an egress policy", mode);
}

const std::string& egress_of(const api::HostConfig& host) {
    return annotation_of(host, network::kEgressOption);
}

const std::string& rate_of(const api::HostConfig& host) {
    return annotation_of(host, network::kRateOption);
}

Result<std::vector<api::EgressReport>> Containers::egress(const std::string& name) const {
    const auto record = TRY(impl_->find(name))->record();
    std::vector<api::EgressReport> reports;
    for (const network::Endpoint& endpoint : endpoints_of(*record)) {
        TRY(add_egress(impl_->core.networks, endpoint.network_id,
                       format("network {}", endpoint.network_name), reports));
        TRY(add_egress(impl_->core.networks, endpoint.id,
                       format("container {} in {}", record->name, endpoint.network_name), reports));
    }
    return reports;
}

Result<void> Containers::set_egress(const std::string& name, const std::string& policy) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    Record record = claim.copy();
    if (container->removed()) return fail(Code::NotFound, "No such container: {}", name);
    if (policy.empty())
        record.host_config.annotations.erase(network::kEgressOption);
    else
        record.host_config.annotations[network::kEgressOption] = policy;
    TRY(check_egress(record.host_config));
    const std::vector<network::Endpoint> before = endpoints_of(record);
    Result<void> changed;
    if (record.pid > 0 && container->link()) changed = impl_->egress_changed(record, policy);
    if (changed) changed = impl_->save(claim, record);
    if (changed) return {};
    for (network::Endpoint endpoint : before) {
        const std::string old = endpoint.egress;
        ignore(impl_->core.networks.set_egress(endpoint, old), "undo of a failed change");
    }
    return changed;
}

}  // namespace coffer::engine
