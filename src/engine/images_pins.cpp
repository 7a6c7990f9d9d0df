// Tags that are held to a digest: what a pull and a container take instead of what the tag means.
#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

// What is pinned is a tag.
oci::Reference tag_of(const oci::Reference& reference) {
    oci::Reference tag = reference;
    tag.digest.clear();
    if (tag.tag.empty()) tag.tag = "latest";
    return tag;
}

}  // namespace

Result<std::optional<std::string>> Images::Impl::pin_of(const oci::Reference& reference) const {
    if (!reference.digest.empty()) return std::optional<std::string>();
    return store.pins().find(reference.to_string());
}

Result<void> Images::Impl::warn_of_moved(const oci::Reference& reference, const std::string& pin,
                                         registry::Repository& repository,
                                         const ImageProgress& progress) {
    const std::string now = TRY(registry::resolve_digest(repository, reference));
    if (now.empty() || now == pin) return {};
    progress(
        progress_message(format("WARNING: {} has moved to {} at its registry, and stays with "
                                "{} to which it is pinned",
                                reference.familiar_string(), now, pin)));
    return {};
}

bool Images::Impl::is_pinned_image(const oci::Reference& reference, const std::string& pin,
                                   const store::ImageRecord& image) {
    return find_document(image, pin) != nullptr ||
           store.images().find_reference(reference.name() + "@" + pin) == image.id;
}

Result<void> Images::Impl::check_pin(const std::string& name, const store::ImageRecord& image) {
    const auto found = TRY(find_named(name));
    const auto pin = found.reference ? TRY(pin_of(*found.reference)) : std::nullopt;
    if (!pin || is_pinned_image(*found.reference, *pin, image)) return {};
    return fail(Code::Forbidden,
                "{} is pinned to {} and stands for another image here: pull it, or "
                "unpin it",
                found.reference->familiar_string(), *pin);
}

Result<api::ImagePin> Images::pin(const std::string& name) {
    const auto reference = TRY(oci::parse_reference_as_given(name));
    const auto tag = tag_of(reference);
    std::string digest = reference.digest;
    if (digest.empty()) digest = impl_->store.images().target_of(tag.to_string()).value_or("");
    if (!is_digest(digest))
        return fail(Code::NotFound,
                    "no digest of {} is known here: pull it, or say NAME:TAG@sha256:...",
                    tag.familiar_string());
    TRY(impl_->store.pins().put({tag.to_string(), digest}));
    return api::ImagePin{tag.familiar_string(), digest, {}};
}

Result<void> Images::unpin(const std::string& name) {
    const auto reference = TRY(oci::parse_reference_as_given(name));
    return impl_->store.pins().remove(tag_of(reference).to_string());
}

Result<std::vector<api::ImagePin>> Images::pins() const {
    std::vector<api::ImagePin> out;
    for (const store::Pin& pin : TRY(impl_->store.pins().list())) {
        const auto reference = TRY(oci::parse_reference(pin.name));
        const auto id = impl_->store.images().find_reference(pin.name);
        const auto image = impl_->store.images().get(id.value_or(""));
        std::string state = "absent";
        if (image) state = impl_->is_pinned_image(reference, pin.digest, *image) ? "here" : "moved";
        out.push_back({reference.familiar_string(), pin.digest, std::move(state)});
    }
    return out;
}

}  // namespace coffer::engine
