#include <fnmatch.h>

#include <algorithm>

#include "base/log.hpp"
#include "engine/images_impl.hpp"

namespace coffer::engine {

bool matches_reference(const std::vector<std::string>& patterns, const std::string& canonical) {
    const auto reference = oci::parse_reference_as_given(canonical);
    if (!reference) return false;
    const std::string whole = reference->familiar_string();
    const std::string name = reference->familiar_name();
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        return ::fnmatch(pattern.c_str(), whole.c_str(), FNM_PATHNAME) == 0 ||
               ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0;
    });
}

namespace {

// The earliest of the times or creation times that a filter names.
struct Bounds {
    std::optional<Time> before;
    std::optional<Time> since;
};

Result<Bounds> read_bounds(Images::Impl& images, const Filters& filters) {
    Bounds bounds;
    const auto created = [&](const std::string& name) -> Result<Time> {
        const std::string id = TRY(images.find(name));
        return TRY(images.info(id))->created;
    };
    for (const auto& name : filters.get("before")) {
        const Time time = TRY(created(name));
        bounds.before = std::min(bounds.before.value_or(time), time);
    }
    for (const auto& name : filters.get("since")) {
        const Time time = TRY(created(name));
        bounds.since = std::max(bounds.since.value_or(time), time);
    }
    for (const auto& text : filters.get("until")) {
        const auto time = parse_timestamp(text, now());
        if (!time) return fail(Code::InvalidArgument, "invalid filter 'until={}'", text);
        bounds.before = std::min(bounds.before.value_or(*time), *time);
    }
    return bounds;
}

// For each layer how many images have it.
using LayerUses = std::map<std::string, std::pair<int, std::uint64_t>>;

LayerUses count_layers(store::Store& store, const std::vector<store::ImageRecord>& images) {
    LayerUses uses;
    for (const auto& image : images) {
        const auto chain = store.layers().chain(image.chain_id);
        if (!chain) continue;
        for (const auto& layer : *chain) {
            auto& [count, size] = uses[layer.chain_id];
            ++count;
            size = layer.size;
        }
    }
    return uses;
}

std::int64_t shared_size(store::Store& store, const LayerUses& uses,
                         const store::ImageRecord& image) {
    std::uint64_t shared = 0;
    const auto chain = store.layers().chain(image.chain_id);
    if (!chain) return 0;
    for (const auto& layer : *chain) {
        const auto found = uses.find(layer.chain_id);
        if (found != uses.end() && found->second.first > 1) shared += layer.size;
    }
    return static_cast<std::int64_t>(shared);
}

}  // namespace

Result<std::vector<api::ImageSummary>> Images::list(const ImageListOptions& options) const {
    const Filters& filters = options.filters;
    TRY(filters.accept({"before", "dangling", "label", "label!", "reference", "since", "until"}));
    const bool dangling = TRY(filters.boolean("dangling", false));
    const auto bounds = TRY(read_bounds(*impl_, filters));
    const auto records = TRY(impl_->store.images().list());
    const auto uses = options.shared_size ? count_layers(impl_->store, records) : LayerUses();

    std::vector<api::ImageSummary> summaries;
    for (const auto& record : records) {
        // Shown with the name that stands for its index.
        if (is_nameless(record) && record.in_named_index && !options.all) continue;
        const auto info = impl_->info(record.id);
        if (!info) {
            LOG_WARN("image {} left out of a list: {}", record.id, info.error().message);
            continue;
        }
        const Time created = (*info)->created;
        if (bounds.before && created >= *bounds.before) continue;
        if (bounds.since && created <= *bounds.since) continue;
        const auto& labels = (*info)->config.config.labels;
        if (!filters.match_labels(labels)) continue;

        api::ImageSummary summary;
        const auto add = [&](const std::vector<std::string>& names, api::Strings& to) {
            for (const auto& name : names) {
                if (!filters.has("reference") || matches_reference(filters.get("reference"), name))
                    to.push_back(familiar(name));
            }
        };
        add(record.tags, summary.repo_tags);
        add(record.digests, summary.repo_digests);
        if (summary.repo_tags.empty() && summary.repo_digests.empty()) {
            if ((filters.has("dangling") && !dangling) || filters.has("reference")) continue;
        } else if (dangling && !summary.repo_tags.empty()) {
            continue;
        }
        summary.id = record.id;
        summary.created = created == kZeroTime ? 0 : unix_seconds(created);
        summary.labels = labels;
        summary.size = static_cast<std::int64_t>(record.size);
        if (options.last_used) summary.last_used_at = to_rfc3339_short(impl_->last_used(record));
        if (options.manifests) {
            // It may be removed meanwhile.
            auto manifests = impl_->manifests_of(record, records);
            auto descriptor = impl_->descriptor_of(record);
            if (!manifests || !descriptor) {
                LOG_WARN("manifests of image {} left out of a list: {}", record.id,
                         (manifests ? descriptor.error() : manifests.error()).message);
                continue;
            }
            summary.manifests = *std::move(manifests);
            summary.descriptor = *std::move(descriptor);
        }
        if (options.shared_size) summary.shared_size = shared_size(impl_->store, uses, record);
        summaries.push_back(std::move(summary));
    }
    std::stable_sort(summaries.begin(), summaries.end(),
                     [](const auto& a, const auto& b) { return a.created > b.created; });
    return summaries;
}

}  // namespace coffer::engine
