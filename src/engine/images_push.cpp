// Images::push: what docker's users see of it.
#include <set>

#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "oci/image_spec.hpp"
#include "registry/upload.hpp"
#include "store/manifest.hpp"

namespace coffer::engine {

namespace {

api::ProgressMessage about_layer(std::string status, const std::string& id) {
    auto message = progress_message(std::move(status), id);
    message.progress_detail.emplace();
    return message;
}

// What is sent under one tag: the blobs of each manifest, layers first, the topmost of them at the
// front as docker lists them; then the manifests, the tagged one last.
struct Parcel {
    std::vector<registry::BlobToSend> blobs;
    std::vector<std::string> shown;  // short ids of the layers; empty for what docker does not show
    std::vector<std::string> skipped;  // of layers that the registry is not sent
    std::vector<registry::ManifestToSend> manifests;
};

}  // namespace

api::ProgressMessage message_of(const registry::BlobToSend& blob, const std::string& id,
                                const registry::SendUpdate& update) {
    using registry::SendStep;
    switch (update.step) {
        case SendStep::Preparing:
            return about_layer("Preparing", id);
        case SendStep::AlreadyExists:
            return about_layer("Layer already exists", id);
        case SendStep::Mounted:
            return about_layer("Mounted from " + blob.mount_from, id);
        case SendStep::Pushed:
            return about_layer("Pushed", id);
        case SendStep::Pushing:
            break;
    }
    auto message = about_layer("Pushing", id);
    message.progress_detail->current = static_cast<std::int64_t>(update.current);
    message.progress_detail->total = static_cast<std::int64_t>(blob.size);
    message.progress = progress_bar(update.current, blob.size);
    return message;
}

// Repositories of the same registry from which blobs can be mounted, by the blobs' digests.
std::map<std::string, std::string> Images::Impl::mountable(const oci::Reference& target) const {
    std::map<std::string, std::string> sources;
    const auto records = store.images().list();
    if (!records) return sources;
    for (const store::ImageRecord& record : *records) {
        for (const std::string& known : record.digests) {
            const auto reference = oci::parse_reference(known);
            if (!reference || reference->domain != target.domain || reference->path == target.path)
                continue;
            for (const store::ImageBlob& blob : record.blobs)
                sources.emplace(blob.digest, reference->path);
        }
    }
    return sources;
}

namespace {

// Puts together what is sent; each blob once.
class Packing {
  public:
    Packing(Images::Impl& images, const oci::Reference& to)
        : images_(images),
          sources_(images.mountable(to)),
          takes_foreign_(registry::takes_foreign_layers(images.registries.config(), to.domain)) {}

    Result<void> add_image(const store::ImageRecord& record) {
        const auto manifest = TRY(store::manifest_of(images_.store, record));
        const auto info = TRY(images_.info(record.id));
        const auto& diff_ids = info->config.rootfs.diff_ids;
        const auto& layers = manifest.document.layers;
        for (std::size_t i = layers.size(); i-- > 0;)
            TRY(add_blob(layers[i],
                         short_id(i < diff_ids.size() ? diff_ids[i] : layers[i].digest)));
        TRY(add_blob(manifest.document.config, {}));
        return add_manifest(manifest.descriptor, manifest.text);
    }
    Result<void> add_attestation(const oci::Descriptor& descriptor) {
        const std::string text = TRY(images_.store.content().read(descriptor.digest));
        const auto manifest = TRY(oci::parse_manifest(text, descriptor.media_type));
        for (const auto& layer : manifest.layers) TRY(add_blob(layer, {}));
        TRY(add_blob(manifest.config, {}));
        return add_manifest(descriptor, text);
    }
    Result<void> add_manifest(const oci::Descriptor& descriptor, std::string text) {
        parcel_.manifests.push_back({.digest = descriptor.digest,
                                     .media_type = descriptor.media_type,
                                     .text = std::move(text),
                                     .tag = descriptor.digest});
        return {};
    }
    Parcel take(const std::string& tag) {
        parcel_.manifests.back().tag = tag;
        return std::move(parcel_);
    }

  private:
    Result<void> add_blob(const oci::Descriptor& one, const std::string& shown) {
        if (!added_.insert(one.digest).second) return {};
        if (oci::is_foreign_layer_type(one.media_type) && !takes_foreign_) {
            parcel_.skipped.push_back(shown);
            return {};
        }
        auto file = TRY(images_.store.content().open(one.digest));
        registry::BlobToSend blob{.digest = one.digest,
                                  .size = static_cast<std::uint64_t>(one.size),
                                  .file = std::move(file),
                                  .mount_from = {}};
        if (const auto source = sources_.find(one.digest); source != sources_.end())
            blob.mount_from = source->second;
        parcel_.blobs.push_back(std::move(blob));
        parcel_.shown.push_back(shown);
        return {};
    }

    Images::Impl& images_;
    std::map<std::string, std::string> sources_;
    bool takes_foreign_;
    std::set<std::string> added_;
    Parcel parcel_;
};

}  // namespace

// The index if all of it is here, else the manifest of one image.
Result<void> Images::Impl::push_one(const oci::Reference& reference, const MaybePlatform& platform,
                                    const registry::Repository::Target& target,
                                    const ImageProgress& progress) {
    const std::string tag = reference.to_string();
    if (!store.images().find_reference(tag))
        return fail(Code::NotFound, "tag does not exist: {}", reference.familiar_string());
    const auto record = TRY(find_record(tag, platform));
    const auto target_digest = platform ? std::nullopt : target_of(tag);
    const auto index = TRY(index_of(record, target_digest.value_or("")));
    std::vector<store::ImageRecord> records = {record};
    const bool whole = index && TRY(is_whole(index->document));
    if (whole) {
        records.clear();
        for (const std::string& one : TRY(store.images().of_target(index->descriptor.digest)))
            records.push_back(TRY(store.images().get(one)));
    }
    const auto lease = store.lease();
    for (const auto& one : records) {
        for (const store::ImageBlob& blob : one.blobs) lease->blob(blob.digest);
    }

    Packing packing(*this, reference);
    for (const auto& one : records) TRY(packing.add_image(one));
    if (whole) {
        for (const auto& entry : index->document.manifests) {
            if (!oci::attested_by(entry).empty()) TRY(packing.add_attestation(entry));
        }
        TRY(packing.add_manifest(index->descriptor, index->text));
    }
    const Parcel parcel = packing.take(reference.tag);
    const auto& named = parcel.manifests.back();

    for (const std::string& id : parcel.skipped) progress(about_layer("Skipped foreign layer", id));
    // Messages come from several threads, one at a time; the config has none, as with docker.
    Sync<bool> sending;
    const auto tell = [&](const registry::SendUpdate& update) {
        const std::string& id = parcel.shown[update.blob];
        if (id.empty()) return;
        const auto turn = sending.lock();
        progress(message_of(parcel.blobs[update.blob], id, update));
    };
    const auto send_all = [&]() -> Result<void> {
        TRY(registry::send_blobs(target.client, target.repository, parcel.blobs, tell));
        for (const auto& manifest : parcel.manifests)
            TRY(registry::send_manifest(target.client, target.repository, manifest));
        return {};
    };
    // What a registry has already only needs its tag. One that has lost a part of it, and says so,
    // gets all of it.
    if (TRY(registry::has_manifest(target.client, target.repository, named)) &&
        registry::send_manifest(target.client, target.repository, named)) {
        for (std::size_t i = 0; i < parcel.blobs.size(); ++i)
            tell({i, registry::SendStep::AlreadyExists, 0});
    } else {
        TRY(send_all());
    }
    {
        const std::scoped_lock lock(changing);
        TRY(store.images().add_digest(reference.name() + "@" + named.digest, record.id));
    }
    progress(progress_message(
        format("{}: digest: {} size: {}", reference.tag, named.digest, named.text.size())));
    api::ProgressMessage result;
    result.progress_detail.emplace();
    result.aux =
        json::Object{{"Tag", reference.tag}, {"Digest", named.digest}, {"Size", named.text.size()}};
    progress(result);
    if (index && !whole) {
        const auto manifest = TRY(store::manifest_of(store, record));
        api::ProgressMessage note;
        note.aux = json::Object{{"manifestPushedInsteadOfIndex", true},
                                {"originalIndex", json::to_value(index->descriptor)},
                                {"selectedManifest", json::to_value(manifest.descriptor)}};
        progress(note);
    }
    return {};
}

Result<void> Images::push(const PushOptions& options, const ImageProgress& progress,
                          const Cancel& cancel) {
    auto wanted = TRY(oci::parse_reference_as_given(options.image));
    if (!options.tag.empty()) {
        if (!oci::is_tag(options.tag)) return fail(Code::InvalidArgument, "invalid tag format");
        wanted.tag = options.tag;
    }
    if (!wanted.digest.empty())
        return fail(Code::InvalidArgument, "cannot push a digest reference");
    std::vector<oci::Reference> references;
    for (const store::ImageRecord& record : TRY(impl_->store.images().list())) {
        for (const std::string& tag : record.tags) {
            if (repository_of(tag) != wanted.name()) continue;
            references.push_back(TRY(oci::parse_reference(tag)));
        }
    }
    progress(progress_message(format("The push refers to repository [{}]", wanted.name())));
    if (references.empty())
        return fail(Code::Internal, "An image does not exist locally with the tag: {}",
                    wanted.familiar_name());
    if (!wanted.tag.empty()) references = {wanted};
    const auto repository = TRY(open_repository(impl_->registries, wanted, options.auth, cancel));
    const auto target = TRY(repository->push_target());
    for (const auto& reference : references)
        TRY(impl_->push_one(reference, options.platform, target, progress));
    const auto id = impl_->find(references.back().to_string());
    impl_->publish("push", wanted.familiar_string(), wanted.familiar_name(),
                   id ? *id : std::string());
    return {};
}

}  // namespace coffer::engine
