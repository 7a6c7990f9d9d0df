#pragma once
// Store: the engine's disk, opened as one: database, blobs, layers, images and the containers'
// writable layers. Safe from any thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/content.hpp"
#include "store/database.hpp"
#include "store/gc.hpp"
#include "store/images.hpp"
#include "store/layers.hpp"
#include "store/manifests.hpp"
#include "store/paths.hpp"
#include "store/pins.hpp"
#include "store/signatures.hpp"

namespace coffer::store {

struct StoreOptions {
    std::string data_root;
    // How layers are unpacked; empty: by the coffer-unpack that lies beside this program.
    archive::Unpacker unpacker;
    // How long another process may keep the store: a child that a killed engine was about to start
    // has its lock until the execve.
    std::chrono::milliseconds patience = std::chrono::seconds(2);
};

class Store {
  public:
    // One process at a time (Conflict otherwise). Removes what a crash left behind, except for
    // containers: see sweep_containers.
    static Result<std::unique_ptr<Store>> open(StoreOptions options);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    Store(Store&&) = delete;
    Store& operator=(Store&&) = delete;

    const Paths& paths() const;
    Database& database();
    Content& content();
    Layers& layers();
    Images& images();
    Manifests& manifests();
    Signatures& signatures();
    Pins& pins();

    // Bytes on disk of all that images take: their layers, unpacked and as they were distributed,
    // their documents, and what pulls that broke off have left to go on with.
    Result<std::uint64_t> image_usage() const;

    // Hold before asking content().has() or layers().has(), so that the answer stays true.
    std::unique_ptr<Lease> lease();

    // containers/<id> with diff/ and work/ in it, for overlayfs on top of `chain_id` (empty: no
    // layer), whose layers stay until remove_writable; gives its path.
    Result<std::string> create_writable(std::string_view id, std::string_view chain_id);
    // Removes containers/<id> with all that is in it, and layers that only it used; absent is
    // success. In two steps for those who have better to do in between: after the first the
    // container is gone from the store, and the next start does the second if nobody else has.
    Result<void> remove_writable(std::string_view id);
    struct Detached {
        std::string trash;                // its files
        std::vector<std::string> layers;  // that it used
    };
    Result<Detached> detach_writable(std::string_view id);
    Result<void> discard(const Detached& detached);
    // At start, once the engine knows its containers: removes the folders of all others.
    Result<void> sweep_containers(const std::vector<std::string>& known);

    // Also of the containers' folders, of which `known_containers` are right.
    Result<std::vector<Finding>> check(const std::vector<std::string>& known_containers,
                                       const CheckOptions& options);

  private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::store
