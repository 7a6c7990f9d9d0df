// Images made here, of another one and a layer.
#include "archive/compress.hpp"
#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "store/gc.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kChunk = 256 * 1024;
constexpr std::uint64_t kEmptyTar = 1024;  // two blocks of zeros

struct StoredLayer {
    std::string digest;
    std::uint64_t size = 0;
};

// The layer as a blob, compressed as it comes; nullopt when there is nothing in it.
Result<std::optional<StoredLayer>> store_layer(store::Store& store, store::Lease& lease,
                                               const ReadBytes& layer, const Cancel& cancel) {
    auto writer = TRY(store.content().create());
    archive::GzipEncoder gzip([&](std::string_view bytes) { return writer.write(bytes); });
    std::string chunk(kChunk, '\0');
    std::uint64_t total = 0;
    for (;;) {
        if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
        const std::size_t n = TRY(layer(chunk.data(), chunk.size()));
        if (n == 0) break;
        total += n;
        TRY(gzip.write(std::string_view(chunk).substr(0, n)));
    }
    if (total <= kEmptyTar) return std::optional<StoredLayer>();
    TRY(gzip.finish());
    const std::uint64_t size = writer.written();
    const std::string digest = TRY(writer.commit());
    lease.blob(digest);
    return std::optional(StoredLayer{digest, size});
}

}  // namespace

Result<std::string> Images::add(const NewImage& image, const Cancel& cancel) {
    auto& store = impl_->store;
    const auto lease = store.lease();
    // What the new image shares with its parent must not go while it is made.
    const auto parent = TRY(impl_->find_record(image.parent));
    for (const auto& blob : parent.blobs) lease->blob(blob.digest);
    for (const auto& layer : TRY(store.layers().chain(parent.chain_id))) {
        lease->layer(layer.chain_id);
    }
    oci::ImageConfig config = TRY(impl_->info(parent.id))->config;
    config.created = to_rfc3339_short(now());
    config.author = image.author;
    config.config = image.config;
    config.history.push_back({.created = config.created,
                              .created_by = image.created_by,
                              .author = image.author,
                              .comment = image.comment,
                              .empty_layer = true});

    store::ImageRecord record;
    record.chain_id = parent.chain_id;
    record.blobs.emplace_back();  // the config, once it is known
    for (const auto& blob : parent.blobs) {
        if (blob.kind == store::BlobKind::Layer) record.blobs.push_back(blob);
    }
    if (const auto blob = TRY(store_layer(store, *lease, image.layer, cancel))) {
        const auto file = TRY(store.content().open(blob->digest));
        const auto layer =
            TRY(store.layers().add({.parent = parent.chain_id, .input_fd = file.get()}));
        lease->layer(layer.chain_id);
        record.chain_id = layer.chain_id;
        record.blobs.push_back({store::BlobKind::Layer, blob->digest,
                                std::string(oci::media_type::kLayerGzip), blob->size});
        config.rootfs.diff_ids.push_back(layer.diff_id);
        config.history.back().empty_layer = false;
    }
    json::Value document = TRY(json::parse(json::encode(config)));
    if (!image.comment.empty()) document.set("comment", image.comment);
    document.set("parent", parent.id);
    const std::string text = json::write(document);
    record.id = TRY(store.content().put(text));
    lease->blob(record.id);
    record.blobs.front() = {store::BlobKind::Config, record.id,
                            std::string(oci::media_type::kConfig), text.size()};
    TRY(store.images().add(record));
    if (image.name) {
        TRY(impl_->set_tag(*image.name, record.id));
        impl_->publish("tag", record.id, image.name->familiar_string(), record.id);
    }
    return record.id;
}

}  // namespace coffer::engine
