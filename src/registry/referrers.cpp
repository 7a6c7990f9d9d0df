#include "registry/referrers.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "registry/auth.hpp"
#include "registry/upload.hpp"

namespace coffer::registry {

namespace {

constexpr std::size_t kMaxIndex = 4U << 20U;
constexpr std::size_t kMaxPages = 100;
constexpr std::size_t kMaxReferrers = 10'000;

const std::vector<std::string>& accepted_types() {
    static const std::vector<std::string> kTypes = {std::string(oci::media_type::kIndex)};
    return kTypes;
}

std::string tag_of(std::string digest) {
    std::replace(digest.begin(), digest.end(), ':', '-');
    return digest;
}

Failure refusal(const Reply& reply, const std::string& digest) {
    return fail(Code::Internal, "list referrers of {}: {}", digest, parse_error(reply).text);
}

// The index that stands for the list; an empty one when there is none.
Result<oci::Index> read_tagged(Repository& repository, const std::string& digest) {
    const auto reply =
        TRY(repository.manifest(HttpMethod::Get, tag_of(digest), accepted_types(), kMaxIndex));
    if (reply.status == 404) return oci::Index{.media_type = std::string(oci::media_type::kIndex)};
    if (reply.status != 200) return refusal(reply, digest);
    return oci::parse_index(reply.body, reply.content_type);
}

}  // namespace

Result<std::vector<oci::Descriptor>> list_referrers(Repository& repository,
                                                    const std::string& digest,
                                                    const std::string& artifact_type) {
    std::vector<oci::Descriptor> found;
    std::string query;
    if (!artifact_type.empty()) query = "?artifactType=" + url_encode(artifact_type);
    for (std::size_t page = 0;; ++page) {
        if (page == kMaxPages) return fail(Code::Internal, "referrers of {} have no end", digest);
        const auto reply =
            TRY(repository.get(Repository::About::Content, "referrers/" + digest + query,
                               accepted_types(), kMaxIndex));
        if (reply.status == 404 && page == 0) {
            found = TRY(read_tagged(repository, digest)).manifests;
            break;
        }
        if (reply.status != 200) return refusal(reply, digest);
        const auto index = TRY_CONTEXT(oci::parse_index(reply.body, reply.content_type),
                                       "list referrers of {}", digest);
        found.insert(found.end(), index.manifests.begin(), index.manifests.end());
        if (found.size() > kMaxReferrers)
            return fail(Code::Internal, "{} has more than {} referrers", digest, kMaxReferrers);
        // Link: </v2/name/referrers/sha256:...?last=x>; rel="next"
        const auto next = cut(reply.link, "?");
        if (!next || reply.link.find("rel=\"next\"") == std::string::npos) break;
        query = "?" + std::string(next->second.substr(0, next->second.find('>')));
    }
    // A registry may leave that to us.
    if (!artifact_type.empty())
        std::erase_if(found, [&](const auto& one) { return one.artifact_type != artifact_type; });
    return found;
}

Result<void> add_referrer(Repository& repository, const Repository::Target& target,
                          const std::string& subject, const oci::Descriptor& referrer) {
    oci::Index index = TRY(read_tagged(repository, subject));
    std::erase_if(index.manifests, [&](const auto& one) { return one.digest == referrer.digest; });
    index.manifests.push_back(referrer);
    const std::string text = json::encode(index);
    TRY_CONTEXT(send_manifest(target.client, target.repository,
                              {.digest = digest_of(text),
                               .media_type = std::string(oci::media_type::kIndex),
                               .text = text,
                               .tag = tag_of(subject)}),
                "list {} as a referrer", referrer.digest);
    return {};
}

}  // namespace coffer::registry
