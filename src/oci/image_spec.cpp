#include "oci/image_spec.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace coffer::oci {

namespace {

// "Application/JSON; charset=utf-8" -> "application/json".
std::string plain_type(std::string_view content_type) {
    return to_lower(trim(content_type.substr(0, content_type.find(';'))));
}

// What careless servers send for any document; it says nothing.
bool is_generic(std::string_view type) {
    return type.empty() || type == "application/json" || type == "application/octet-stream" ||
           type == "text/plain" || type == "binary/octet-stream";
}

bool has_member(const json::Object& document, std::string_view name) {
    return std::ranges::any_of(document, [&](const json::Member& member) {
        return equals_ignoring_case(member.key, name);
    });
}

// Parses and refuses what different readers would read in different ways.
Result<json::Value> unambiguous(std::string_view text) {
    json::Value document = TRY(json::parse(text));
    const json::Object* members = document.if_object();
    if (members == nullptr) return fail(Code::InvalidArgument, "expected a JSON object");
    std::map<std::string, std::string_view> seen;
    for (const json::Member& member : *members) {
        const auto [twin, is_new] = seen.emplace(to_lower(member.key), member.key);
        if (!is_new)
            return fail(Code::InvalidArgument, "members \"{}\" and \"{}\" differ only in case",
                        twin->second, member.key);
    }
    return document;
}

// The media type of a document: what it says itself and what the server said must agree.
Result<std::string> agreed_type(const json::Value& document, std::string_view content_type) {
    const std::string outside = plain_type(content_type);
    std::string inside;
    if (const json::Value* media_type = document.find("mediaType")) {
        const std::string* said = media_type->if_string();
        if (said == nullptr) return fail(Code::InvalidArgument, "mediaType is no string");
        inside = *said;
    }
    if (is_generic(outside)) return inside;
    if (!inside.empty() && inside != outside)
        return fail(Code::InvalidArgument, "mediaType \"{}\" inside, but served as \"{}\"", inside,
                    outside);
    return outside;
}

Result<void> check_descriptor(const Descriptor& descriptor, std::string_view what) {
    if (!is_digest(descriptor.digest) && !is_sha512_digest(descriptor.digest))
        return fail(Code::InvalidArgument, "{}: invalid digest \"{}\"", what, descriptor.digest);
    if (descriptor.size < 0) return fail(Code::InvalidArgument, "{}: negative size", what);
    return {};
}

Result<void> check_version(std::int32_t version) {
    if (version != 2) return fail(Code::InvalidArgument, "schemaVersion {} is not 2", version);
    return {};
}

Result<bool> type_is_index(const json::Value& document, std::string_view content_type) {
    const std::string type = TRY(agreed_type(document, content_type));
    if (is_index_type(type)) return true;
    if (is_manifest_type(type)) return false;
    if (!type.empty()) return fail(Code::InvalidArgument, "unsupported media type \"{}\"", type);
    const json::Object& members = *document.if_object();
    const bool index = has_member(members, "manifests");
    const bool manifest = has_member(members, "layers") || has_member(members, "config");
    if (index == manifest)
        return fail(Code::InvalidArgument, "neither a manifest nor an index, or both");
    return index;
}

// The checks that both kinds share; then decodes.
template <class T>
Result<T> decode_document(std::string_view text, std::string_view content_type, bool want_index) {
    const json::Value document = TRY(unambiguous(text));
    const bool index = TRY(type_is_index(document, content_type));
    if (index != want_index)
        return fail(Code::InvalidArgument, "expected {}", want_index ? "an index" : "a manifest");
    const json::Object& members = *document.if_object();
    const std::vector<std::string_view> foreign =
        want_index ? std::vector<std::string_view>{"config", "layers", "fsLayers"}
                   : std::vector<std::string_view>{"manifests", "fsLayers"};
    for (const std::string_view name : foreign)
        if (has_member(members, name))
            return fail(Code::InvalidArgument, "{} that also has \"{}\" is ambiguous",
                        want_index ? "an index" : "a manifest", name);
    if (document.find("schemaVersion") == nullptr)
        return fail(Code::InvalidArgument, "no schemaVersion");
    T out = TRY(json::decode_value<T>(document));
    TRY(check_version(out.schema_version));
    return out;
}

}  // namespace

bool is_manifest_type(std::string_view media_type) {
    return media_type == media_type::kManifest || media_type == media_type::kDockerManifest;
}

bool is_index_type(std::string_view media_type) {
    return media_type == media_type::kIndex || media_type == media_type::kDockerManifestList;
}

bool is_config_type(std::string_view media_type) {
    return media_type == media_type::kConfig || media_type == media_type::kDockerConfig;
}

bool is_layer_type(std::string_view type) {
    return type == media_type::kLayer || type == media_type::kLayerGzip ||
           type == media_type::kLayerZstd || type == media_type::kDockerLayer ||
           type == media_type::kDockerLayerGzip || is_foreign_layer_type(type);
}

bool is_foreign_layer_type(std::string_view type) {
    return type == media_type::kDockerForeignLayer ||
           type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar");
}

std::string artifact_type_of(const Manifest& manifest) {
    return manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
}

std::string attested_by(const Descriptor& entry) {
    const auto type = entry.annotations.find("vnd.docker.reference.type");
    const auto digest = entry.annotations.find("vnd.docker.reference.digest");
    if (type == entry.annotations.end() || type->second != "attestation-manifest" ||
        digest == entry.annotations.end() || !is_digest(digest->second))
        return {};
    return digest->second;
}

Result<Manifest> parse_manifest(std::string_view text, std::string_view content_type) {
    Manifest manifest =
        TRY_CONTEXT(decode_document<Manifest>(text, content_type, false), "invalid image manifest");
    TRY_CONTEXT(check_descriptor(manifest.config, "config"), "invalid image manifest");
    for (std::size_t i = 0; i < manifest.layers.size(); ++i)
        TRY_CONTEXT(check_descriptor(manifest.layers[i], "layer " + std::to_string(i)),
                    "invalid image manifest");
    return manifest;
}

Result<Index> parse_index(std::string_view text, std::string_view content_type) {
    Index index =
        TRY_CONTEXT(decode_document<Index>(text, content_type, true), "invalid image index");
    for (std::size_t i = 0; i < index.manifests.size(); ++i)
        TRY_CONTEXT(check_descriptor(index.manifests[i], "manifest " + std::to_string(i)),
                    "invalid image index");
    return index;
}

Result<bool> is_index(std::string_view text, std::string_view content_type) {
    const json::Value document = TRY_CONTEXT(unambiguous(text), "invalid image manifest");
    return TRY_CONTEXT(type_is_index(document, content_type), "invalid image manifest");
}

Result<ImageConfig> parse_image_config(std::string_view text) {
    const json::Value document = TRY_CONTEXT(unambiguous(text), "invalid image config");
    ImageConfig config =
        TRY_CONTEXT(json::decode_value<ImageConfig>(document), "invalid image config");
    if (config.os.empty() || config.architecture.empty())
        return fail(Code::InvalidArgument, "invalid image config: no os or architecture");
    if (config.rootfs.type != "layers")
        return fail(Code::InvalidArgument, "invalid image config: rootfs of type \"{}\"",
                    config.rootfs.type);
    for (const std::string& diff_id : config.rootfs.diff_ids)
        if (!is_digest(diff_id))
            return fail(Code::InvalidArgument, "invalid image config: invalid diff id \"{}\"",
                        diff_id);
    return config;
}

Platform platform_of(const ImageConfig& config) {
    return normalise({.architecture = config.architecture,
                      .os = config.os,
                      .os_version = config.os_version,
                      .os_features = config.os_features,
                      .variant = config.variant});
}

}  // namespace coffer::oci
