#include "registry/resolve.hpp"

#include "base/hash.hpp"
#include "json/value.hpp"

namespace coffer::registry {

namespace {

constexpr std::size_t kMaxManifest = 4U << 20U;
constexpr std::size_t kMaxTagPages = 1000;

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

Result<Document> get_document(Client& client, const oci::Reference& reference,
                              const std::string& object) {
    auto reply =
        TRY(client.get(reference.path, "manifests/" + object, accepted_types(), kMaxManifest));
    if (reply.status != 200) return describe_refusal(reply, reference);
    Document document{digest_of(reply.body), reply.content_type, std::move(reply.body)};
    const std::string expected = is_digest(object) ? object : reply.digest;
    if (!expected.empty() && expected != document.digest)
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
        if (!oci::is_layer_type(layer.media_type) ||
            layer.media_type == oci::media_type::kDockerForeignLayer)
            return fail(Code::Internal, "unsupported media type {} of a layer", layer.media_type);
        TRY(check(layer));
    }
    return {};
}

}  // namespace

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

Result<Plan> resolve(Client& client, const oci::Reference& reference,
                     const oci::Platform& platform) {
    Plan plan{reference, {}, {}, {}};
    plan.documents.push_back(TRY(get_document(client, reference, std::string(reference.object()))));
    const Document& first = plan.documents.front();
    plan.digest = first.digest;
    if (TRY(oci::is_index(first.text, first.media_type))) {
        const auto index = TRY(oci::parse_index(first.text, first.media_type));
        const auto chosen = TRY(choose_platform(index, platform));
        auto manifest = TRY(get_document(client, reference, chosen.digest));
        if (std::cmp_not_equal(manifest.text.size(), chosen.size))
            return fail(Code::Internal, "manifest {} has {} bytes instead of the {} declared",
                        chosen.digest, manifest.text.size(), chosen.size);
        plan.documents.push_back(std::move(manifest));
    }
    const Document& last = plan.documents.back();
    plan.manifest = TRY(oci::parse_manifest(last.text, last.media_type));
    TRY(check_layers(plan.manifest));
    return plan;
}

Result<std::vector<std::string>> list_tags(Client& client, const oci::Reference& reference) {
    std::vector<std::string> tags;
    std::string path = "tags/list";
    for (std::size_t page = 0; page < kMaxTagPages; ++page) {
        const auto reply = TRY(client.get(reference.path, path, {}, kMaxManifest));
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
