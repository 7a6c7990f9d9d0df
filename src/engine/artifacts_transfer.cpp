// Artifacts that come from and go to registries.
#include "base/hash.hpp"
#include "engine/artifacts.hpp"
#include "engine/images_impl.hpp"
#include "registry/referrers.hpp"
#include "registry/resolve.hpp"
#include "registry/upload.hpp"

namespace coffer::engine {

namespace {

// As it says itself; a manifest may leave it out.
std::string type_of(const oci::Manifest& manifest) {
    return manifest.media_type.empty() ? std::string(oci::media_type::kManifest)
                                       : manifest.media_type;
}

}  // namespace

Result<void> Artifacts::pull(const std::string& given, const std::string& auth,
                             const ImageProgress& progress, const Cancel& cancel) {
    const auto name = TRY(oci::parse_reference(given));
    if (name.tag.empty())
        return fail(Code::InvalidArgument,
                    "{}: an artifact needs a tag: name it NAME:TAG or NAME:TAG@DIGEST", given);
    const auto repository = TRY(open_repository(images_.registries(), name, auth, cancel));
    const auto document =
        TRY(registry::fetch_document(*repository, name, std::string(name.object())));
    const auto manifest = oci::parse_manifest(document.text, document.media_type);
    const std::string kind = manifest ? oci::artifact_type_of(*manifest) : "";
    if (kind.empty() || oci::is_config_type(kind))
        return fail(Code::InvalidArgument, "{} is no artifact{}", name.familiar_string(),
                    !manifest      ? ": " + manifest.error().message
                    : kind.empty() ? ": it has no type"
                                   : ", but an image");
    const auto vouchers = TRY(images_.vouch_for_artifact(name, *repository, document.digest));
    progress(progress_message("Pulling from " + name.path, std::string(name.object())));
    const auto lease = store_.lease();
    const auto parts = parts_of(*manifest);
    for (const auto& part : parts) {
        if (!is_digest(part.digest))
            return fail(Code::Internal, "unsupported digest '{}' in the manifest", part.digest);
    }
    for (const auto& part : parts) {
        TRY(registry::fetch_blob(
            *repository, {store_, in_flight_}, *lease, part,
            [&](const registry::LayerUpdate& update) { progress(message_of(update)); }, cancel));
    }
    {
        const std::scoped_lock lock(changing_);
        TRY(keep_locked(name, type_of(*manifest), document.text, vouchers, *lease));
    }
    progress(progress_message("Digest: " + document.digest));
    publish("pull", name.familiar_string(), document.digest);
    return {};
}

Result<void> Artifacts::push(const ArtifactPushOptions& options, const ImageProgress& progress,
                             const Cancel& cancel) {
    const Found found = TRY(find(options.name));
    // The login that comes along is for the registry of the name that was given.
    const auto given = TRY(oci::parse_reference(options.name));
    if (given.name() != found.repository)
        return fail(Code::InvalidArgument, "name the artifact to push: {}",
                    familiar(found.repository + ":" + found.tag));
    const auto lease = store_.lease();
    lease->blob(found.digest);
    const auto name = TRY(oci::parse_reference(found.repository + ":" + found.tag));
    std::string text = TRY(store_.content().read(found.digest));
    progress(progress_message(format("The push refers to repository [{}]", name.name())));
    const auto repository = TRY(open_repository(images_.registries(), name, options.auth, cancel));
    if (!options.subject.empty()) {
        const auto about = TRY(oci::parse_reference(options.subject));
        if (about.name() != name.name())
            return fail(Code::InvalidArgument, "subject {} is not in repository {}",
                        options.subject, name.familiar_name());
        const auto document =
            TRY(registry::fetch_document(*repository, about, std::string(about.object())));
        // All else stays as it is.
        json::Value changed = TRY(json::parse(text));
        changed.set("subject", json::Object{{"mediaType", document.media_type},
                                            {"digest", document.digest},
                                            {"size", document.text.size()}});
        text = json::write(changed);
    }
    const auto manifest = TRY(oci::parse_manifest(text, ""));
    const auto target = TRY(repository->push_target());
    std::vector<registry::BlobToSend> blobs;
    for (const auto& part : parts_of(manifest)) {
        const auto same = [&](const registry::BlobToSend& one) {
            return one.digest == part.digest;
        };
        if (std::any_of(blobs.begin(), blobs.end(), same)) continue;
        lease->blob(part.digest);
        auto file = TRY(store_.content().open(part.digest));
        blobs.push_back({.digest = part.digest,
                         .size = static_cast<std::uint64_t>(part.size),
                         .file = std::move(file),
                         .mount_from = {}});
    }
    // Messages come from several threads, one at a time.
    Sync<bool> sending;
    TRY(registry::send_blobs(target.client, target.repository, blobs,
                             [&](const registry::SendUpdate& update) {
                                 const auto turn = sending.lock();
                                 const auto& blob = blobs[update.blob];
                                 progress(message_of(blob, short_id(blob.digest), update));
                             }));
    const std::string digest = digest_of(text);
    const std::string type = type_of(manifest);
    const auto noted = TRY(registry::send_manifest(
        target.client, target.repository,
        {.digest = digest, .media_type = type, .text = text, .tag = name.tag}));
    if (manifest.subject && noted.empty()) {
        oci::Descriptor one;
        one.media_type = type;
        one.digest = digest;
        one.size = static_cast<std::int64_t>(text.size());
        one.artifact_type = oci::artifact_type_of(manifest);
        one.annotations = manifest.annotations;
        TRY(registry::add_referrer(*repository, target, manifest.subject->digest, one));
    }
    progress(progress_message(format("{}: digest: {} size: {}", name.tag, digest, text.size())));
    publish("push", name.familiar_string(), digest);
    return {};
}

Result<std::vector<oci::Descriptor>> Artifacts::referrers(const std::string& name,
                                                          const std::string& type,
                                                          const std::string& auth,
                                                          const Cancel& cancel) const {
    const auto reference = TRY(oci::parse_reference(name));
    const auto repository = TRY(open_repository(images_.registries(), reference, auth, cancel));
    std::string digest = reference.digest;
    if (digest.empty())
        digest = TRY(registry::fetch_document(*repository, reference, reference.tag)).digest;
    return registry::list_referrers(*repository, digest, type);
}

}  // namespace coffer::engine
