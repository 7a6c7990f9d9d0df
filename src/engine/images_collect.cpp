// The collection of images that nobody has used for long, and when they were used.
#include <algorithm>

#include "base/log.hpp"
#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

// An image with the others of the indexes that its names stand for, which have no name themselves.
struct Group {
    std::vector<store::ImageRecord> images;  // the one with the names first
    Time used{};
};

class Gathering {
  public:
    Gathering(Images::Impl& images, const CollectionRules& rules)
        : images_(images), youngest_(now() - rules.min_age), own_registry_(rules.own_registry) {
        constexpr std::string_view kLabel = "label=";
        for (const std::string& rule : rules.keep) {
            if (rule.starts_with(kLabel)) {
                keep_labels_.push_back(Filters({{"label", {rule.substr(kLabel.size())}}}));
            } else {
                keep_names_.push_back(rule);
            }
        }
    }

    Result<void> run() {
        const auto sizes = TRY(images_.store.layers().sizes_on_disk());
        for (store::ImageRecord& image : TRY(images_.store.images().list())) {
            std::string id = image.id;
            records_.emplace(std::move(id), std::move(image));
        }
        for (const auto& [id, image] : records_) {
            if (is_nameless(image) && image.in_named_index) continue;
            Group group = TRY(group_of(image));
            auto candidate = candidate_of(group, sizes);
            // It has gone meanwhile.
            if (!candidate && candidate.error().code == Code::NotFound) continue;
            candidates.push_back(TRY(std::move(candidate)));
            groups.push_back(std::move(group));
        }
        for (store::PartialBlob& partial : TRY(images_.store.content().partials())) {
            candidates.push_back({.stays = partial.is_blob || partial.changed > youngest_,
                                  .used = partial.changed,
                                  .parts = {{"partial " + partial.digest, partial.bytes}}});
            partials.push_back(std::move(partial));
        }
        return {};
    }

    // The groups' first, then the partials'.
    std::vector<Candidate> candidates;
    std::vector<Group> groups;
    std::vector<store::PartialBlob> partials;

  private:
    Result<Group> group_of(const store::ImageRecord& image) {
        Group group{.images = {image}, .used = images_.last_used(image)};
        for (const std::string& name : names_of(image)) {
            const auto target = images_.store.images().target_of(name);
            if (!target) continue;
            for (const std::string& id : TRY(images_.store.images().of_target(*target))) {
                const auto other = records_.find(id);
                const bool known = std::any_of(group.images.begin(), group.images.end(),
                                               [&](const auto& one) { return one.id == id; });
                if (other == records_.end() || known || !is_nameless(other->second)) continue;
                group.images.push_back(other->second);
                group.used = std::max(group.used, images_.last_used(other->second));
            }
        }
        return group;
    }

    Result<bool> stays(const store::ImageRecord& image) {
        if (images_.is_in_use(image.id)) return true;
        for (const std::string& name : names_of(image)) {
            if (matches_reference(keep_names_, name)) return true;
            if (!own_registry_.empty() && name.starts_with(own_registry_ + "/")) return true;
        }
        if (keep_labels_.empty()) return false;
        const auto info = TRY(images_.info(image.id));
        return std::any_of(keep_labels_.begin(), keep_labels_.end(), [&](const Filters& label) {
            return label.match_labels(info->config.config.labels);
        });
    }

    Result<Candidate> candidate_of(const Group& group,
                                   const std::map<std::string, std::uint64_t>& sizes) {
        Candidate candidate{.stays = group.used > youngest_, .used = group.used, .parts = {}};
        for (const store::ImageRecord& image : group.images) {
            // What cannot be told of an image that is damaged does not keep it.
            const auto keeps = stays(image);
            if (keeps) candidate.stays = candidate.stays || *keeps;
            for (const auto& blob : image.blobs) candidate.parts[blob.digest] = blob.size;
            for (const auto& layer : TRY(images_.store.layers().chain(image.chain_id))) {
                const auto size = sizes.find(layer.chain_id);
                // A layer and a blob may have the same digest.
                if (size != sizes.end()) candidate.parts["layer " + layer.chain_id] = size->second;
            }
        }
        return candidate;
    }

    Images::Impl& images_;
    Time youngest_;
    std::string own_registry_;
    std::vector<std::string> keep_names_;
    std::vector<Filters> keep_labels_;
    std::map<std::string, store::ImageRecord> records_;
};

}  // namespace

void Images::touch(const std::string& id) {
    impl_->uses.lock()->insert_or_assign(id, now());
}

Result<void> Images::write_uses() {
    const auto uses = *impl_->uses.lock();
    if (uses.empty()) return {};
    TRY(impl_->store.images().stamp(uses));
    auto left = impl_->uses.lock();
    for (const auto& [id, time] : uses) {
        const auto found = left->find(id);
        if (found != left->end() && found->second == time) left->erase(found);
    }
    return {};
}

void Images::on_growth(std::function<void()> tell) {
    impl_->grown = std::move(tell);
}

void Images::Impl::tell_growth() const {
    if (grown) grown();
}

Time Images::Impl::last_used(const store::ImageRecord& image) {
    auto known = uses.lock();
    const auto found = known->find(image.id);
    return found == known->end() ? image.used : std::max(image.used, found->second);
}

bool Images::Impl::is_in_use(const std::string& id) const {
    if (!users(id).empty()) return true;
    const auto mounted = mounts.of(id);
    return !mounted || !mounted->empty();  // what cannot be told may be
}

Result<bool> Images::Impl::collect_locked(const std::string& id, Time planned) {
    const auto image = store.images().get(id);
    if (!image) return false;  // it has gone meanwhile
    std::vector<Event> told(names_of(*image).size(), event_of("untag", id, id, id));
    told.push_back(event_of("delete", id, id, id));
    const auto is_unused = [&] {
        const auto still = store.images().get(id);
        return still && !is_in_use(id) && last_used(*still) <= planned;
    };
    const auto removed = store.images().remove_unheld(id, is_unused);
    if (!removed && removed.error().code == Code::Conflict) return false;
    TRY(removed);
    infos.lock()->erase(id);
    for (Event& event : told) {
        event.attributes["collector"] = "gc";
        events.publish(std::move(event));
    }
    return true;
}

Result<std::vector<api::CollectedItem>> Images::collect(const ImageCollectOptions& options) {
    Gathering found(*impl_, options.rules);
    const Time planned = now();
    TRY(found.run());
    std::vector<api::CollectedItem> items;
    for (const Choice& choice : choose(found.candidates, options.bytes)) {
        if (options.stops && options.stops()) break;
        api::CollectedItem item{
            .kind = "image",
            .size = static_cast<std::int64_t>(choice.bytes),
            .last_used = to_rfc3339_short(found.candidates[choice.candidate].used)};
        if (choice.candidate >= found.groups.size()) {
            item.kind = "partial";
            item.id = found.partials[choice.candidate - found.groups.size()].digest;
            item.reason = "left of a pull that broke off";
            if (!options.dry_run) impl_->store.content().forget(item.id);
            items.push_back(std::move(item));
            continue;
        }
        const Group& group = found.groups[choice.candidate];
        const store::ImageRecord& named = group.images.front();
        item.id = named.id;
        item.names = familiar_names(named.tags);
        item.reason = named.tags.empty() ? "not in use, and without a tag"
                                         : "not in use, and no rule keeps it";
        bool gone = options.dry_run;
        if (!options.dry_run) {
            const std::scoped_lock lock(impl_->changing);
            gone = TRY(impl_->collect_locked(named.id, planned));
            for (const store::ImageRecord& other : group.images) {
                if (!gone || other.id == named.id) continue;
                // Another index that has a name may have it too.
                const auto still = impl_->store.images().get(other.id);
                if (!still || !is_nameless(*still) || still->in_named_index) continue;
                TRY(impl_->collect_locked(other.id, planned));
            }
        }
        if (!gone) continue;
        if (!options.dry_run)
            LOG_INFO("collected image {} ({}), last used {}", short_id(item.id),
                     item.names.empty() ? "no tag" : join(item.names, ", "), item.last_used);
        items.push_back(std::move(item));
    }
    return items;
}

}  // namespace coffer::engine
