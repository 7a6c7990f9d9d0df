#include "archive/compress.hpp"
#include "engine/changes.hpp"
#include "engine/images_impl.hpp"
#include "json/codec.hpp"
#include "store/gc.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kChunk = 256 * 1024;

// The body as a blob. Its digest is not known before it was read: until then it has no name.
struct StoredBody {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
};

std::string_view layer_type_of(archive::Compression compression) {
    switch (compression) {
        case archive::Compression::None:
            return oci::media_type::kLayer;
        case archive::Compression::Gzip:
            return oci::media_type::kLayerGzip;
        case archive::Compression::Zstd:
            return oci::media_type::kLayerZstd;
    }
    return {};
}

Result<StoredBody> store_body(store::Store& store, store::Lease& lease, const ReadBytes& body,
                              const Cancel& cancel) {
    auto writer = TRY(store.content().create());
    std::string chunk(kChunk, '\0');
    std::string head;
    for (;;) {
        if (cancel.cancelled()) return fail(Code::Cancelled, "context canceled");
        const std::size_t got = TRY(body(chunk.data(), chunk.size()));
        if (got == 0) break;
        const auto bytes = std::string_view(chunk).substr(0, got);
        if (head.size() < 6) head += bytes.substr(0, 6 - head.size());
        TRY(writer.write(bytes));
    }
    const auto compression = TRY(archive::detect_compression(head));
    const std::uint64_t size = writer.written();
    const std::string digest = TRY(writer.commit());
    lease.blob(digest);
    return StoredBody{digest, std::string(layer_type_of(compression)), size};
}

}  // namespace

Result<void> Images::import(const ImportOptions& options, const ReadBytes& body,
                            const ImageProgress& progress, const Cancel& cancel) {
    const auto name = TRY(new_name(options.repository, options.tag));
    const auto platform = options.platform.empty() ? oci::host_platform()
                                                   : TRY(oci::parse_platform(options.platform));
    oci::ImageConfig config;
    TRY(apply_changes(options.changes, config.config));

    auto& store = impl_->store;
    const auto lease = store.lease();
    const auto blob = TRY(store_body(store, *lease, body, cancel));
    const auto file = TRY(store.content().open(blob.digest));
    const auto layer = TRY(store.layers().add({.input_fd = file.get()}));
    lease->layer(layer.chain_id);

    config.architecture = platform.architecture;
    config.variant = platform.variant;
    config.os = platform.os;
    config.created = to_rfc3339_short(now());
    config.rootfs.diff_ids = {layer.diff_id};
    config.history = {{.created = config.created,
                       .comment = options.message.empty() ? "Imported from -" : options.message}};
    const std::string text = json::encode(config);
    const std::string id = TRY(store.content().put(text));
    lease->blob(id);
    store::ImageRecord record;
    record.id = id;
    record.chain_id = layer.chain_id;
    record.blobs = {
        {store::BlobKind::Config, id, std::string(oci::media_type::kConfig), text.size()},
        {store::BlobKind::Layer, blob.digest, blob.media_type, blob.size}};
    TRY(store.images().add(record));
    if (name) {
        TRY(impl_->set_tag(*name, id));
        impl_->publish("tag", id, name->familiar_string(), id);
    }
    impl_->publish("import", id, id, id);
    api::ProgressMessage message;
    message.status = id;
    progress(message);
    impl_->tell_growth();
    return {};
}

}  // namespace coffer::engine
