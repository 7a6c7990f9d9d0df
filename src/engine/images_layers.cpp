// Layers, and which images end with them.
#include <set>

#include "engine/images_impl.hpp"

namespace coffer::engine {

Result<std::vector<api::ImageLayer>> Images::layers(const std::vector<std::string>& names) const {
    std::set<std::string> wanted;
    for (const std::string& name : names) {
        const auto record = TRY(impl_->find_record(name));
        for (const auto& layer : TRY(impl_->store.layers().chain(record.chain_id)))
            wanted.insert(layer.chain_id);
    }
    std::map<std::string, api::Strings> ending;  // names of images, by their topmost layer
    for (const auto& image : TRY(impl_->store.images().list())) {
        auto& known = ending[image.chain_id];
        for (const std::string& tag : image.tags) known.push_back(familiar(tag));
        if (image.tags.empty()) known.push_back(image.id);
    }
    std::vector<api::ImageLayer> out;
    for (const auto& layer : TRY(impl_->store.layers().list())) {
        if (!names.empty() && !wanted.contains(layer.chain_id)) continue;
        out.push_back({.chain_id = layer.chain_id,
                       .diff_id = layer.diff_id,
                       .parent = layer.parent,
                       .size = static_cast<std::int64_t>(layer.size),
                       .images = std::move(ending[layer.chain_id])});
    }
    return out;
}

}  // namespace coffer::engine
