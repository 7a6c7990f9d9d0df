#include <algorithm>
#include <set>

#include "engine/images_impl.hpp"
#include "store/archive_load.hpp"
#include "store/archive_save.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kChunk = 256 * 1024;

class BodySource : public archive::Source {
  public:
    BodySource(const ReadBytes& body, const Cancel& cancel)
        : body_(body), cancel_(cancel), buffer_(kChunk, '\0') {}
    Result<std::string_view> next() override {
        if (cancel_.cancelled()) return fail(Code::Cancelled, "context canceled");
        const std::size_t got = TRY(body_(buffer_.data(), buffer_.size()));
        return std::string_view(buffer_).substr(0, got);
    }

  private:
    const ReadBytes& body_;
    const Cancel& cancel_;
    std::string buffer_;
};

api::ProgressMessage stream_of(std::string text) {
    api::ProgressMessage message;
    message.stream = std::move(text) + "\n";
    return message;
}

}  // namespace

Result<void> Images::load(const ReadBytes& body, LoadOutput output, const MaybePlatform& platform,
                          const ImageProgress& progress, const Cancel& cancel) {
    BodySource source(body, cancel);
    const auto on_layer = [&](const std::string& diff_id, std::uint64_t current,
                              std::uint64_t total) {
        if (output == LoadOutput::Quiet) return;
        api::ProgressMessage message;
        message.status = "Loading layer";
        message.id = short_id(diff_id);
        message.progress_detail.emplace();
        message.progress_detail->current = static_cast<std::int64_t>(current);
        message.progress_detail->total = static_cast<std::int64_t>(total);
        message.progress = progress_bar(current, total);
        progress(message);
    };
    auto& images = impl_->store.images();
    std::set<std::string> told;  // an index has one name for several images
    for (const auto& image : TRY(store::load_archive(impl_->store, source, on_layer, platform))) {
        for (const auto& name : image.references) {
            const auto reference = TRY(oci::parse_reference(name));
            const std::string shown = reference.familiar_string();
            const auto before = images.find_reference(reference.to_string());
            const bool same =
                !image.target.empty() && images.target_of(reference.to_string()) == image.target;
            if (before && *before != image.id && !same)
                progress(
                    stream_of(format("The image {} already exists, renaming the old one with "
                                     "ID {} to empty string",
                                     shown, *before)));
            TRY(impl_->set_tag(reference, image.id, image.target));
            if (told.insert(shown).second) progress(stream_of("Loaded image: " + shown));
        }
        if (image.references.empty()) progress(stream_of("Loaded image ID: " + image.id));
        impl_->publish("load", image.id, image.id, image.id);
    }
    impl_->tell_growth();
    return {};
}

Result<void> Images::save(const std::vector<std::string>& names, const MaybePlatform& platform,
                          const WriteBytes& body, const Cancel& cancel) const {
    auto& store = impl_->store;
    std::vector<store::SavedImage> images;
    const auto add = [&](const std::string& name, const std::string& tag) -> Result<void> {
        store::SavedImage saved{
            .id = TRY(impl_->find_for(name, platform)), .references = {}, .index = {}};
        if (!platform) saved.index = TRY(impl_->index_to_save(name, saved.id));
        auto known = std::find_if(images.begin(), images.end(), [&](const auto& image) {
            return image.id == saved.id && image.index == saved.index;
        });
        if (known == images.end()) known = images.insert(images.end(), std::move(saved));
        auto& tags = known->references;
        if (!tag.empty() && std::find(tags.begin(), tags.end(), tag) == tags.end())
            tags.push_back(tag);
        return {};
    };
    const auto records = TRY(store.images().list());
    for (const auto& name : names) {
        // A repository saves all its tags, a tag that one, an id or digest none.
        const auto given = oci::parse_reference_as_given(name);
        bool added = false;
        for (const auto& record : records) {
            for (const auto& tag : record.tags) {
                if (!given || !given->digest.empty()) continue;
                if (given->tag.empty() ? repository_of(tag) != given->name()
                                       : tag != given->to_string())
                    continue;
                TRY(add(tag, tag));
                added = true;
            }
        }
        if (!added) TRY(add(name, {}));
    }
    const auto output = [&](std::string_view bytes) -> Result<void> {
        if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
        return body(bytes);
    };
    for (const auto& image : images) impl_->publish("save", image.id, image.id, image.id);
    return store::save_archive(store, images, output);
}

}  // namespace coffer::engine
