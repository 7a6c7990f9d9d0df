// OwnRegistry's manifests, tags and referrers.
#include <algorithm>
#include <set>

#include "base/log.hpp"
#include "engine/own_registry_impl.hpp"
#include "json/codec.hpp"
#include "registry/resolve.hpp"
#include "store/assemble.hpp"
#include "store/manifest.hpp"

namespace coffer::engine {

namespace {

constexpr std::uint64_t kMaxReferrers = 4U << 20U;  // bytes of manifests, of one page

Failure no_such_manifest(const std::string& repository, const std::string& object) {
    return fail(Code::NotFound, "manifest {} is not in repository {}", object, repository);
}

bool accepts(const std::vector<std::string>& accepted, std::string_view type) {
    if (accepted.empty()) return true;
    return std::any_of(accepted.begin(), accepted.end(), [&](const std::string& one) {
        return one == type || one == "*/*" || one == "application/*";
    });
}

}  // namespace

Result<OwnRegistry::Manifest> OwnRegistry::Impl::read_manifest(const std::string& repository,
                                                               const std::string& digest) const {
    const auto kept = TRY(store.manifests().find(canonical(repository), digest));
    if (!kept) return no_such_manifest(repository, digest);
    auto text = TRY(store.content().read(digest));
    return Manifest{digest, kept->media_type, std::move(text)};
}

// An image that was given a name of the registry here ("coffer tag") is in it.
Result<std::optional<std::string>> OwnRegistry::Impl::take_in_tagged(const std::string& repository,
                                                                     const std::string& tag) {
    const std::string name = canonical(repository);
    const auto id = store.images().find_reference(name + ":" + tag);
    if (!id) return std::optional<std::string>();
    const auto record = TRY(store.images().get(*id));
    const auto lease = store.lease();
    for (const auto& blob : record.blobs) lease->blob(blob.digest);
    const auto made = TRY(store::manifest_of(store, record));
    lease->blob(made.descriptor.digest);
    TRY(store.content().put(made.text));
    std::vector<store::KeptBlob> blobs;
    const auto refer = [&](const oci::Descriptor& one) {
        if (store.content().has(one.digest))
            blobs.push_back({one.digest, static_cast<std::uint64_t>(one.size)});
    };
    refer(made.document.config);
    for (const auto& layer : made.document.layers) refer(layer);
    TRY(store.manifests().add({.repository = name,
                               .digest = made.descriptor.digest,
                               .media_type = made.descriptor.media_type,
                               .artifact_type = artifact_type_of(made.document),
                               .subject = {},
                               .size = made.text.size()},
                              blobs));
    TRY(store.manifests().tag(name, tag, made.descriptor.digest));
    return std::optional(made.descriptor.digest);
}

Result<std::string> OwnRegistry::Impl::resolve(const std::string& repository,
                                               const std::string& object) {
    if (object.find(':') != std::string::npos) {
        const auto sha256 = sha256_of(object);
        if (!sha256) return no_such_manifest(repository, object);
        return *sha256;
    }
    if (auto digest = store.manifests().find_tag(canonical(repository), object)) return *digest;
    const std::scoped_lock lock(naming);
    // Who had the lock may have set it.
    if (auto digest = store.manifests().find_tag(canonical(repository), object)) return *digest;
    if (auto digest = TRY(take_in_tagged(repository, object))) return *digest;
    return no_such_manifest(repository, object);
}

Result<OwnRegistry::Manifest> OwnRegistry::get_manifest(const std::string& repository,
                                                        const std::string& object,
                                                        const std::vector<std::string>& accepted) {
    const std::string digest = TRY(impl_->resolve(repository, object));
    Manifest manifest = TRY(impl_->read_manifest(repository, digest));
    if (accepts(accepted, manifest.media_type)) return manifest;
    if (oci::is_index_type(manifest.media_type) && object.find(':') == std::string::npos) {
        const auto index = TRY(oci::parse_index(manifest.text, manifest.media_type));
        const auto chosen = registry::choose_platform(index, oci::host_platform());
        if (chosen && accepts(accepted, chosen->media_type)) {
            const auto sha256 = impl_->sha256_of(chosen->digest);
            if (sha256) return impl_->read_manifest(repository, *sha256);
        }
    }
    return fail(Code::NotFound, "manifest {} is of type {}, which the client does not accept",
                object, manifest.media_type);
}

Result<std::vector<store::KeptBlob>> OwnRegistry::Impl::blobs_of(const std::string& repository,
                                                                 const oci::Manifest& manifest,
                                                                 store::Lease& lease) {
    std::vector<store::KeptBlob> blobs;
    const auto check = [&](const oci::Descriptor& one) -> Result<void> {
        const auto sha256 = sha256_of(one.digest);
        if (sha256) lease.blob(*sha256);
        if (!sha256 || !TRY(has_blob(repository, *sha256)))
            return fail(Code::NotFound, "blob {} is not in repository {}", one.digest, repository);
        const auto size = TRY(store.content().size(*sha256));
        if (std::cmp_not_equal(size, one.size))
            return fail(Code::InvalidArgument, "blob {} has {} bytes, not the {} declared",
                        one.digest, size, one.size);
        blobs.push_back({*sha256, size});
        return {};
    };
    TRY(check(manifest.config));
    for (const auto& layer : manifest.layers) {
        const auto here = check(layer);
        if (!here &&
            !(here.error().code == Code::NotFound && oci::is_foreign_layer_type(layer.media_type)))
            return fail(here.error());
    }
    return blobs;
}

Result<std::vector<store::KeptBlob>> OwnRegistry::Impl::manifests_of(const std::string& repository,
                                                                     const oci::Index& index,
                                                                     store::Lease& lease) {
    std::vector<store::KeptBlob> blobs;
    for (const auto& one : index.manifests) {
        const auto sha256 = sha256_of(one.digest);
        if (sha256) lease.blob(*sha256);
        const auto kept =
            sha256 ? TRY(store.manifests().find(canonical(repository), *sha256)) : std::nullopt;
        if (!kept) return no_such_manifest(repository, one.digest);
        if (std::cmp_not_equal(kept->size, one.size))
            return fail(Code::InvalidArgument, "manifest {} has {} bytes, not the {} declared",
                        one.digest, kept->size, one.size);
        blobs.push_back({*sha256, kept->size});
    }
    return blobs;
}

Result<OwnRegistry::Put> OwnRegistry::put_manifest(const std::string& repository,
                                                   const std::string& object,
                                                   const std::string& media_type,
                                                   const std::string& text) {
    auto& store = impl_->store;
    Manifest manifest{digest_of(text), media_type, text};
    Put done{.digest = manifest.digest};
    if (!media_type.empty() && !oci::is_manifest_type(media_type) &&
        !oci::is_index_type(media_type))
        return fail(Code::InvalidArgument, "unsupported media type \"{}\"", media_type);
    const bool by_digest = object.find(':') != std::string::npos;
    if (by_digest && !is_digest(object)) done.digest = sha512_digest_of(text);
    if (by_digest && done.digest != object)
        return fail(Code::InvalidArgument, "the manifest has digest {}, not {}", done.digest,
                    object);
    store::KeptManifest kept{.repository = impl_->canonical(repository),
                             .digest = manifest.digest,
                             .media_type = media_type,
                             .artifact_type = {},
                             .subject = {},
                             .size = text.size()};
    std::vector<store::KeptBlob> blobs;
    std::optional<oci::Descriptor> subject;
    const auto lease = store.lease();
    lease->blob(manifest.digest);
    if (TRY(oci::is_index(text, media_type))) {
        const auto index = TRY(oci::parse_index(text, media_type));
        if (manifest.media_type.empty()) manifest.media_type = index.media_type;
        blobs = TRY(impl_->manifests_of(repository, index, *lease));
        kept.artifact_type = index.artifact_type;
        subject = index.subject;
    } else {
        const auto image = TRY(oci::parse_manifest(text, media_type));
        if (manifest.media_type.empty()) manifest.media_type = image.media_type;
        blobs = TRY(impl_->blobs_of(repository, image, *lease));
        kept.artifact_type = artifact_type_of(image);
        subject = image.subject;
    }
    if (manifest.media_type.empty())
        return fail(Code::InvalidArgument, "neither a Content-Type nor a mediaType");
    kept.media_type = manifest.media_type;
    if (subject) {
        if (!is_digest(subject->digest) && !is_sha512_digest(subject->digest))
            return fail(Code::InvalidArgument, "subject: invalid digest \"{}\"", subject->digest);
        done.subject = subject->digest;
        kept.subject = impl_->sha256_of(subject->digest).value_or(subject->digest);
    }
    TRY(store.content().put(text));
    TRY(store.manifests().add(kept, blobs));
    impl_->stop_waiting(repository, blobs);
    if (done.digest != manifest.digest)
        TRY(store.manifests().add_alias(done.digest, manifest.digest));
    if (by_digest) return done;
    const auto image = impl_->make_image(repository, manifest, *lease);
    const std::scoped_lock lock(impl_->naming);
    const auto named = image ? impl_->name_image_locked(repository, object, manifest.digest, *image)
                             : Result<void>(fail(image.error()));
    if (named) return done;
    if (named.error().code != Code::NotImplemented) done.warning = named.error().message;
    TRY(impl_->drop_tag_locked(repository, object));
    TRY(store.manifests().tag(kept.repository, object, manifest.digest));
    return done;
}

Result<std::string> OwnRegistry::Impl::make_image(const std::string& repository,
                                                  const Manifest& manifest, store::Lease& lease) {
    Manifest own = manifest;
    const bool of_index = TRY(oci::is_index(manifest.text, manifest.media_type));
    if (of_index) {
        const auto index = TRY(oci::parse_index(manifest.text, manifest.media_type));
        const auto chosen = registry::choose_platform(index, oci::host_platform());
        if (!chosen) return fail(Code::NotImplemented, "{}", chosen.error().message);
        own = TRY(read_manifest(repository, sha256_of(chosen->digest).value_or(chosen->digest)));
    }
    const auto image = TRY(oci::parse_manifest(own.text, own.media_type));
    if (!oci::is_config_type(image.config.media_type))
        return fail(Code::NotImplemented, "no image");
    store::ImageRecord record;
    record.id = image.config.digest;
    const auto add = [&](store::BlobKind kind, const oci::Descriptor& one) -> Result<void> {
        if (!is_digest(one.digest))
            return fail(Code::InvalidArgument, "an image with digest {} does not run", one.digest);
        record.blobs.push_back(
            {kind, one.digest, one.media_type, static_cast<std::uint64_t>(one.size)});
        return {};
    };
    TRY(add(store::BlobKind::Config, image.config));
    for (const auto& layer : image.layers) {
        if (!oci::is_layer_type(layer.media_type))
            return fail(Code::InvalidArgument, "unsupported media type {} of a layer",
                        layer.media_type);
        TRY(add(store::BlobKind::Layer, layer));
    }
    record.blobs.push_back(
        {store::BlobKind::Manifest, own.digest, own.media_type, own.text.size()});
    if (of_index)
        record.blobs.push_back(
            {store::BlobKind::Index, manifest.digest, manifest.media_type, manifest.text.size()});
    for (const auto& blob : record.blobs) lease.blob(blob.digest);
    const std::string text = TRY(store.content().read(record.id));
    const auto config = TRY(oci::parse_image_config(text));
    const auto platform = oci::platform_of(config);
    if (oci::match_platform(oci::host_platform(), platform) == 0)
        return fail(Code::NotImplemented, "it is for {}", oci::to_string(platform));
    unpackings.acquire();
    const auto release = [](std::counting_semaphore<>* all) { all->release(); };
    const std::unique_ptr<std::counting_semaphore<>, decltype(release)> turn(&unpackings, release);
    TRY(store::assemble_image(store, lease, record, [](const auto&, auto, auto) {}));
    return record.id;
}

// The tag first: a manifest that loses it to another goes with keep_untagged, but at once when the
// name of its image goes.
Result<void> OwnRegistry::Impl::name_image_locked(const std::string& repository,
                                                  const std::string& tag, const std::string& digest,
                                                  const std::string& id) {
    TRY(store.manifests().tag(canonical(repository), tag, digest));
    return images.name_pushed(
        {.domain = options.name, .path = repository, .tag = tag, .digest = {}}, id, digest);
}

// With it the name of an image that was here, and the image, if it has no other and is not in use.
// Gives whether there was one.
Result<bool> OwnRegistry::Impl::drop_tag_locked(const std::string& repository,
                                                const std::string& tag) {
    const bool tagged = TRY(store.manifests().untag(canonical(repository), tag));
    const std::string reference = canonical(repository) + ":" + tag;
    if (!store.images().find_reference(reference)) return tagged;
    TRY(images.remove(reference, {.force = true, .keep_used = true, .platforms = {}}));
    return true;
}

Result<void> OwnRegistry::remove_manifest(const std::string& repository,
                                          const std::string& object) {
    const std::scoped_lock lock(impl_->naming);
    auto& manifests = impl_->store.manifests();
    const std::string name = impl_->canonical(repository);
    if (object.find(':') == std::string::npos) {
        if (!TRY(impl_->drop_tag_locked(repository, object)))
            return no_such_manifest(repository, object);
        return {};
    }
    const auto digest = impl_->sha256_of(object);
    if (!digest || !TRY(manifests.find(name, *digest))) return no_such_manifest(repository, object);
    for (const std::string& tag : TRY(manifests.tags_of(name, *digest)))
        TRY(impl_->drop_tag_locked(repository, tag));
    return manifests.remove(name, *digest);
}

Result<std::vector<std::string>> OwnRegistry::tags(const std::string& repository) const {
    const std::string name = impl_->canonical(repository);
    const auto kept = TRY(impl_->store.manifests().tags(name));
    std::set<std::string> all(kept.begin(), kept.end());
    for (const auto& record : TRY(impl_->store.images().list())) {
        for (const std::string& tag : record.tags) {
            if (tag.starts_with(name + ":")) all.insert(tag.substr(name.size() + 1));
        }
    }
    if (all.empty()) {
        const auto known = TRY(impl_->store.manifests().repositories(name));
        if (std::find(known.begin(), known.end(), name) == known.end())
            return fail(Code::NotFound, "repository {} is not known", repository);
    }
    return std::vector<std::string>(all.begin(), all.end());
}

Result<std::vector<std::string>> OwnRegistry::repositories() const {
    const std::string prefix = impl_->canonical("");
    std::set<std::string> all;
    for (const std::string& one : TRY(impl_->store.manifests().repositories(prefix)))
        all.insert(one.substr(prefix.size()));
    for (const auto& record : TRY(impl_->store.images().list())) {
        for (const std::string& tag : record.tags) {
            if (!tag.starts_with(prefix)) continue;
            all.insert(tag.substr(prefix.size(), tag.rfind(':') - prefix.size()));
        }
    }
    return std::vector<std::string>(all.begin(), all.end());
}

Result<OwnRegistry::Referrers> OwnRegistry::referrers(const std::string& repository,
                                                      const std::string& digest,
                                                      std::string_view artifact_type,
                                                      std::string_view last) const {
    Referrers found;
    std::uint64_t size = 0;
    const auto subject = impl_->sha256_of(digest).value_or(digest);
    for (const auto& kept :
         TRY(impl_->store.manifests().referrers(impl_->canonical(repository), subject))) {
        if (kept.digest <= last || (!artifact_type.empty() && kept.artifact_type != artifact_type))
            continue;
        // The annotations, which are in the answer, are a part of it.
        size += kept.size;
        found.more = !found.page.empty() && size > kMaxReferrers;
        if (found.more) break;
        oci::Descriptor one;
        one.media_type = kept.media_type;
        one.digest = kept.digest;
        one.size = static_cast<std::int64_t>(kept.size);
        one.artifact_type = kept.artifact_type;
        const auto text = TRY(impl_->store.content().read(kept.digest));
        one.annotations = TRY(oci::is_index(text, kept.media_type))
                              ? TRY(oci::parse_index(text, kept.media_type)).annotations
                              : TRY(oci::parse_manifest(text, kept.media_type)).annotations;
        found.page.push_back(std::move(one));
    }
    return found;
}

}  // namespace coffer::engine
