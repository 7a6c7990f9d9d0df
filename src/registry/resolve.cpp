#include "registry/resolve.hpp"

#include "base/hash.hpp"
#include "json/value.hpp"

namespace coffer::registry {

namespace {

constexpr std::size_t kMaxManifest = 4U << 20U;
constexpr std::size_t kMaxTagPages = 1000;
constexpr std::size_t kMaxAttestations = 16;  // of one manifest; BuildKit makes one
// What a registry that has nothing else sends, whatever the request accepts.
constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1+";

const std::vector<std::string>& accepted_types() {
    static const std::vector<std::string> kTypes = {
        std::string(oci::media_type::kDockerManifest), std::string(oci::media_type::kManifest),
        std::string(oci::media_type::kDockerManifestList), std::string(oci::media_type::kIndex)};
    return kTypes;
}

Failure describe_refusal(const Reply& reply, const oci::Reference& reference) {
    const auto error = parse_error(reply);
    if (error.code == "DENIED")
        return fail(Code::NotFound,
                    "pull access denied for {}, repository does not exist or may require 'docker "
                    "login': {}",
                    reference.familiar_name(), error.text);
    if (error.code == "MANIFEST_UNKNOWN" || (error.code.empty() && reply.status == 404))
        return fail(Code::NotFound, "manifest for {} not found: {}", reference.familiar_string(),
                    error.code.empty() ? "manifest unknown: manifest unknown" : error.text);
    if (error.code == "NAME_UNKNOWN")
        return fail(Code::NotFound, "repository {} not found: {}", reference.familiar_name(),
                    error.text);
    return fail(Code::Internal, "Get \"{}\": {}", reply.url, error.text);
}

// As the registry says it.
Failure plain_refusal(const Reply& reply, const oci::Reference&) {
    const auto error = parse_error(reply);
    switch (reply.status) {
        case 401:
            return fail(Code::Unauthorized, "{}", error.text);
        case 403:
            return fail(Code::Forbidden, "{}", error.text);
        case 404:
            return fail(Code::NotFound, "{}",
                        error.code.empty() ? "manifest unknown: manifest unknown" : error.text);
        default:
            return fail(Code::Internal, "Get \"{}\": {}", reply.url, error.text);
    }
}

using Refusal = Failure (*)(const Reply& reply, const oci::Reference& reference);

Result<Document> get_document(Repository& repository, const oci::Reference& reference,
                              const std::string& object, Refusal refuse = &describe_refusal) {
    auto reply = TRY(repository.manifest(HttpMethod::Get, object, accepted_types(), kMaxManifest));
    if (reply.status != 200) return refuse(reply, reference);
    if (reply.content_type.starts_with(kSchema1))
        return fail(Code::InvalidArgument,
                    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support "
                    "has been removed. Suggest the author of {} to upgrade the image to the OCI "
                    "Format or Docker Image manifest v2, schema 2. More information at "
                    "https://docs.docker.com/go/deprecated-image-specs/",
                    reference.to_string());
    Document document{digest_of(reply.body), reply.content_type, std::move(reply.body)};
    const bool by_digest = object.find(':') != std::string::npos;
    const std::string& expected = by_digest ? object : reply.digest;
    if (!expected.empty() && expected != document.digest &&
        expected != sha512_digest_of(document.text))
        return fail(Code::Internal, "manifest verification failed for digest {}", expected);
    return document;
}

Result<void> check_layers(const oci::Manifest& manifest) {
    if (!oci::is_config_type(manifest.config.media_type))
        return fail(Code::Internal, "unsupported media type {}", manifest.config.media_type);
    const auto check = [](const oci::Descriptor& one) -> Result<void> {
        if (!is_digest(one.digest))
            return fail(Code::Internal, "unsupported digest '{}' in the manifest", one.digest);
        return {};
    };
    TRY(check(manifest.config));
    for (const auto& layer : manifest.layers) {
        if (!oci::is_layer_type(layer.media_type))
            return fail(Code::Internal, "unsupported media type {} of a layer", layer.media_type);
        TRY(check(layer));
    }
    return {};
}

}  // namespace

Result<Document> fetch_document(Repository& repository, const oci::Reference& reference,
                                const std::string& object) {
    return get_document(repository, reference, object);
}

Result<oci::Descriptor> choose_platform(const oci::Index& index, const oci::Platform& wanted) {
    const oci::Descriptor* best = nullptr;
    const oci::Descriptor* unnamed = nullptr;
    int best_score = 0;
    for (const auto& one : index.manifests) {
        if (!oci::is_manifest_type(one.media_type)) continue;
        if (!one.platform) {
            if (unnamed == nullptr) unnamed = &one;
            continue;
        }
        const int score = oci::match_platform(wanted, *one.platform);
        if (score > best_score) {
            best = &one;
            best_score = score;
        }
    }
    if (best == nullptr) best = unnamed;
    if (best == nullptr)
        return fail(Code::NotFound, "no matching manifest for {} in the manifest list entries",
                    oci::to_string(wanted));
    return *best;
}

Result<Plan> resolve(Repository& repository, const oci::Reference& reference,
                     const oci::Platform& platform) {
    Plan plan{reference, {}, {}, {}, {}};
    plan.documents.push_back(
        TRY(get_document(repository, reference, std::string(reference.object()))));
    const Document& first = plan.documents.front();
    plan.digest = first.digest;
    if (TRY(oci::is_index(first.text, first.media_type))) {
        const auto index = TRY(oci::parse_index(first.text, first.media_type));
        const auto chosen = TRY(choose_platform(index, platform));
        auto manifest = TRY(get_document(repository, reference, chosen.digest));
        if (std::cmp_not_equal(manifest.text.size(), chosen.size))
            return fail(Code::Internal, "manifest {} has {} bytes instead of the {} declared",
                        chosen.digest, manifest.text.size(), chosen.size);
        plan.documents.push_back(std::move(manifest));
        for (const auto& one : index.manifests) {
            if (oci::attested_by(one) == chosen.digest &&
                plan.attestations.size() < kMaxAttestations)
                plan.attestations.push_back(one);
        }
    }
    const Document& last = plan.documents.back();
    plan.manifest = TRY(oci::parse_manifest(last.text, last.media_type));
    TRY(check_layers(plan.manifest));
    return plan;
}

Result<Description> describe(Repository& repository, const oci::Reference& reference) {
    const auto document =
        TRY(get_document(repository, reference, std::string(reference.object()), &plain_refusal));
    Description out;
    out.descriptor.media_type = document.media_type;
    out.descriptor.digest = document.digest;
    out.descriptor.size = static_cast<std::int64_t>(document.text.size());
    if (TRY(oci::is_index(document.text, document.media_type))) {
        const auto index = TRY(oci::parse_index(document.text, document.media_type));
        for (const auto& one : index.manifests) {
            if (one.platform) out.platforms.push_back(*one.platform);
        }
        return out;
    }
    const auto manifest = TRY(oci::parse_manifest(document.text, document.media_type));
    // Of what is no image nothing more is known.
    if (!oci::is_config_type(manifest.config.media_type)) return out;
    std::string text;
    if (std::cmp_greater(manifest.config.size, kMaxManifest))
        return fail(Code::Internal, "config of the image has {} bytes, more than {}",
                    manifest.config.size, kMaxManifest);
    TRY(repository.download(manifest.config.digest,
                            static_cast<std::uint64_t>(manifest.config.size), 0,
                            [&](std::string_view bytes) -> Result<void> {
                                text += bytes;
                                return {};
                            }));
    if (digest_of(text) != manifest.config.digest)
        return fail(Code::Internal, "config verification failed for digest {}",
                    manifest.config.digest);
    const auto config = TRY(oci::parse_image_config(text));
    out.platforms.push_back({.architecture = config.architecture,
                             .os = config.os,
                             .os_version = config.os_version,
                             .os_features = config.os_features,
                             .variant = config.variant});
    return out;
}

Result<std::string> resolve_digest(Repository& repository, const oci::Reference& reference) {
    const auto reply = TRY(repository.manifest(HttpMethod::Head, std::string(reference.object()),
                                               accepted_types(), kMaxManifest));
    return reply.status == 200 && is_digest(reply.digest) ? reply.digest : std::string();
}

Result<std::vector<std::string>> list_tags(Repository& repository,
                                           const oci::Reference& reference) {
    std::vector<std::string> tags;
    std::string path = "tags/list";
    for (std::size_t page = 0; page < kMaxTagPages; ++page) {
        const auto reply = TRY(repository.get(Repository::About::Tags, path, {}, kMaxManifest));
        if (reply.status != 200) return describe_refusal(reply, reference);
        const auto document = TRY_CONTEXT(json::parse(reply.body), "read the list of tags");
        const json::Value* list = document.find("tags");
        if (list != nullptr && list->if_array() != nullptr) {
            for (const auto& tag : *list->if_array()) {
                if (tag.if_string() != nullptr && oci::is_tag(*tag.if_string()))
                    tags.push_back(*tag.if_string());
            }
        }
        // Link: </v2/name/tags/list?last=x&n=100>; rel="next"
        const auto query = cut(reply.link, "?");
        if (!query || reply.link.find("rel=\"next\"") == std::string::npos) return tags;
        path = "tags/list?" + std::string(query->second.substr(0, query->second.find('>')));
    }
    return fail(Code::Internal, "list of tags of {} has no end", reference.familiar_name());
}

}  // namespace coffer::registry
