// Secrets and configs of containers: what the annotations ask for, shown inside as files in memory.
#include <algorithm>

#include "engine/containers_impl.hpp"
#include "engine/secrets.hpp"

namespace coffer::engine {

Result<void> Containers::Impl::check_secrets(const Record& record) const {
    for (const SecretUse& use : TRY(secret_uses(record.host_config.annotations)))
        TRY(core.secrets.inspect(use.kind, use.name));
    return {};
}

Result<void> Containers::Impl::mount_secrets_of(const Record& record,
                                                std::vector<oci::Mount>& mounts) const {
    const std::vector<SecretUse> uses = TRY(secret_uses(record.host_config.annotations));
    if (uses.empty()) return {};
    const std::string folder = bundle(record) + "/secrets";
    TRY(mount_secrets(core.secrets, uses, folder, record.id_base));
    for (std::size_t i = 0; i < uses.size(); ++i) {
        oci::Mount mount;
        mount.destination = uses[i].target;
        mount.type = "bind";
        mount.source = format("{}/{}", folder, i);
        mount.options = {"bind", "rprivate", "ro", "nosuid", "nodev", "noexec"};
        mounts.push_back(std::move(mount));
    }
    return {};
}

std::vector<std::string> Containers::users_of_secret(SecretKind kind,
                                                     const api::Secret& one) const {
    std::vector<std::string> names;
    for (const auto& container : impl_->all()) {
        const auto record = container->record();
        const auto uses = secret_uses(record->host_config.annotations);
        const bool has = uses && std::any_of(uses->begin(), uses->end(), [&](const SecretUse& use) {
                             return use.kind == kind &&
                                    (use.name == one.spec.name || one.id.starts_with(use.name));
                         });
        if (has) names.push_back(record->name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace coffer::engine
