#pragma once
// Images: which blobs and layers make an image, and which names point to it. The id of an image is
// the digest of its config. Names are canonical ("docker.io/library/busybox:latest"); what they
// mean is oci/reference's business. Safe from any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "store/content.hpp"
#include "store/database.hpp"
#include "store/gc.hpp"
#include "store/layers.hpp"

namespace coffer::store {

enum class BlobKind { Config, Manifest, Index, Layer };

struct ImageBlob {
    BlobKind kind = BlobKind::Layer;
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
};

struct ImageRecord {
    std::string id;                 // digest of the config
    std::string chain_id;           // of the topmost layer; empty for an image without layers
    std::vector<ImageBlob> blobs;   // config first, then the layers from the lowest up, manifests
    Time added{};                   // to this store
    std::vector<std::string> tags;  // canonical "name:tag", sorted
    std::vector<std::string> digests;  // canonical "name@sha256:...", sorted
    std::uint64_t size = 0;            // of all layers, as docker counts it
};

class Images {
  public:
    Images(Database& database, Gc& gc);

    // Adds the image (its blobs and layers must be there) or, if it is known, adds what is new in
    // `blobs`; `tags`, `digests`, `added` and `size` of the argument are not read.
    Result<void> add(const ImageRecord& image);

    // Points a canonical "name:tag" at an image; gives the id of the image it pointed to before.
    Result<std::optional<std::string>> tag(std::string_view name, std::string_view id);
    // Records that canonical "name@sha256:..." is this image.
    Result<void> add_digest(std::string_view reference, std::string_view id);
    // Removes a name or digest reference; NotFound if there is none.
    Result<void> untag(std::string_view reference);

    Result<ImageRecord> get(std::string_view id) const;
    // By canonical "name:tag" or "name@digest".
    std::optional<std::string> find_reference(std::string_view reference) const;
    // By id ("sha256:<hex>" or at least one hex digit of it): nullopt when none, Conflict when
    // several begin so.
    Result<std::optional<std::string>> find_id(std::string_view prefix) const;
    Result<std::vector<ImageRecord>> list() const;
    // Ids of images whose layers include this one's topmost layer (its children).
    Result<std::vector<std::string>> built_on(std::string_view id) const;

    // Removes the image with its references, and the layers and blobs nothing else uses. Gives the
    // chain ids of the removed layers, topmost first. Whether a container may lose its image is
    // for the caller to decide; its layers stay as long as it has its writable layer.
    Result<std::vector<std::string>> remove(std::string_view id);

  private:
    Database* database_;
    Gc* gc_;
};

}  // namespace coffer::store
