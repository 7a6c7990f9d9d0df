// A name that stands for several images: which one is meant, and what else its index has.
#include <algorithm>

#include "engine/images_impl.hpp"
#include "store/manifest.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kStatementType = "application/vnd.in-toto+json";

// The bytes of a manifest and of what it names, as far as they are here; `missing` tells of more.
std::int64_t content_size(store::Content& content, const oci::Descriptor& descriptor,
                          bool& missing) {
    missing = true;
    if (!content.has(descriptor.digest)) return 0;
    const auto text = content.read(descriptor.digest);
    if (!text) return 0;
    const auto manifest = oci::parse_manifest(*text, descriptor.media_type);
    if (!manifest) return 0;
    missing = false;
    auto size = static_cast<std::int64_t>(text->size());
    for (const auto& part : parts_of(*manifest)) {
        // What a manifest says of it may be anything.
        const auto here = content.size(part.digest);
        if (here)
            size += static_cast<std::int64_t>(*here);
        else
            missing = true;
    }
    return size;
}

}  // namespace

const store::ImageBlob* find_document(const store::ImageRecord& image, std::string_view digest) {
    const auto* index = image.find(store::BlobKind::Index, digest);
    return index != nullptr ? index : image.find(store::BlobKind::Manifest, digest);
}

std::vector<oci::Descriptor> parts_of(const oci::Manifest& manifest) {
    std::vector<oci::Descriptor> parts = manifest.layers;
    parts.push_back(manifest.config);
    return parts;
}

std::optional<std::string> Images::Impl::target_of(const std::string& name) const {
    const auto reference = oci::parse_reference(name);
    if (!reference) return {};
    return store.images().target_of(stored_name(*reference));
}

Result<std::string> Images::Impl::find_for(const std::string& name, const MaybePlatform& platform) {
    const std::string first = TRY(find(name));
    if (!platform) return first;
    std::vector<std::string> ids = {first};
    bool index = false;
    if (const auto target = target_of(name)) {
        const auto others = TRY(store.images().of_target(*target));
        ids.insert(ids.end(), others.begin(), others.end());
        const auto record = TRY(store.images().get(first));
        index = record.find(store::BlobKind::Index, *target) != nullptr;
    }
    std::string best;
    int best_score = oci::kSameArchitecture - 1;
    for (const std::string& id : ids) {
        const int score = oci::match_platform(*platform, oci::platform_of(TRY(info(id))->config));
        if (score <= best_score) continue;
        best = id;
        best_score = score;
    }
    if (!best.empty()) return best;
    if (index)
        return fail(Code::NotFound,
                    "image with reference {} was found but does not provide the specified platform "
                    "({})",
                    name, oci::to_string(*platform));
    return fail(Code::NotFound,
                "image with reference {} was found but its platform ({}) does not match the "
                "specified platform ({})",
                name, oci::to_string(oci::platform_of(TRY(info(first))->config)),
                oci::to_string(*platform));
}

Result<std::string> Images::Impl::choose_locked(const std::string& target,
                                                const std::string& latest) {
    std::string best = latest;
    const auto score_of = [&](const std::string& id) {
        const auto known = info(id);
        return known ? oci::match_platform(oci::host_platform(), oci::platform_of((*known)->config))
                     : 0;
    };
    int best_score = score_of(latest);
    for (const std::string& id : TRY(store.images().of_target(target))) {
        const int score = score_of(id);
        if (score <= best_score) continue;
        best = id;
        best_score = score;
    }
    return best;
}

Result<oci::Descriptor> Images::Impl::descriptor_of(const store::ImageRecord& image) {
    if (const auto* blob = find_document(image, image.target)) return store::descriptor_of(*blob);
    return TRY(store::manifest_of(store, image)).descriptor;
}

Result<std::vector<api::ManifestSummary>> Images::Impl::manifests_of(
    const store::ImageRecord& image, const std::vector<store::ImageRecord>& all) {
    std::vector<api::ManifestSummary> summaries;
    const auto image_of = [&](const std::string& manifest) -> const store::ImageRecord* {
        const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) {
            return one.find(store::BlobKind::Manifest, manifest) != nullptr;
        });
        return found == all.end() ? nullptr : &*found;
    };
    const auto add = [&](const oci::Descriptor& descriptor,
                         const store::ImageRecord* record) -> Result<void> {
        api::ManifestSummary summary;
        summary.id = descriptor.digest;
        summary.descriptor = descriptor;
        bool missing = false;
        summary.size.content = content_size(store.content(), descriptor, missing);
        const std::string attested = oci::attested_by(descriptor);
        const bool known = descriptor.platform && descriptor.platform->os != "unknown";
        if (!attested.empty()) {
            summary.kind = "attestation";
            summary.attestation_data.emplace().attested = attested;
        } else if (record != nullptr || known) {
            summary.kind = "image";
            auto& data = summary.image_data.emplace();
            if (descriptor.platform)
                data.platform = *descriptor.platform;
            else
                data.platform = oci::platform_of(TRY(info(record->id))->config);
            if (record != nullptr) {
                data.size.unpacked = static_cast<std::int64_t>(record->size);
                for (const ImageUser& user : users(record->id))
                    data.containers.push_back(user.container);
            }
        } else {
            summary.kind = "unknown";
        }
        summary.available = !missing && (summary.kind != "image" || record != nullptr);
        summary.size.total =
            summary.size.content + (summary.image_data ? summary.image_data->size.unpacked : 0);
        summaries.push_back(std::move(summary));
        return {};
    };
    const auto index = TRY(index_of(image, image.target));
    if (!index) {
        const auto manifest = TRY(store::manifest_of(store, image));
        TRY(add(manifest.descriptor, &image));
        // One that was made for it here is no blob.
        auto& only = summaries.front();
        if (image.find(store::BlobKind::Manifest, only.id) == nullptr) {
            only.available = true;
            for (const auto& blob : image.blobs)
                only.size.content += static_cast<std::int64_t>(blob.size);
            only.size.total += only.size.content;
        }
        return summaries;
    }
    for (const auto& entry : index->document.manifests) {
        TRY(add(entry, image_of(entry.digest)));
    }
    return summaries;
}

Result<std::optional<NamedIndex>> Images::Impl::index_of(const store::ImageRecord& image,
                                                         std::string_view digest) {
    const auto* blob = image.find(store::BlobKind::Index, digest);
    if (blob == nullptr) return std::optional<NamedIndex>();
    NamedIndex index{store::descriptor_of(*blob), {}, {}};
    index.text = TRY(store.content().read(digest));
    index.document = TRY(oci::parse_index(index.text, blob->media_type));
    return std::optional(std::move(index));
}

Result<bool> Images::Impl::is_whole(const oci::Index& index) {
    for (const auto& entry : index.manifests) {
        bool missing = !oci::is_manifest_type(entry.media_type);
        if (!missing) content_size(store.content(), entry, missing);
        if (missing) return false;
    }
    return true;
}

Result<std::string> Images::Impl::index_to_save(const std::string& name, const std::string& id) {
    const auto target = target_of(name);
    if (!target) return std::string();
    const auto record = TRY(store.images().get(id));
    const auto index = TRY(index_of(record, *target));
    if (!index) return std::string();
    const bool several = TRY(store.images().of_target(*target)).size() > 1;
    return several || TRY(is_whole(index->document)) ? *target : std::string();
}

Result<std::vector<api::AttestationStatement>> Images::attestations(
    const std::string& name, const AttestationOptions& options) const {
    auto& store = impl_->store;
    const MaybePlatform platform =
        options.platform ? options.platform : MaybePlatform(oci::host_platform());
    const auto record = TRY(impl_->find_record(name, platform));
    std::vector<api::AttestationStatement> statements;
    for (const auto& blob : record.blobs) {
        if (blob.kind != store::BlobKind::Attachment || !oci::is_manifest_type(blob.media_type))
            continue;
        const std::string text = TRY(store.content().read(blob.digest));
        const auto manifest = TRY(oci::parse_manifest(text, blob.media_type));
        for (const auto& layer : manifest.layers) {
            const auto type = layer.annotations.find("in-toto.io/predicate-type");
            if (layer.media_type != kStatementType || type == layer.annotations.end()) continue;
            const auto& wanted = options.types;
            if (!wanted.empty() &&
                std::find(wanted.begin(), wanted.end(), type->second) == wanted.end())
                continue;
            api::AttestationStatement statement{layer, type->second, {}};
            if (options.statement) {
                const std::string body = TRY(store.content().read(layer.digest));
                statement.statement =
                    TRY_CONTEXT(json::parse(body), "read attestation {}", layer.digest);
            }
            statements.push_back(std::move(statement));
        }
    }
    return statements;
}

}  // namespace coffer::engine
