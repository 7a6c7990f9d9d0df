// The part of Networks that is about egress policies: whom they are for, and what names come to.

#include "network/networks_state.hpp"

namespace coffer::network {
namespace {

EgressSubject subject_of(const Network& network) {
    return {.key = network.id, .bridge = network.bridge};
}

EgressSubject subject_of(const Network& network, const Endpoint& endpoint) {
    return {.key = endpoint.id, .bridge = network.bridge, .mac = endpoint.mac};
}

Result<void> check_has_network(const Network& network) {
    if (network.driver == "bridge" && network.name != "bridge") return {};
    return fail(Code::InvalidArgument,
                "network {} cannot have an egress policy: give it to the containers, or use a "
                "network of your own",
                network.name);
}

}  // namespace

std::vector<std::string> Networks::Impl::egress_keys(const std::string& container_id) {
    std::vector<std::string> keys;
    auto locked = state.lock();
    for (const auto& [id, known] : locked->networks)
        for (const auto& [endpoint_id, endpoint] : known.endpoints)
            if (endpoint.container_id == container_id) {
                keys.push_back(id);
                keys.push_back(endpoint_id);
            }
    return keys;
}

void Networks::Impl::learn(const std::string& container_id, const std::string& name,
                           std::string_view reply) {
    if (egress.is_empty() || name.empty()) return;
    const auto answer = dns::read_records(reply);
    if (!answer) return;
    std::vector<Address> addresses;
    std::uint32_t ttl = 0;
    for (const dns::Record& record : *answer) {
        if (!record.answers || (record.type != dns::kA && record.type != dns::kAaaa)) continue;
        if (const auto address = address_from_bytes(record.data)) addresses.push_back(*address);
        ttl = std::max(ttl, record.ttl);
    }
    if (!addresses.empty()) egress.learn(egress_keys(container_id), name, addresses, ttl);
}

Result<void> Networks::Impl::check_guard() const {
    if (has_guard) return {};
    return fail(Code::NotImplemented,
                "a container's egress policy needs a kernel with nftables of the family bridge");
}

Result<void> Networks::Impl::enforce(const Network& network, const Endpoint& endpoint) {
    if (endpoint.egress.empty()) return {};
    return egress.set(subject_of(network, endpoint), endpoint.egress);
}

Result<void> Networks::Impl::enforce(const Network& network) {
    const std::string& policy = option_of(network.options, kEgressOption);
    if (policy.empty()) return {};
    TRY(check_has_network(network));
    return egress.set(subject_of(network), policy);
}

// From one state of an endpoint to another: with a policy, its hardware address is fixed.
Result<void> Networks::Impl::pin(const Network& network, const Endpoint& before,
                                 const Endpoint& now) {
    if (!now.egress.empty()) TRY(check_guard());
    if (!has_guard || before.egress.empty() == now.egress.empty()) return {};
    return change_table([&] {
        return sys::nft::replace_elements(guard::elements_of(table, guard_of(network, before)),
                                          guard::elements_of(table, guard_of(network, now)));
    });
}

Result<void> Networks::set_egress(Endpoint& endpoint, const std::string& policy) {
    const bool wired = !endpoint.mac.empty();
    const Network network = wired ? TRY(get(endpoint.network_id)) : Network();
    Endpoint changed = endpoint;
    changed.egress = policy;
    const auto enter = [&](const std::string& text) {
        auto locked = impl_->state.lock();
        if (KnownNetwork* known = locked->find_endpoint(endpoint))
            known->endpoints.at(endpoint.id).egress = text;
    };
    enter(policy);
    if (wired) {
        auto done = impl_->pin(network, endpoint, changed);
        if (done) done = impl_->egress.set(subject_of(network, endpoint), policy);
        if (!done) {
            enter(endpoint.egress);
            ignore(impl_->pin(network, changed, endpoint), "made again when somebody changes it");
            return done;
        }
    }
    endpoint = std::move(changed);
    return {};
}

Result<void> Networks::set_egress(const std::string& reference, const std::string& policy) {
    const std::lock_guard one_at_a_time(impl_->changes);
    Network network = TRY(get(reference));
    TRY(check_has_network(network));
    const Network before = network;
    if (policy.empty())
        network.options.erase(kEgressOption);
    else
        network.options[kEgressOption] = policy;
    TRY(impl_->egress.set(subject_of(network), policy));
    auto saved = impl_->records.save(network.id, encode(network));
    if (!saved) {
        ignore(impl_->egress.set(subject_of(network), option_of(before.options, kEgressOption)),
               "undo");
        return saved;
    }
    auto locked = impl_->state.lock();
    TRY(locked->find(network.id))->info.options = network.options;
    return {};
}

Result<std::optional<EgressReport>> Networks::egress(const std::string& id) const {
    return impl_->egress.report(id);
}

}  // namespace coffer::network
