#include "engine/images.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "engine/images_impl.hpp"
#include "json/value.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kMaxConfig = 8U << 20U;
constexpr std::size_t kMaxInfos = 1024;

std::string text_of(const json::Value& document, std::string_view key) {
    const json::Value* value = document.find(key);
    return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

}  // namespace

std::string short_id(std::string_view id) {
    const auto colon = id.find(':');
    if (colon != std::string_view::npos) id.remove_prefix(colon + 1);
    return std::string(id.substr(0, 12));
}

std::string familiar(const std::string& canonical) {
    const auto reference = oci::parse_reference_as_given(canonical);
    return reference ? reference->familiar_string() : canonical;
}

std::vector<std::string> familiar_names(const std::vector<std::string>& names) {
    std::vector<std::string> out;
    out.reserve(names.size());
    for (const auto& name : names) out.push_back(familiar(name));
    return out;
}

std::vector<std::string> names_of(const store::ImageRecord& image) {
    std::vector<std::string> names = image.tags;
    names.insert(names.end(), image.digests.begin(), image.digests.end());
    return names;
}

bool is_nameless(const store::ImageRecord& image) {
    return image.tags.empty() && image.digests.empty();
}

std::string stored_name(const oci::Reference& reference) {
    return reference.digest.empty() ? reference.to_string()
                                    : reference.name() + "@" + reference.digest;
}

std::string repository_of(const std::string& canonical) {
    const auto at = canonical.find('@');
    if (at != std::string::npos) return canonical.substr(0, at);
    return canonical.substr(0, canonical.rfind(':'));
}

Result<std::optional<oci::Reference>> new_name(const std::string& repository,
                                               const std::string& tag) {
    if (repository.empty()) return std::optional<oci::Reference>();
    auto reference = TRY(oci::parse_reference_as_given(repository));
    if (!reference.digest.empty())
        return fail(Code::InvalidArgument, "cannot import digest reference");
    if (!tag.empty()) {
        if (!oci::is_tag(tag)) return fail(Code::InvalidArgument, "invalid tag format");
        reference.tag = tag;
    }
    if (reference.tag.empty()) reference.tag = "latest";
    return std::optional(std::move(reference));
}

std::string progress_bar(std::uint64_t current, std::uint64_t total) {
    if (total == 0) return current == 0 ? std::string() : human_size(static_cast<double>(current));
    const auto done = std::min<std::uint64_t>(50, current * 50 / total);
    const std::string bar = "[" + std::string(done, '=') + ">" + std::string(50 - done, ' ') + "] ";
    const std::string count = human_size(static_cast<double>(current));
    if (current > total) return bar + format("{:>8}", count);
    return bar + format("{:>8}/{}", count, human_size(static_cast<double>(total)));
}

Images::Images(store::Store& store, Events& events, ImagesConfig config, FindImageUsers users,
               ImageMounts mounts)
    : impl_(new Impl{.store = store,
                     .events = events,
                     .registries = registry::Registries(std::move(config.registry)),
                     .policy = trust::PolicyFile(std::move(config.signature_policy)),
                     .users = std::move(users),
                     .mounts = std::move(mounts),
                     .in_flight = {},
                     .changing = {},
                     .infos = {},
                     .uses = {},
                     .grown = {}}) {}

Images::~Images() = default;

Result<std::shared_ptr<const ImageInfo>> Images::Impl::info(const std::string& id) {
    {
        auto known = infos.lock();
        const auto found = known->find(id);
        if (found != known->end()) return found->second;
    }
    const std::string text = TRY(store.content().read(id, kMaxConfig));
    auto info = std::make_shared<ImageInfo>();  // shared by the readers of the cache
    info->config = TRY_CONTEXT(oci::parse_image_config(text), "config of image {}", id);
    const auto document = TRY(json::parse(text));
    info->docker_version = text_of(document, "docker_version");
    info->comment = text_of(document, "comment");
    info->parent = text_of(document, "parent");
    if (info->comment.empty() && !info->config.history.empty())
        info->comment = info->config.history.back().comment;
    info->created = parse_rfc3339(info->config.created).value_or(kZeroTime);
    auto known = infos.lock();
    if (known->size() >= kMaxInfos) known->clear();
    known->insert_or_assign(id, info);
    return std::shared_ptr<const ImageInfo>(std::move(info));
}

Result<std::string> Images::Impl::find(const std::string& name) {
    return TRY(find_named(name)).id;
}

Result<FoundImage> Images::Impl::find_named(const std::string& name) {
    const bool whole_id = name.size() == 64 && is_hex(name);
    if (whole_id || is_digest(name)) {
        const std::string id = whole_id ? "sha256:" + name : name;
        const auto found = store.images().find_id(id);
        if (found && *found) return FoundImage{**found, {}};
        return fail(Code::NotFound, "No such image: {}", id);
    }
    const auto reference = TRY(oci::parse_reference(name));
    if (auto id = store.images().find_reference(stored_name(reference)))
        return FoundImage{*std::move(id), reference};
    // A prefix of an id; one of several images counts as none.
    const auto found = store.images().find_id(name);
    if (found && *found) return FoundImage{**found, {}};
    return fail(Code::NotFound, "No such image: {}", reference.familiar_string());
}

Result<store::ImageRecord> Images::Impl::find_record(const std::string& name,
                                                     const MaybePlatform& platform) {
    return store.images().get(TRY(find_for(name, platform)));
}

Event Images::Impl::event_of(const std::string& action, const std::string& actor,
                             const std::string& name, const std::string& image_id) {
    Event event{.type = "image", .action = action, .actor = actor, .attributes = {}};
    if (const auto known = info(image_id)) event.attributes = (*known)->config.config.labels;
    event.attributes["name"] = name;
    return event;
}

void Images::Impl::publish(const std::string& action, const std::string& actor,
                           const std::string& name, const std::string& image_id) {
    events.publish(event_of(action, actor, name, image_id));
}

Result<bool> Images::Impl::set_tag(const oci::Reference& reference, const std::string& id,
                                   const std::string& target) {
    const std::scoped_lock lock(changing);
    const std::string name = reference.to_string();
    const auto before_target = store.images().target_of(name);
    const std::string chosen = target.empty() ? id : TRY(choose_locked(target, id));
    const auto before = TRY(store.images().tag(name, chosen, target));
    uses.lock()->insert_or_assign(chosen, now());
    return before != chosen || (before_target && *before_target != target);
}

Result<void> Images::tag(const std::string& name, const std::string& repository,
                         const std::string& tag) {
    const auto reference = TRY(new_name(repository, tag));
    if (!reference) return fail(Code::InvalidArgument, "invalid reference format");
    if (reference->familiar_name() == "sha256")
        return fail(Code::InvalidArgument,
                    "refusing to create an ambiguous tag using digest algorithm as name");
    const std::string id = TRY(impl_->find(name));
    TRY(impl_->set_tag(*reference, id, impl_->target_of(name).value_or("")));
    impl_->publish("tag", id, reference->familiar_string(), id);
    return {};
}

Result<ImageForContainer> Images::look_up(const std::string& name,
                                          const std::string& platform) const {
    MaybePlatform wanted;
    if (!platform.empty()) wanted = TRY(oci::parse_platform(platform));
    const auto record = TRY(impl_->find_record(name, wanted));
    const auto info = TRY(impl_->info(record.id));
    ImageForContainer found{record.id, record.chain_id, info->config, {}};
    const auto actual = oci::platform_of(info->config);
    if (!wanted && oci::match_platform(oci::host_platform(), actual) == 0)
        found.warning = format(
            "The requested image's platform ({}) does not match the detected host platform ({}) "
            "and no specific platform was requested",
            oci::to_string(actual), oci::to_string(oci::host_platform()));
    return found;
}

Result<ImageForContainer> Images::take(const std::string& name, const std::string& platform,
                                       store::Lease& lease) {
    auto image = resolve(name, platform);
    if (image) lease.blob(image->id);
    if (image && TRY(impl_->store.images().find_id(image->id))) {
        touch(image->id);
        return image;
    }
    // It may go while it is looked up, and before it is held: then it is the name that is absent.
    TRY(impl_->find(name));
    if (!image) return fail(std::move(image).error());
    return fail(Code::NotFound, "No such image: {}", image->id);
}

std::size_t Images::count() const {
    const auto all = impl_->store.images().list();
    return all ? all->size() : 0;
}

}  // namespace coffer::engine
