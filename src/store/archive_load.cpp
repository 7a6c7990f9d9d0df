#include "store/archive_load.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "archive/compress.hpp"
#include "archive/layer_tree.hpp"
#include "archive/tar.hpp"
#include "base/text.hpp"
#include "json/codec.hpp"
#include "json/value.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "store/assemble.hpp"

namespace coffer::store {

namespace {

constexpr std::size_t kDocument = 16U << 20U;  // of one JSON file
constexpr int kIndexDepth = 4;                 // indexes within indexes
constexpr int kMaxManifests = 4096;            // and indexes, of all that an archive names
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
    Loader(Store& store, Lease& lease, const Files& files, const UnpackProgress& progress,
           const std::optional<oci::Platform>& platform)
        : store_(&store),
          lease_(&lease),
          files_(&files),
          progress_(&progress),
          platform_(&platform) {}

    Result<std::vector<LoadedImage>> run() {
        // What docker saves since version 25 is both: the layout knows of indexes.
        if (files_->find("oci-layout") != nullptr && files_->find("index.json") != nullptr) {
            TRY(load_oci());
        } else if (files_->find("manifest.json") != nullptr) {
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
            if (*platform_ && TRY(match_of(image.id)) == 0) continue;
            TRY(add(std::move(image), std::move(references), {}));
        }
        return refuse_nothing();
    }

    // By the config alone: a docker-archive does not say it elsewhere.
    Result<int> match_of(const std::string& config) const {
        const std::string text = TRY(store_->content().read(config, kDocument));
        const auto parsed = TRY_CONTEXT(oci::parse_image_config(text), "image {}", config);
        return oci::match_platform(**platform_, oci::platform_of(parsed));
    }

    Result<void> refuse_nothing() const {
        if (!loaded_.empty()) return {};
        if (*platform_)
            return fail(Code::NotFound, "no image for platform {} in the archive",
                        oci::to_string(**platform_));
        return invalid("no image in it");
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
        // Several names of an image are several entries.
        std::vector<std::pair<oci::Descriptor, std::vector<std::string>>> named;
        std::map<std::string, std::size_t> places;
        for (const oci::Descriptor& entry : index.manifests) {
            const auto place = places.emplace(entry.digest, named.size());
            if (place.second) named.emplace_back(entry, std::vector<std::string>());
            std::vector<std::string>& names = named[place.first->second].second;
            for (std::string& name : references_of(entry)) names.push_back(std::move(name));
        }
        for (const auto& [entry, names] : named) {
            std::vector<Found> found;
            std::set<std::string> seen;
            TRY(collect(entry, {}, 0, seen, found));
            if (*platform_) keep_best(found);
            for (const Found& one : found) TRY(load_manifest(one, names, entry.digest));
        }
        return refuse_nothing();
    }

    // A manifest that the archive has, below an entry of its index.json.
    struct Found {
        oci::Descriptor manifest;
        std::vector<ImageBlob> indexes;             // that lead to it
        std::vector<oci::Descriptor> attestations;  // of it
    };

    // What is named again and again is `seen` once: else a small archive stands for any number.
    Result<void> collect(const oci::Descriptor& entry, std::vector<ImageBlob> indexes, int depth,
                         std::set<std::string>& seen, std::vector<Found>& found) {
        if (!seen.insert(entry.digest).second) return {};
        if (++manifests_ > kMaxManifests) return invalid("too many manifests");
        if (oci::is_manifest_type(entry.media_type)) {
            found.push_back({entry, std::move(indexes), {}});
            return {};
        }
        if (!oci::is_index_type(entry.media_type)) return {};
        if (depth == kIndexDepth) return invalid("indexes too deep within each other");
        const StoredFile file = TRY(files_->blob(entry));
        const std::string text = TRY(store_->content().read(file.digest, kDocument));
        const auto index = TRY(oci::parse_index(text, entry.media_type));
        indexes.push_back({BlobKind::Index, file.digest, entry.media_type, file.size});
        std::map<std::string, std::vector<oci::Descriptor>> attestations;
        for (const oci::Descriptor& one : index.manifests) {
            const std::string attested = oci::attested_by(one);
            // Of an index there may be a part only.
            if (attested.empty() || seen.contains(one.digest) || !files_->blob(one)) continue;
            seen.insert(one.digest);
            attestations[attested].push_back(one);
        }
        for (const oci::Descriptor& one : index.manifests) {
            if (!oci::attested_by(one).empty() || !files_->blob(one)) continue;
            const std::size_t before = found.size();
            TRY(collect(one, indexes, depth + 1, seen, found));
            if (!oci::is_manifest_type(one.media_type) || found.size() == before) continue;
            found.back().attestations = std::move(attestations[one.digest]);
        }
        return {};
    }

    void keep_best(std::vector<Found>& found) const {
        const auto score = [&](const Found& one) {
            if (one.manifest.platform)
                return oci::match_platform(**platform_, *one.manifest.platform);
            const auto match = config_match(one.manifest);
            return match ? *match : 0;
        };
        const auto best =
            std::max_element(found.begin(), found.end(),
                             [&](const Found& a, const Found& b) { return score(a) < score(b); });
        if (best == found.end() || score(*best) == 0) {
            found.clear();
            return;
        }
        found = {*best};
    }

    Result<int> config_match(const oci::Descriptor& descriptor) const {
        const StoredFile file = TRY(files_->blob(descriptor));
        const std::string text = TRY(store_->content().read(file.digest, kDocument));
        const auto manifest = TRY(oci::parse_manifest(text, descriptor.media_type));
        return match_of(TRY(files_->blob(manifest.config)).digest);
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

    Result<void> load_manifest(const Found& found, std::vector<std::string> references,
                               const std::string& target) {
        const oci::Descriptor& descriptor = found.manifest;
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
        image.blobs.insert(image.blobs.end(), found.indexes.begin(), found.indexes.end());
        for (const oci::Descriptor& attestation : found.attestations) {
            TRY(attach(attestation, image));
        }
        return add(std::move(image), std::move(references), target);
    }

    // With all that it names, or not at all.
    Result<void> attach(const oci::Descriptor& attestation, ImageRecord& image) const {
        const StoredFile file = TRY(files_->blob(attestation));
        const std::string text = TRY(store_->content().read(file.digest, kDocument));
        const auto manifest = TRY(oci::parse_manifest(text, attestation.media_type));
        std::vector<ImageBlob> blobs = {
            {BlobKind::Attachment, file.digest, attestation.media_type, file.size}};
        std::vector<oci::Descriptor> parts = manifest.layers;
        parts.push_back(manifest.config);
        for (const oci::Descriptor& part : parts) {
            const auto stored = files_->blob(part);
            if (!stored) return {};
            blobs.push_back({BlobKind::Attachment, stored->digest, part.media_type, stored->size});
        }
        image.blobs.insert(image.blobs.end(), blobs.begin(), blobs.end());
        return {};
    }

    Result<void> add(ImageRecord image, std::vector<std::string> references,
                     const std::string& target) {
        TRY(assemble_image(*store_, *lease_, image, *progress_));
        const auto known = std::find_if(
            loaded_.begin(), loaded_.end(),
            [&](const LoadedImage& one) { return one.id == image.id && one.target == target; });
        LoadedImage& loaded = known == loaded_.end() ? loaded_.emplace_back() : *known;
        loaded.id = image.id;
        loaded.target = target;
        loaded.references.insert(loaded.references.end(), references.begin(), references.end());
        return {};
    }

    Store* store_;
    Lease* lease_;
    const Files* files_;
    const UnpackProgress* progress_;
    const std::optional<oci::Platform>* platform_;
    int manifests_ = 0;
    std::vector<LoadedImage> loaded_;
};

}  // namespace

Result<std::vector<LoadedImage>> load_archive(Store& store, archive::Source& input,
                                              const UnpackProgress& progress,
                                              const std::optional<oci::Platform>& platform) {
    const auto lease = store.lease();
    Files files(store, *lease);
    TRY(files.read(input));
    return Loader(store, *lease, files, progress, platform).run();
}

}  // namespace coffer::store
