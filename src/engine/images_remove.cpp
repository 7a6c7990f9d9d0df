#include <algorithm>
#include <set>

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
                                      const std::vector<ImageUser>& users,
                                      const std::vector<ImageMount>& mounts, Check check) {
    const auto text = [&](std::string_view force, const std::string& why) {
        return format("conflict: unable to delete {} ({}) - {}", short_id(image.id), force, why);
    };
    if (!mounts.empty())
        return Conflict{text("cannot be forced", "image is mounted at " + mounts.front().path),
                        true};
    if (const auto* user = find_user(users, true))
        return Conflict{text("cannot be forced", "image is being used by running container " +
                                                     short_id(user->container)),
                        true};
    if (check == Check::All && !is_nameless(image))
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
    for (const auto& name : names_of(image)) {
        TRY(store.images().untag(name));
        publish("untag", image.id, image.id, image.id);
        done.push_back({.deleted = {}, .untagged = familiar(name)});
    }
    return {};
}

Result<void> Images::Impl::delete_locked(const std::string& id, bool force, bool quiet,
                                         std::vector<api::ImageDeleteItem>& done) {
    auto image = TRY(store.images().get(id));
    const auto conflict =
        find_conflict(image, users(id), TRY(mounts.of(id)), force ? Check::Hard : Check::All);
    if (conflict) {
        // The name is gone; a container keeps the image itself.
        if (quiet && (!is_nameless(image) || conflict->used)) return {};
        return fail(Code::Conflict, "{}", conflict->text);
    }
    TRY(untag_all_locked(image, done));
    Event event = event_of("delete", id, id, id);
    const auto layers = TRY(store.images().remove(id));
    infos.lock()->erase(id);
    events.publish(std::move(event));
    done.push_back({.deleted = id, .untagged = {}});
    for (const auto& layer : layers) done.push_back({.deleted = layer, .untagged = {}});
    return {};
}

// Only that image; the names go on with another one of the same index.
Result<void> Images::Impl::remove_platform_locked(const std::string& name,
                                                  const oci::Platform& platform, bool force,
                                                  std::vector<api::ImageDeleteItem>& done) {
    const auto image = TRY(find_record(name, platform));
    const std::string& id = image.id;
    if (const auto conflict = find_conflict(image, users(id), TRY(mounts.of(id)),
                                            force ? Check::Hard : Check::HardAndStopped))
        return fail(Code::Conflict, "{}", conflict->text);
    for (const std::string& one : names_of(image)) {
        const std::string target = store.images().target_of(one).value_or(std::string());
        auto others = TRY(store.images().of_target(target));
        std::erase(others, id);
        if (others.empty()) {
            TRY(store.images().untag(one));
            publish("untag", id, id, id);
            done.push_back({.deleted = {}, .untagged = familiar(one)});
        } else if (one.find('@') != std::string::npos) {
            TRY(store.images().add_digest(one, others.front()));
        } else {
            TRY(store.images().tag(one, others.front(), target));
        }
    }
    return delete_locked(id, force, false, done);
}

// Together with the other images of the indexes that the removed names stood for.
Result<std::vector<api::ImageDeleteItem>> Images::Impl::remove_locked(
    const std::string& name, const ImageRemoveOptions& options) {
    std::vector<api::ImageDeleteItem> done;
    if (!options.platforms.empty()) {
        for (const auto& platform : options.platforms) {
            TRY(remove_platform_locked(name, platform, options.force, done));
        }
        return done;
    }
    const auto image = TRY(find_record(name));
    std::set<std::string> others;
    for (const auto& one : names_of(image)) {
        const auto target = store.images().target_of(one);
        if (!target) continue;
        const auto ids = TRY(store.images().of_target(*target));
        others.insert(ids.begin(), ids.end());
    }
    done = TRY(remove_name_locked(name, options));
    for (const std::string& id : others) {
        const auto other = store.images().get(id);
        if (!other || !is_nameless(*other) || other->in_named_index) continue;
        TRY(delete_locked(id, options.force && !options.keep_used, true, done));
    }
    return done;
}

Result<std::vector<api::ImageDeleteItem>> Images::Impl::remove_name_locked(
    const std::string& name, const ImageRemoveOptions& options) {
    std::vector<api::ImageDeleteItem> done;
    auto image = TRY(find_record(name));
    const auto using_it = users(image.id);
    const auto mounted = TRY(mounts.of(image.id));
    if (is_id_prefix(image.id, name)) {
        if (is_single_reference(image)) {
            if (const auto conflict = find_conflict(
                    image, using_it, mounted, options.force ? Check::Hard : Check::HardAndStopped))
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
    if (!options.force && is_single_reference(image) && !mounted.empty())
        return fail(Code::Conflict,
                    "conflict: unable to remove repository reference \"{}\" (must force) - "
                    "image {} is mounted at {}",
                    name, short_id(image.id), mounted.front().path);
    const auto reference = TRY(oci::parse_reference(name));
    const auto untag = [&](const std::string& canonical) -> Result<void> {
        TRY(store.images().untag(canonical));
        done.push_back({.deleted = {}, .untagged = familiar(canonical)});
        return {};
    };
    TRY(untag(stored_name(reference)));
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
    if (!is_nameless(image)) return done;
    TRY(delete_locked(image.id, options.force && !options.keep_used, true, done));
    return done;
}

Result<std::vector<api::ImageDeleteItem>> Images::remove(const std::string& name,
                                                         const ImageRemoveOptions& options) {
    const std::scoped_lock lock(impl_->changing);
    return impl_->remove_locked(name, options);
}

// What pulls that broke off have left to go on with; gives its size.
Result<std::uint64_t> Images::Impl::prune_partials() {
    auto& content = store.content();
    const auto before = TRY(content.partial_size());
    TRY(content.prune_partials({.age = {}, .bytes = 0}));
    return before - std::min(before, TRY(content.partial_size()));
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
        if (dangling_only && (!image.tags.empty() || image.in_named_index)) continue;
        std::vector<std::string> names = names_of(image);
        if (names.empty()) names.push_back(image.id);
        for (const auto& name : names) {
            auto removed = impl_->remove_locked(name, {});
            // In use, or gone together with the name before: prune passes it over.
            if (!removed) continue;
            for (auto& item : *removed) report.images_deleted.push_back(std::move(item));
        }
    }
    if (!until && !filters.has("label") && !filters.has("label!"))
        report.space_reclaimed += TRY(impl_->prune_partials());
    for (const auto& item : report.images_deleted) {
        const auto size = sizes.find(item.deleted);
        if (size != sizes.end()) report.space_reclaimed += size->second;
    }
    impl_->events.publish(prune_event("image", report.space_reclaimed));
    return report;
}

}  // namespace coffer::engine
