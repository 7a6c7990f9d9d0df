#include "store/archive_load.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "archive/compress.hpp"
#include "archive/layer_tree.hpp"
#include "archive/tar.hpp"
#include "base/text.hpp"
#include "json/codec.hpp"
#include "json/value.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"

namespace coffer::store {

namespace {

constexpr std::size_t kDocument = 16U << 20U;  // of one JSON file
constexpr int kIndexDepth = 4;                 // indexes within indexes
constexpr int kLinks = 8;
constexpr archive::TarLimits kLimits{.entries = 100'000};

struct StoredFile {
    std::string digest;
    std::uint64_t size = 0;
};

Failure invalid(std::string_view what) {
    return fail(Code::InvalidArgument, "invalid archive: {}", what);
}

// The files of the archive, each as a blob that the lease holds.
class Files {
  public:
    Files(Store& store, Lease& lease) : store_(&store), lease_(&lease) {}

    Result<void> read(archive::Source& input) {
        archive::DecodingSource decoded(input);
        archive::TarReader reader(decoded, kLimits);
        for (;;) {
            const auto entry = TRY_CONTEXT(reader.next(), "read archive");
            if (!entry) return {};
            const std::string name = TRY(archive::LayerTree::clean(entry->name));
            if (entry->type == archive::EntryType::Regular) {
                files_[name] = TRY_CONTEXT(store_file(reader, entry->size), "load '{}'", name);
            } else if (entry->type == archive::EntryType::HardLink) {
                links_[name] = TRY(archive::LayerTree::clean(entry->link_target));
            } else if (entry->type == archive::EntryType::Symlink) {
                links_[name] = beside(name, entry->link_target);
            }
        }
    }

    const StoredFile* find(std::string name) const {
        for (int i = 0; i < kLinks; ++i) {
            if (const auto file = files_.find(name); file != files_.end()) return &file->second;
            const auto link = links_.find(name);
            if (link == links_.end()) return nullptr;
            name = link->second;
        }
        return nullptr;
    }
    Result<StoredFile> get(const std::string& name) const {
        const StoredFile* file = find(name);
        if (file == nullptr) return invalid(format("file '{}' is missing", name));
        return *file;
    }
    Result<std::string> text(const std::string& name) const {
        const StoredFile file = TRY(get(name));
        return store_->content().read(file.digest, kDocument);
    }
    // A blob of an OCI layout: the name promises the digest, the file must keep it.
    Result<StoredFile> blob(const oci::Descriptor& descriptor) const {
        const StoredFile file = TRY(get(format("blobs/sha256/{}", hex_of(descriptor.digest))));
        if (file.digest != descriptor.digest || std::cmp_not_equal(file.size, descriptor.size)) {
            return invalid(format("blob {} is not what its descriptor says", descriptor.digest));
        }
        return file;
    }

  private:
    Result<StoredFile> store_file(archive::TarReader& reader, std::uint64_t size) {
        ContentWriter writer = TRY(store_->content().create(size));
        std::uint64_t position = 0;
        for (;;) {
            const auto piece = TRY(reader.read());
            if (piece.bytes.empty()) break;
            if (piece.offset != position) return invalid("sparse file");
            position += piece.bytes.size();
            TRY(writer.write(piece.bytes));
        }
        std::string digest = TRY(writer.commit());
        lease_->blob(digest);
        return StoredFile{std::move(digest), size};
    }

    // Where a symbolic link leads, by names alone: docker save of old links equal layers so.
    static std::string beside(const std::string& name, const std::string& target) {
        std::vector<std::string> parts = split(name, '/');
        parts.pop_back();
        for (const std::string& part : split(target, '/')) {
            if (part == ".." && !parts.empty()) parts.pop_back();
            if (part != ".." && part != "." && !part.empty()) parts.push_back(part);
        }
        return join(parts, "/");
    }

    Store* store_;
    Lease* lease_;
    std::map<std::string, StoredFile> files_;
    std::map<std::string, std::string> links_;
};

// One item of docker's manifest.json.
struct ManifestItem {
    std::string config;
    std::vector<std::string> repo_tags;
    std::vector<std::string> layers;
};

void describe(json::Fields& f, const ManifestItem& s) {
    f("Config", s.config);
    f("RepoTags", s.repo_tags);
    f("Layers", s.layers);
}

class Loader {
  public:
    Loader(Store& store, Lease& lease, const Files& files, const LoadProgress& progress)
        : store_(&store), lease_(&lease), files_(&files), progress_(&progress) {}

    Result<std::vector<LoadedImage>> run() {
        if (files_->find("manifest.json") != nullptr) {
            TRY(load_docker());
        } else if (files_->find("index.json") != nullptr) {
            TRY(load_oci());
        } else {
            return invalid("neither a manifest.json nor an index.json");
        }
        return std::move(loaded_);
    }

  private:
    Result<void> load_docker() {
        const std::string text = TRY(files_->text("manifest.json"));
        const auto items =
            TRY_CONTEXT(json::decode<std::vector<ManifestItem>>(text), "read manifest.json");
        for (const ManifestItem& item : items) {
            const StoredFile config = TRY(named(item.config));
            ImageRecord image;
            image.id = config.digest;
            image.blobs.push_back({BlobKind::Config, config.digest,
                                   std::string(oci::media_type::kConfig), config.size});
            for (const std::string& name : item.layers) {
                const StoredFile layer = TRY(named(name));
                const std::string type = TRY(layer_type(layer));
                image.blobs.push_back({BlobKind::Layer, layer.digest, type, layer.size});
            }
            std::vector<std::string> references;
            references.reserve(item.repo_tags.size());
            for (const std::string& tag : item.repo_tags) {
                references.push_back(TRY(oci::parse_reference(tag)).to_string());
            }
            TRY(add(std::move(image), std::move(references)));
        }
        return {};
    }

    Result<StoredFile> named(const std::string& name) const {
        const std::string path = TRY(archive::LayerTree::clean(name));
        return files_->get(path);
    }

    Result<std::string> layer_type(const StoredFile& layer) const {
        const sys::Fd file = TRY(store_->content().open(layer.digest));
        archive::FdSource source(file.get(), 16);
        const std::string_view head = TRY(source.next());
        switch (TRY(archive::detect_compression(head))) {
            case archive::Compression::None:
                return std::string(oci::media_type::kLayer);
            case archive::Compression::Gzip:
                return std::string(oci::media_type::kLayerGzip);
            case archive::Compression::Zstd:
                break;
        }
        return std::string(oci::media_type::kLayerZstd);
    }

    Result<void> load_oci() {
        const std::string text = TRY(files_->text("index.json"));
        const auto index = TRY(oci::parse_index(text, {}));
        for (const oci::Descriptor& entry : index.manifests) {
            std::vector<ImageBlob> indexes;
            const auto manifest = TRY(choose(entry, indexes, 0));
            if (manifest) TRY(load_manifest(*manifest, std::move(indexes), references_of(entry)));
        }
        if (loaded_.empty()) return invalid("no image for this machine's platform");
        return {};
    }

    // The manifest for this machine below an entry of an index; nullopt when there is none.
    Result<std::optional<oci::Descriptor>> choose(const oci::Descriptor& entry,
                                                  std::vector<ImageBlob>& indexes, int depth) {
        if (oci::is_manifest_type(entry.media_type)) return std::optional(entry);
        if (!oci::is_index_type(entry.media_type)) return std::optional<oci::Descriptor>();
        if (depth == kIndexDepth) return invalid("indexes too deep within each other");
        const StoredFile file = TRY(files_->blob(entry));
        const std::string text = TRY(store_->content().read(file.digest, kDocument));
        const auto index = TRY(oci::parse_index(text, entry.media_type));
        const oci::Descriptor* best = nullptr;
        int score = 0;
        for (const oci::Descriptor& candidate : index.manifests) {
            const bool here = oci::is_index_type(candidate.media_type) || files_->blob(candidate);
            const int match = candidate.platform
                                  ? oci::match_platform(oci::host_platform(), *candidate.platform)
                                  : 1;
            if (here && match > score) {
                score = match;
                best = &candidate;
            }
        }
        if (best == nullptr) return std::optional<oci::Descriptor>();
        indexes.push_back({BlobKind::Index, file.digest, entry.media_type, file.size});
        return choose(*best, indexes, depth + 1);
    }

    // containerd and docker give the whole name; others a name or only a tag, which names nothing.
    static std::vector<std::string> references_of(const oci::Descriptor& entry) {
        for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
            const auto found = entry.annotations.find(key);
            if (found == entry.annotations.end()) continue;
            if (found->second.find_first_of(":/") == std::string::npos) continue;
            const auto reference = oci::parse_reference(found->second);
            if (reference && reference->digest.empty()) return {reference->to_string()};
        }
        return {};
    }

    Result<void> load_manifest(const oci::Descriptor& descriptor, std::vector<ImageBlob> indexes,
                               std::vector<std::string> references) {
        const StoredFile file = TRY(files_->blob(descriptor));
        const std::string text = TRY(store_->content().read(file.digest, kDocument));
        const auto manifest = TRY(oci::parse_manifest(text, descriptor.media_type));
        // Signatures and attestations are manifests too, but no images.
        if (!oci::is_config_type(manifest.config.media_type)) return {};
        ImageRecord image;
        image.id = manifest.config.digest;
        const StoredFile config = TRY(files_->blob(manifest.config));
        image.blobs.push_back(
            {BlobKind::Config, config.digest, manifest.config.media_type, config.size});
        for (const oci::Descriptor& layer : manifest.layers) {
            const StoredFile stored = TRY(files_->blob(layer));
            image.blobs.push_back({BlobKind::Layer, stored.digest, layer.media_type, stored.size});
        }
        image.blobs.push_back({BlobKind::Manifest, file.digest, descriptor.media_type, file.size});
        image.blobs.insert(image.blobs.end(), indexes.begin(), indexes.end());
        return add(std::move(image), std::move(references));
    }

    // Unpacks the layers that are not there and adds the image.
    Result<void> add(ImageRecord image, std::vector<std::string> references) {
        const std::string text = TRY(store_->content().read(image.id, kDocument));
        const auto config = TRY_CONTEXT(oci::parse_image_config(text), "image {}", image.id);
        std::vector<const ImageBlob*> layers;
        for (const ImageBlob& blob : image.blobs) {
            if (blob.kind == BlobKind::Layer) layers.push_back(&blob);
        }
        const std::vector<std::string>& diff_ids = config.rootfs.diff_ids;
        if (layers.size() != diff_ids.size()) {
            return invalid(
                format("{} layers, but {} in the image config", layers.size(), diff_ids.size()));
        }
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const std::string chain_id = chain_id_of(image.chain_id, diff_ids[i]);
            lease_->layer(chain_id);
            if (!store_->layers().has(chain_id)) {
                (*progress_)(diff_ids[i], 0, layers[i]->size);
                const sys::Fd blob = TRY(store_->content().open(layers[i]->digest));
                TRY(store_->layers().add({.parent = image.chain_id,
                                          .diff_id = diff_ids[i],
                                          .digest = layers[i]->digest,
                                          .input_fd = blob.get()}));
                (*progress_)(diff_ids[i], layers[i]->size, layers[i]->size);
            }
            image.chain_id = chain_id;
        }
        TRY(store_->images().add(image));
        const auto known = std::find_if(loaded_.begin(), loaded_.end(),
                                        [&](const LoadedImage& one) { return one.id == image.id; });
        LoadedImage& loaded = known == loaded_.end() ? loaded_.emplace_back() : *known;
        loaded.id = image.id;
        loaded.references.insert(loaded.references.end(), references.begin(), references.end());
        return {};
    }

    Store* store_;
    Lease* lease_;
    const Files* files_;
    const LoadProgress* progress_;
    std::vector<LoadedImage> loaded_;
};

}  // namespace

Result<std::vector<LoadedImage>> load_archive(Store& store, archive::Source& input,
                                              const LoadProgress& progress) {
    const auto lease = store.lease();
    Files files(store, *lease);
    TRY(files.read(input));
    return Loader(store, *lease, files, progress).run();
}

}  // namespace coffer::store
