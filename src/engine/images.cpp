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

Images::Images(store::Store& store, Events& events, registry::Config registry, FindImageUsers users)
    : impl_(new Impl{.store = store,
                     .events = events,
                     .registry = std::move(registry),
                     .users = std::move(users),
                     .in_flight = {},
                     .changing = {},
                     .infos = {}}) {}

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
    const bool whole_id = name.size() == 64 && is_hex(name);
    if (whole_id || is_digest(name)) {
        const std::string id = whole_id ? "sha256:" + name : name;
        const auto found = store.images().find_id(id);
        if (found && *found) return **found;
        return fail(Code::NotFound, "No such image: {}", id);
    }
    const auto reference = TRY(oci::parse_reference(name));
    const std::string canonical = reference.digest.empty()
                                      ? reference.to_string()
                                      : reference.name() + "@" + reference.digest;
    if (auto id = store.images().find_reference(canonical)) return *std::move(id);
    // A prefix of an id; one of several images counts as none.
    const auto found = store.images().find_id(name);
    if (found && *found) return **found;
    return fail(Code::NotFound, "No such image: {}", reference.familiar_string());
}

Result<store::ImageRecord> Images::Impl::find_record(const std::string& name) {
    return store.images().get(TRY(find(name)));
}

void Images::Impl::publish(const std::string& action, const std::string& actor,
                           const std::string& name, const std::string& image_id) {
    Event event{.type = "image", .action = action, .actor = actor, .attributes = {}};
    if (const auto known = info(image_id)) event.attributes = (*known)->config.config.labels;
    event.attributes["name"] = name;
    events.publish(std::move(event));
}

Result<bool> Images::Impl::set_tag(const oci::Reference& reference, const std::string& id) {
    const std::scoped_lock lock(changing);
    const auto before = TRY(store.images().tag(reference.to_string(), id));
    return before != id;
}

Result<void> Images::tag(const std::string& name, const std::string& repository,
                         const std::string& tag) {
    const auto reference = TRY(new_name(repository, tag));
    if (!reference) return fail(Code::InvalidArgument, "invalid reference format");
    if (reference->familiar_name() == "sha256")
        return fail(Code::InvalidArgument,
                    "refusing to create an ambiguous tag using digest algorithm as name");
    const std::string id = TRY(impl_->find(name));
    TRY(impl_->set_tag(*reference, id));
    impl_->publish("tag", id, reference->familiar_string(), id);
    return {};
}

Result<ImageForContainer> Images::resolve(const std::string& name) const {
    const auto record = TRY(impl_->find_record(name));
    const auto info = TRY(impl_->info(record.id));
    return ImageForContainer{record.id, record.chain_id, info->config};
}

std::size_t Images::count() const {
    const auto all = impl_->store.images().list();
    return all ? all->size() : 0;
}

}  // namespace coffer::engine
