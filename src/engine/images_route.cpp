// Which hosts are asked for an image.
#include "engine/images_impl.hpp"

namespace coffer::engine {

Result<std::unique_ptr<registry::Repository>> open_repository(registry::Registries& registries,
                                                              const oci::Reference& reference,
                                                              const std::string& auth,
                                                              const Cancel& cancel) {
    return registry::Repository::open(
        registries, reference, {.credentials = registry::decode_auth_header(auth), .limits = {}},
        cancel);
}

registry::Registries& Images::registries() const {
    return impl_->registries;
}

Result<api::RegistryRoute> Images::registry_route(const std::string& name) const {
    const auto reference = TRY(oci::parse_reference(name));
    registry::Registries& registries = impl_->registries;
    const registry::Route route = TRY(registries.explain(reference));
    api::RegistryRoute out{.reference = reference.to_string(),
                           .hosts = {},
                           .blocked_by = route.blocked_by,
                           .message = route.message,
                           .problems = route.problems};
    for (const registry::RouteHost& one : route.hosts) {
        const registry::Host& host = one.host;
        const std::string scheme = host.scheme == registry::Scheme::Http ? "http" : "https";
        std::vector<std::string> capabilities;
        for (const auto& [can, capability] : {std::pair{host.can.pull, "pull"},
                                              {host.can.resolve, "resolve"},
                                              {host.can.push, "push"}}) {
            if (can) capabilities.emplace_back(capability);
        }
        const std::string login = registry::login_of(host, reference.domain);
        out.hosts.push_back({.address = host.address,
                             .repository = one.repository,
                             .url = scheme + "://" + host.address + host.api_root + one.repository,
                             .capabilities = std::move(capabilities),
                             .insecure = host.insecure || host.scheme == registry::Scheme::Http ||
                                         registry::is_insecure(registries.config(), host.address),
                             .login = login.empty() ? "none" : login,
                             .passed_over = registries.has_failed(host.address),
                             .source = one.source.empty() ? "no rule" : one.source});
    }
    return out;
}

}  // namespace coffer::engine
