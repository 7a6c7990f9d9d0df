#include "registry/signatures.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "json/value.hpp"
#include "oci/image_spec.hpp"
#include "registry/upload.hpp"
#include "sys/memfd.hpp"

namespace coffer::registry {

namespace {

constexpr std::size_t kMaxManifest = 1U << 20U;

Result<std::string> fetch_payload(Repository& repository, const oci::Descriptor& layer) {
    if (std::cmp_greater(layer.size, trust::kMaxPayload) || !is_digest(layer.digest))
        return fail(Code::Internal, "payload {} has {} bytes, more than {}, or no sha256",
                    layer.digest, layer.size, trust::kMaxPayload);
    std::string payload;
    TRY(repository.download(layer.digest, static_cast<std::uint64_t>(layer.size), 0,
                            [&](std::string_view bytes) -> Result<void> {
                                payload += bytes;
                                return {};
                            }));
    if (digest_of(payload) != layer.digest)
        return fail(Code::Internal, "payload verification failed for digest {}", layer.digest);
    return payload;
}

Result<trust::Signature> fetch_one(Repository& repository, const oci::Descriptor& layer) {
    const auto text = layer.annotations.find(std::string(trust::kSignatureAnnotation));
    if (text == layer.annotations.end() || text->second.size() > trust::kMaxSignature)
        return fail(Code::Internal, "no {} of at most {} bytes at payload {}",
                    trust::kSignatureAnnotation, trust::kMaxSignature, layer.digest);
    auto bytes = from_base64(text->second);
    if (!bytes)
        return fail(Code::Internal, "the signature at payload {} is no base64", layer.digest);
    return trust::Signature{TRY(fetch_payload(repository, layer)), *std::move(bytes)};
}

}  // namespace

Result<std::vector<trust::Signature>> fetch_signatures(Repository& repository,
                                                       const std::string& digest) {
    const std::string tag = trust::signature_tag(digest);
    const auto fetch = [&]() -> Result<std::vector<trust::Signature>> {
        std::vector<trust::Signature> signatures;
        const Reply reply = TRY(repository.manifest(
            HttpMethod::Get, tag, {std::string(oci::media_type::kManifest)}, kMaxManifest));
        if (reply.status == 404) return signatures;
        if (reply.status != 200) return fail(Code::Internal, "{}", parse_error(reply).text);
        const auto manifest = TRY(oci::parse_manifest(reply.body, reply.content_type));
        if (manifest.layers.size() > trust::kMaxSignatures)
            return fail(Code::Internal, "{} signatures, more than {}", manifest.layers.size(),
                        trust::kMaxSignatures);
        for (const oci::Descriptor& layer : manifest.layers) {
            if (layer.media_type == trust::kPayloadType)
                signatures.push_back(TRY(fetch_one(repository, layer)));
        }
        return signatures;
    };
    return TRY_CONTEXT(fetch(), "fetch the signatures {}", tag);
}

namespace {

json::Object descriptor_of(std::string_view media_type, const std::string& bytes) {
    return {{"mediaType", media_type}, {"size", bytes.size()}, {"digest", digest_of(bytes)}};
}

Result<BlobToSend> blob_of(const std::string& bytes) {
    sys::Fd file = TRY(sys::sealed_memfd("signature", bytes));
    return BlobToSend{.digest = digest_of(bytes),
                      .size = bytes.size(),
                      .file = std::move(file),
                      .mount_from = {}};
}

// The layers that are at the tag.
Result<json::Array> known_layers(const Repository::Target& target, const std::string& tag) {
    const Reply reply =
        TRY(target.client.send(pull_ask(target.repository, "manifests/" + tag,
                                        {std::string(oci::media_type::kManifest)}, kMaxManifest)));
    if (reply.status == 404) return json::Array();
    if (reply.status != 200) return fail(Code::Internal, "{}", parse_error(reply).text);
    TRY(oci::parse_manifest(reply.body, reply.content_type));
    const json::Value document = TRY(json::parse(reply.body));
    const json::Value* layers = document.find("layers");
    return layers == nullptr || layers->if_array() == nullptr ? json::Array() : *layers->if_array();
}

}  // namespace

Result<void> add_signature(Repository& repository, const std::string& digest,
                           const trust::Signature& signature) {
    const std::string tag = trust::signature_tag(digest);
    const auto target = TRY(repository.push_target());
    json::Array layers = TRY_CONTEXT(known_layers(target, tag), "read the signatures {}", tag);
    json::Object layer = descriptor_of(trust::kPayloadType, signature.payload);
    layer.push_back({"annotations", json::Object{{std::string(trust::kSignatureAnnotation),
                                                  to_base64(signature.signature)}}});
    const json::Value added(std::move(layer));
    if (std::find(layers.begin(), layers.end(), added) != layers.end()) return {};
    layers.push_back(added);
    if (layers.size() > trust::kMaxSignatures)
        return fail(Code::Conflict, "{} has {} signatures already", digest, layers.size() - 1);

    // cosign's reader wants a config of an image, whose layers are the payloads.
    json::Array diff_ids;
    for (const json::Value& one : layers) {
        const json::Value* id = one.find("digest");
        if (id != nullptr) diff_ids.push_back(*id);
    }
    const std::string config = json::write(
        json::Object{{"architecture", ""},
                     {"created", "0001-01-01T00:00:00Z"},
                     {"os", ""},
                     {"config", json::Object()},
                     {"rootfs", json::Object{{"type", "layers"}, {"diff_ids", diff_ids}}}});
    const std::string manifest =
        json::write(json::Object{{"schemaVersion", 2},
                                 {"mediaType", oci::media_type::kManifest},
                                 {"config", descriptor_of(oci::media_type::kConfig, config)},
                                 {"layers", std::move(layers)}});
    std::vector<BlobToSend> blobs;
    blobs.push_back(TRY(blob_of(signature.payload)));
    blobs.push_back(TRY(blob_of(config)));
    TRY(send_blobs(target.client, target.repository, blobs, [](const SendUpdate&) {}));
    TRY(send_manifest(target.client, target.repository,
                      {.digest = digest_of(manifest),
                       .media_type = std::string(oci::media_type::kManifest),
                       .text = manifest,
                       .tag = tag}));
    return {};
}

}  // namespace coffer::registry
