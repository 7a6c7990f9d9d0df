#include <algorithm>

#include "engine/images_impl.hpp"

namespace coffer::engine {

namespace {

bool is_id_prefix(const std::string& id, const std::string& text) {
    return id.starts_with(text) || id.substr(id.find(':') + 1).starts_with(text);
}

// One tag at most, and digests of the same repository only: docker treats them as one name.
bool is_single_reference(const store::ImageRecord& image) {
    if (image.tags.size() + image.digests.size() <= 1) return true;
    if (image.tags.size() > 1) return false;
    const std::string repository =
        repository_of(image.tags.empty() ? image.digests.front() : image.tags.front());
    return std::all_of(image.digests.begin(), image.digests.end(), [&](const std::string& digest) {
        return repository_of(digest) == repository;
    });
}

const ImageUser* find_user(const std::vector<ImageUser>& users, bool running) {
    const auto found = std::find_if(users.begin(), users.end(),
                                    [&](const ImageUser& one) { return one.running == running; });
    return found == users.end() ? nullptr : &*found;
}

struct Conflict {
    std::string text;
    bool used = false;  // by a container
};

enum class Check { Hard, HardAndStopped, All };

// Why an image must not be deleted, in docker's words.
std::optional<Conflict> find_conflict(const store::ImageRecord& image,
                                      const std::vector<ImageUser>& users, Check check) {
    const auto text = [&](std::string_view force, const std::string& why) {
        return format("conflict: unable to delete {} ({}) - {}", short_id(image.id), force, why);
    };
    if (const auto* user = find_user(users, true))
        return Conflict{text("cannot be forced", "image is being used by running container " +
                                                     short_id(user->container)),
                        true};
    if (check == Check::All && image.tags.size() + image.digests.size() > 0)
        return Conflict{text("must be forced", "image is referenced in multiple repositories")};
    if (check == Check::Hard) return std::nullopt;
    if (const auto* user = find_user(users, false))
        return Conflict{text("must be forced", "image is being used by stopped container " +
                                                   short_id(user->container)),
                        true};
    return std::nullopt;
}

}  // namespace

Result<void> Images::Impl::untag_all_locked(const store::ImageRecord& image,
                                            std::vector<api::ImageDeleteItem>& done) {
    for (const auto* names : {&image.tags, &image.digests}) {
        for (const auto& name : *names) {
            TRY(store.images().untag(name));
            publish("untag", image.id, image.id, image.id);
            done.push_back({.deleted = {}, .untagged = familiar(name)});
        }
    }
    return {};
}

Result<void> Images::Impl::delete_locked(const std::string& id, bool force, bool quiet,
                                         std::vector<api::ImageDeleteItem>& done) {
    auto image = TRY(store.images().get(id));
    const auto conflict = find_conflict(image, users(id), force ? Check::Hard : Check::All);
    if (conflict) {
        // The name is gone; a container keeps the image itself.
        const bool dangling = image.tags.empty() && image.digests.empty();
        if (quiet && (!dangling || conflict->used)) return {};
        return fail(Code::Conflict, "{}", conflict->text);
    }
    TRY(untag_all_locked(image, done));
    Event event{.type = "image", .action = "delete", .actor = id, .attributes = {}};
    if (const auto known = info(id)) event.attributes = (*known)->config.config.labels;
    event.attributes["name"] = id;
    const auto layers = TRY(store.images().remove(id));
    infos.lock()->erase(id);
    events.publish(std::move(event));
    done.push_back({.deleted = id, .untagged = {}});
    for (const auto& layer : layers) done.push_back({.deleted = layer, .untagged = {}});
    return {};
}

Result<std::vector<api::ImageDeleteItem>> Images::Impl::remove_locked(
    const std::string& name, const ImageRemoveOptions& options) {
    std::vector<api::ImageDeleteItem> done;
    auto image = TRY(find_record(name));
    const auto using_it = users(image.id);
    if (is_id_prefix(image.id, name)) {
        if (is_single_reference(image)) {
            if (const auto conflict = find_conflict(
                    image, using_it, options.force ? Check::Hard : Check::HardAndStopped))
                return fail(Code::Conflict, "{}", conflict->text);
            TRY(untag_all_locked(image, done));
        }
        TRY(delete_locked(image.id, options.force, false, done));
        return done;
    }
    if (!options.force && is_single_reference(image) && !using_it.empty())
        return fail(Code::Conflict,
                    "conflict: unable to remove repository reference \"{}\" (must force) - "
                    "container {} is using its referenced image {}",
                    name, short_id(using_it.front().container), short_id(image.id));
    const auto reference = TRY(oci::parse_reference(name));
    const auto untag = [&](const std::string& canonical) -> Result<void> {
        TRY(store.images().untag(canonical));
        done.push_back({.deleted = {}, .untagged = familiar(canonical)});
        return {};
    };
    TRY(untag(reference.digest.empty() ? reference.to_string()
                                       : reference.name() + "@" + reference.digest));
    publish("untag", image.id, image.id, image.id);
    image = TRY(store.images().get(image.id));
    // Digests of a repository go with its last tag.
    const bool has_tag =
        std::any_of(image.tags.begin(), image.tags.end(),
                    [&](const std::string& tag) { return repository_of(tag) == reference.name(); });
    if (reference.digest.empty() && !has_tag) {
        for (const auto& digest : image.digests) {
            if (repository_of(digest) == reference.name()) TRY(untag(digest));
        }
        image = TRY(store.images().get(image.id));
    }
    if (!image.tags.empty() || !image.digests.empty()) return done;
    TRY(delete_locked(image.id, options.force, true, done));
    return done;
}

Result<std::vector<api::ImageDeleteItem>> Images::remove(const std::string& name,
                                                         const ImageRemoveOptions& options) {
    const std::scoped_lock lock(impl_->changing);
    return impl_->remove_locked(name, options);
}

Result<api::ImagesPruneReport> Images::prune(const Filters& filters) {
    TRY(filters.accept({"dangling", "label", "label!", "until"}));
    const bool dangling_only = TRY(filters.boolean("dangling", true));
    std::optional<Time> until;
    for (const auto& text : filters.get("until")) {
        until = parse_timestamp(text, now());
        if (!until) return fail(Code::InvalidArgument, "invalid filter 'until={}'", text);
    }
    std::map<std::string, std::uint64_t> sizes;
    for (const auto& layer : TRY(impl_->store.layers().list())) sizes[layer.chain_id] = layer.size;

    api::ImagesPruneReport report;
    const std::scoped_lock lock(impl_->changing);
    for (const auto& image : TRY(impl_->store.images().list())) {
        const auto info = impl_->info(image.id);
        if (!info || !filters.match_labels((*info)->config.config.labels)) continue;
        if (until && (*info)->created > *until) continue;
        if (dangling_only && !image.tags.empty()) continue;
        std::vector<std::string> names = image.tags;
        names.insert(names.end(), image.digests.begin(), image.digests.end());
        if (names.empty()) names.push_back(image.id);
        for (const auto& name : names) {
            auto removed = impl_->remove_locked(name, {});
            // In use, or gone together with the name before: prune passes it over.
            if (!removed) continue;
            for (auto& item : *removed) report.images_deleted.push_back(std::move(item));
        }
    }
    for (const auto& item : report.images_deleted) {
        const auto size = sizes.find(item.deleted);
        if (size != sizes.end()) report.space_reclaimed += size->second;
    }
    impl_->events.publish(prune_event("image", report.space_reclaimed));
    return report;
}

}  // namespace coffer::engine
