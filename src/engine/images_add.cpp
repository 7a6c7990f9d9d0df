// Images made here, of another one and a layer.
#include <fcntl.h>

#include <thread>

#include "archive/compress.hpp"
#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "store/gc.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kChunk = 256 * 1024;
constexpr std::uint64_t kEmptyTar = 1024;  // two blocks of zeros

// Unpacks the tar that is written to it, on a thread of its own.
class Unpacking {
  public:
    Unpacking(store::Layers& layers, std::string parent)
        : layers_(layers), parent_(std::move(parent)) {}
    ~Unpacking() {
        pipe_.write.reset();
        if (thread_.joinable()) thread_.join();
    }
    Unpacking(const Unpacking&) = delete;
    Unpacking& operator=(const Unpacking&) = delete;
    Unpacking(Unpacking&&) = delete;
    Unpacking& operator=(Unpacking&&) = delete;

    Result<void> start() {
        pipe_ = TRY(sys::make_pipe(sys::PipeSize::Wide));
        thread_ = std::thread([this] {
            layer_ = layers_.add({.parent = parent_, .input_fd = pipe_.read.get()});
            pipe_.read.reset();
        });
        return {};
    }
    // Once it has ended there is nobody to read: finish() says why.
    Result<void> write(std::string_view bytes) {
        const auto written = sys::write_all(pipe_.write.get(), bytes);
        return !written && written.error().sys_errno == EPIPE ? Result<void>() : written;
    }
    Result<store::Layer> finish() {
        pipe_.write.reset();
        thread_.join();
        return std::move(layer_);
    }

  private:
    store::Layers& layers_;
    std::string parent_;
    sys::PipeEnds pipe_;
    Result<store::Layer> layer_ = fail(Code::Internal, "not unpacked");
    std::thread thread_;
};

struct StoredLayer {
    store::Layer layer;
    std::string digest;  // of the blob
    std::uint64_t size = 0;
};

// The layer as a blob, compressed as it comes, and unpacked beside that; nullopt when there is
// nothing in it.
Result<std::optional<StoredLayer>> store_layer(store::Store& store, store::Lease& lease,
                                               const std::string& parent, const ReadBytes& layer,
                                               const Cancel& cancel) {
    auto writer = TRY(store.content().create());
    archive::GzipEncoder gzip([&](std::string_view bytes) { return writer.write(bytes); });
    std::string piece;
    std::string chunk(kChunk, '\0');
    Unpacking unpacking(store.layers(), parent);
    bool started = false;
    const auto copied = [&]() -> Result<void> {
        for (;;) {
            if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
            const std::size_t n = TRY(layer(chunk.data(), chunk.size()));
            if (n == 0) return {};
            piece.append(chunk, 0, n);
            if (!started && piece.size() <= kEmptyTar) continue;
            if (!started) TRY(unpacking.start());
            started = true;
            TRY(unpacking.write(piece));
            TRY(gzip.write(piece));
            piece.clear();
        }
    }();
    if (!started) {
        TRY(copied);
        return std::optional<StoredLayer>();
    }
    // Of half a tar there may be a layer too: the lease takes it away again.
    const auto unpacked = unpacking.finish();
    if (unpacked) lease.layer(unpacked->chain_id);
    TRY(copied);
    StoredLayer stored{.layer = TRY(unpacked)};
    TRY(gzip.finish());
    stored.size = writer.written();
    stored.digest = TRY(writer.commit());
    lease.blob(stored.digest);
    return std::optional(std::move(stored));
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
    const auto added = TRY(store_layer(store, *lease, parent.chain_id, image.layer, cancel));
    if (added) {
        record.chain_id = added->layer.chain_id;
        record.blobs.push_back({store::BlobKind::Layer, added->digest,
                                std::string(oci::media_type::kLayerGzip), added->size});
        config.rootfs.diff_ids.push_back(added->layer.diff_id);
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
    impl_->tell_growth();
    return record.id;
}

}  // namespace coffer::engine
