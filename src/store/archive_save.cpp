#include "store/archive_save.hpp"

#include <set>

#include "archive/tar.hpp"
#include "base/hash.hpp"
#include "json/codec.hpp"
#include "json/value.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "store/manifest.hpp"

namespace coffer::store {

namespace {

// "docker.io/library/busybox:1" as users write it.
std::string familiar(const std::string& canonical) {
    const auto reference = oci::parse_reference(canonical);
    return reference ? reference->familiar_string() : canonical;
}

class Saver {
  public:
    Saver(Store& store, const archive::Sink& output) : store_(&store), tar_(output) {}

    Result<void> run(const std::vector<SavedImage>& images) {
        TRY(add_folder("blobs/"));
        TRY(add_folder("blobs/sha256/"));
        for (const SavedImage& image : images) {
            TRY_CONTEXT(add_image(image), "save image {}", image.id);
        }
        oci::Index index;
        index.media_type = oci::media_type::kIndex;
        index.manifests = std::move(manifests_);
        TRY(add_text("index.json", json::encode(index)));
        TRY(add_text("manifest.json", json::write(json::Value(std::move(items_)))));
        TRY(add_text("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
        return tar_.finish();
    }

  private:
    Result<void> add_image(const SavedImage& image) {
        const ImageRecord record = TRY(store_->images().get(image.id));
        const ImageManifest manifest = TRY(add_manifest(record));
        oci::Descriptor target = manifest.descriptor;
        if (!image.index.empty()) target = TRY(add_index(record, image.index));
        json::Array layers;
        json::Value sources{json::Object{}};  // of foreign layers, by diff id
        const std::string config_text = TRY(store_->content().read(image.id));
        const auto config = TRY(oci::parse_image_config(config_text));
        for (const oci::Descriptor& layer : manifest.document.layers) {
            if (oci::is_foreign_layer_type(layer.media_type) &&
                layers.size() < config.rootfs.diff_ids.size())
                sources.set(config.rootfs.diff_ids[layers.size()], json::to_value(layer));
            layers.emplace_back(name_of(layer.digest));
        }
        json::Array tags;
        for (const std::string& reference : image.references) {
            tags.emplace_back(familiar(reference));
        }
        const json::Value tags_or_null =
            tags.empty() ? json::Value(nullptr) : json::Value(std::move(tags));
        json::Value item(json::Object{{"Config", name_of(image.id)},
                                      {"RepoTags", tags_or_null},
                                      {"Layers", std::move(layers)}});
        if (!sources.if_object()->empty()) item.set("LayerSources", std::move(sources));
        items_.push_back(std::move(item));
        // In the index once for each name, or once without.
        if (image.references.empty()) manifests_.push_back(target);
        for (const std::string& canonical : image.references) {
            oci::Descriptor named = target;
            named.annotations["io.containerd.image.name"] = canonical;
            const auto reference = oci::parse_reference(canonical);
            if (reference) named.annotations["org.opencontainers.image.ref.name"] = reference->tag;
            manifests_.push_back(std::move(named));
        }
        return {};
    }

    Result<ImageManifest> add_manifest(const ImageRecord& record) {
        ImageManifest manifest = TRY(manifest_of(*store_, record));
        TRY(add_blob(manifest.document.config));
        for (const oci::Descriptor& layer : manifest.document.layers) TRY(add_blob(layer));
        if (written_.insert(manifest.descriptor.digest).second) {
            TRY(add_text(name_of(manifest.descriptor.digest), manifest.text));
        }
        return manifest;
    }

    // The index, the images it has here, and what is attached to them.
    Result<oci::Descriptor> add_index(const ImageRecord& record, const std::string& digest) {
        const ImageBlob* found = record.find(BlobKind::Index, digest);
        if (found == nullptr)
            return fail(Code::Internal, "index {} is not of image {}", digest, record.id);
        for (const std::string& id : TRY(store_->images().of_target(digest))) {
            const ImageRecord one = TRY(store_->images().get(id));
            TRY(add_manifest(one));
            for (const ImageBlob& blob : one.blobs) {
                if (blob.kind == BlobKind::Attachment) TRY(add_blob(descriptor_of(blob)));
            }
        }
        const oci::Descriptor index = descriptor_of(*found);
        TRY(add_blob(index));
        return index;
    }

    static std::string name_of(std::string_view digest) {
        return format("blobs/sha256/{}", hex_of(digest));
    }

    static archive::TarEntry entry_of(const std::string& name) {
        archive::TarEntry entry;
        entry.name = name;
        entry.mode = 0644;
        return entry;
    }

    Result<void> add_folder(const std::string& name) {
        archive::TarEntry entry = entry_of(name);
        entry.type = archive::EntryType::Directory;
        entry.mode = 0755;
        return tar_.add(entry);
    }

    Result<void> add_text(const std::string& name, std::string_view text) {
        return tar_.add_file(entry_of(name), text);
    }

    Result<void> add_blob(const oci::Descriptor& blob) {
        if (!written_.insert(blob.digest).second) return {};
        const sys::Fd file = TRY(store_->content().open(blob.digest));
        archive::TarEntry entry = entry_of(name_of(blob.digest));
        entry.size = TRY(store_->content().size(blob.digest));
        TRY(tar_.add(entry));
        archive::FdSource source(file.get());
        for (;;) {
            const std::string_view chunk = TRY(source.next());
            if (chunk.empty()) return {};
            TRY(tar_.write(chunk));
        }
    }

    Store* store_;
    archive::TarWriter tar_;
    std::set<std::string> written_;
    std::vector<oci::Descriptor> manifests_;
    json::Array items_;
};

}  // namespace

Result<void> save_archive(Store& store, const std::vector<SavedImage>& images,
                          const archive::Sink& output) {
    // Against a removal meanwhile.
    const auto lease = store.lease();
    for (const SavedImage& image : images) {
        std::vector<std::string> ids = {image.id};
        if (!image.index.empty()) ids = TRY(store.images().of_target(image.index));
        for (const std::string& id : ids) {
            const ImageRecord record = TRY(store.images().get(id));
            for (const ImageBlob& blob : record.blobs) lease->blob(blob.digest);
        }
    }
    return Saver(store, output).run(images);
}

}  // namespace coffer::store
