// Images::push: what docker's users see of it.
#include "engine/images_impl.hpp"
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

// What is sent of one image, layers first, the topmost of them at the front as docker lists them.
struct Parcel {
    std::vector<registry::BlobToSend> blobs;
    std::vector<std::string> shown;  // short ids of the layers; empty for the config
    store::ImageManifest manifest;
};

api::ProgressMessage message_of(const Parcel& parcel, const registry::SendUpdate& update) {
    using registry::SendStep;
    const registry::BlobToSend& blob = parcel.blobs[update.blob];
    const std::string& id = parcel.shown[update.blob];
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

}  // namespace

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

Result<void> Images::Impl::push_one(const oci::Reference& reference, registry::Client& client,
                                    const ImageProgress& progress) {
    const auto id = store.images().find_reference(reference.to_string());
    if (!id) return fail(Code::NotFound, "tag does not exist: {}", reference.familiar_string());
    const store::ImageRecord record = TRY(store.images().get(*id));
    const auto lease = store.lease();
    for (const store::ImageBlob& blob : record.blobs) lease->blob(blob.digest);

    Parcel parcel{.blobs = {}, .shown = {}, .manifest = TRY(store::manifest_of(store, record))};
    const auto sources = mountable(reference);
    const auto add = [&](const oci::Descriptor& one, const std::string& shown) -> Result<void> {
        registry::BlobToSend blob{.digest = one.digest,
                                  .size = static_cast<std::uint64_t>(one.size),
                                  .file = TRY(store.content().open(one.digest)),
                                  .mount_from = {}};
        if (const auto source = sources.find(one.digest); source != sources.end())
            blob.mount_from = source->second;
        parcel.blobs.push_back(std::move(blob));
        parcel.shown.push_back(shown);
        return {};
    };
    const auto info_of_image = TRY(info(record.id));
    const auto& diff_ids = info_of_image->config.rootfs.diff_ids;
    const auto& layers = parcel.manifest.document.layers;
    for (std::size_t i = layers.size(); i-- > 0;)
        TRY(add(layers[i], short_id(i < diff_ids.size() ? diff_ids[i] : layers[i].digest)));
    TRY(add(parcel.manifest.document.config, {}));

    // Messages come from several threads, one at a time; the config has none, as with docker.
    Sync<bool> sending;
    TRY(registry::send_blobs(client, reference.path, parcel.blobs,
                             [&](const registry::SendUpdate& update) {
                                 if (parcel.shown[update.blob].empty()) return;
                                 const auto turn = sending.lock();
                                 progress(message_of(parcel, update));
                             }));
    const oci::Descriptor& named = parcel.manifest.descriptor;
    TRY(registry::send_manifest(client, reference.path,
                                {.digest = named.digest,
                                 .media_type = named.media_type,
                                 .text = parcel.manifest.text,
                                 .tag = reference.tag}));
    {
        const std::scoped_lock lock(changing);
        TRY(store.images().add_digest(reference.name() + "@" + named.digest, record.id));
    }
    progress(progress_message(
        format("{}: digest: {} size: {}", reference.tag, named.digest, named.size)));
    api::ProgressMessage result;
    result.progress_detail.emplace();
    result.aux =
        json::Object{{"Tag", reference.tag}, {"Digest", named.digest}, {"Size", named.size}};
    progress(result);
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
    registry::Client client(impl_->client_options(wanted, options.auth), cancel);
    for (const auto& reference : references) TRY(impl_->push_one(reference, client, progress));
    const auto id = impl_->find(references.back().to_string());
    impl_->publish("push", wanted.familiar_string(), wanted.familiar_name(),
                   id ? *id : std::string());
    return {};
}

}  // namespace coffer::engine
