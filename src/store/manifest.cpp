#include "store/manifest.hpp"

#include "json/codec.hpp"

namespace coffer::store {

oci::Descriptor descriptor_of(const ImageBlob& blob) {
    oci::Descriptor descriptor;
    descriptor.media_type = blob.media_type;
    descriptor.digest = blob.digest;
    descriptor.size = static_cast<std::int64_t>(blob.size);
    return descriptor;
}

Result<ImageManifest> manifest_of(Store& store, const ImageRecord& record) {
    ImageManifest made;
    made.document.media_type = oci::media_type::kManifest;
    const auto chain = TRY(store.layers().chain(record.chain_id));
    for (const ImageBlob& blob : record.blobs) {
        if (blob.kind == BlobKind::Manifest) {
            std::string text = TRY(store.content().read(blob.digest));
            oci::Manifest document = TRY(oci::parse_manifest(text, blob.media_type));
            return ImageManifest{descriptor_of(blob), std::move(document), std::move(text)};
        }
        if (blob.kind == BlobKind::Config) made.document.config = descriptor_of(blob);
        if (blob.kind == BlobKind::Layer && made.document.layers.size() < chain.size()) {
            made.document.layers.push_back(descriptor_of(blob));
        }
    }
    made.text = json::encode(made.document);
    made.descriptor = descriptor_of({BlobKind::Manifest, digest_of(made.text),
                                     std::string(oci::media_type::kManifest), made.text.size()});
    return made;
}

}  // namespace coffer::store
