#pragma once
// Images: which blobs and layers make an image, and which names point to it. The id of an image is
// the digest of its config. A name points to one image, and remembers what it stands for at the
// registry: an index may have several images here. Names are canonical
// ("docker.io/library/busybox:latest"); what they mean is oci/reference's business. Safe from any
// thread.

#include <cstdint>
#include <functional>
#include <map>
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

// Attachment: a manifest of an index that is about another one (an attestation), and its blobs.
enum class BlobKind { Config, Manifest, Index, Layer, Attachment };

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
    Time used{};                    // see stamp()
    std::vector<std::string> tags;  // canonical "name:tag", sorted
    std::vector<std::string> digests;  // canonical "name@sha256:...", sorted
    std::uint64_t size = 0;            // of all layers, as docker counts it
    std::string target;                // see target_of: of the first name that has one
    // A name that points to another image stands for an index which this image is of, too.
    bool in_named_index = false;

    // nullptr when it has no such blob.
    const ImageBlob* find(BlobKind kind, std::string_view digest) const;
};

class Images {
  public:
    Images(Database& database, Gc& gc);

    // Adds the image (its blobs and layers must be there) or, if it is known, adds what is new in
    // `blobs`; `tags`, `digests`, `added`, `used` and `size` of the argument are not read.
    Result<void> add(const ImageRecord& image);

    // Points a canonical "name:tag" at an image; gives the id of the image it pointed to before.
    // `target`: the digest of the index or manifest that the tag stands for; empty for none.
    Result<std::optional<std::string>> tag(std::string_view name, std::string_view id,
                                           std::string_view target = {});
    // Records that canonical "name@sha256:..." is this image; the digest is its target.
    Result<void> add_digest(std::string_view reference, std::string_view id);
    // Removes a name or digest reference; NotFound if there is none.
    Result<void> untag(std::string_view reference);

    Result<ImageRecord> get(std::string_view id) const;
    // By canonical "name:tag" or "name@digest".
    std::optional<std::string> find_reference(std::string_view reference) const;
    // What a name stands for; nullopt without a name or target.
    std::optional<std::string> target_of(std::string_view reference) const;
    // Ids of the images that an index or a manifest has here.
    Result<std::vector<std::string>> of_target(std::string_view digest) const;
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
    // The same for who comes unasked: Conflict while a Lease holds the image's config, or unless
    // `may_go` says so, during which nobody can come to hold it. `may_go` must take no lease.
    Result<std::vector<std::string>> remove_unheld(std::string_view id,
                                                   const std::function<bool()>& may_go);

    // Records when images were last used; an earlier time than what is known changes nothing, and
    // an unknown id is passed over. An image counts as used when it is added.
    Result<void> stamp(const std::map<std::string, Time>& uses);

  private:
    struct Parts {
        std::vector<std::string> blobs;
        std::vector<std::string> layers;  // chain ids, topmost first
    };
    Result<Parts> drop_row(std::string_view id);

    Database* database_;
    Gc* gc_;
};

}  // namespace coffer::store
