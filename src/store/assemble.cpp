#include "store/assemble.hpp"

#include "oci/image_spec.hpp"

namespace coffer::store {

Result<void> assemble_image(Store& store, Lease& lease, ImageRecord image,
                            const UnpackProgress& progress) {
    const std::string text = TRY(store.content().read(image.id));
    const auto config = TRY_CONTEXT(oci::parse_image_config(text), "image {}", image.id);
    std::vector<const ImageBlob*> layers;
    for (const ImageBlob& blob : image.blobs) {
        if (blob.kind == BlobKind::Layer) layers.push_back(&blob);
    }
    const std::vector<std::string>& diff_ids = config.rootfs.diff_ids;
    if (layers.size() != diff_ids.size()) {
        return fail(Code::InvalidArgument, "invalid image: {} layers, but {} in the image config",
                    layers.size(), diff_ids.size());
    }
    std::string chain_id;
    std::vector<Layers::Stacked> stack;
    stack.reserve(layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
        chain_id = chain_id_of(chain_id, diff_ids[i]);
        lease.layer(chain_id);
        const ImageBlob& layer = *layers[i];
        stack.push_back({diff_ids[i], [&store, &progress, &layer, diff_id = diff_ids[i]] {
                             progress(diff_id, 0, layer.size);
                             return store.content().open(layer.digest);
                         }});
    }
    image.chain_id =
        TRY(store.layers().add_stack(stack, [&](std::size_t index, const Result<Layer>& added) {
            if (!added) return;
            progress(diff_ids[index], layers[index]->size, layers[index]->size);
        }));
    return store.images().add(image);
}

}  // namespace coffer::store
