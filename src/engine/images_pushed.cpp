// Images that were pushed to a registry of our own.
#include "base/log.hpp"
#include "engine/images_impl.hpp"

namespace coffer::engine {

Result<void> Images::name_pushed(const oci::Reference& name, const std::string& id,
                                 const std::string& digest) {
    std::optional<std::string> before;
    {
        const std::scoped_lock lock(impl_->changing);
        TRY(impl_->store.images().add_digest(name.name() + "@" + digest, id));
        before = TRY(impl_->store.images().tag(name.to_string(), id));
    }
    impl_->publish("tag", id, name.familiar_string(), id);
    if (!before || *before == id) return {};
    // Each push of a tag would leave an image without a name.
    const auto old = impl_->store.images().get(*before);
    if (!old || !old->tags.empty() || old->in_named_index) return {};
    if (const auto removed = remove(*before, {}); !removed)
        LOG_DEBUG("registry: keep {}: {}", *before, removed.error().message);
    return {};
}

}  // namespace coffer::engine
