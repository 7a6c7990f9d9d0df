#pragma once
// Every name under the data root:
//
//   <data-root>/                 0700
//     lock                       held by the engine that uses this root
//     state.db                   SQLite: images, layers, and the tables of other folders
//     events.jsonl               the newest events, for GET /events
//     blobs/sha256/<hex>         configs, manifests, indexes and layers as they were distributed
//     partial/<hex>              layers of pulls that have not ended, or were broken off
//     layers/<chain-id hex>/diff a layer as overlayfs reads it
//     layers/tmp-<random>/       a layer being made; removed at the next start
//     containers/<id>/{diff,work}  writable layer; the engine keeps its own files beside them
//     volumes/<name>/_data
//     trash/<random>/            being deleted; emptied at the next start
//
// Immutable after construction; safe from any thread.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::store {

class Paths {
  public:
    explicit Paths(std::string data_root) : root_(std::move(data_root)) {}

    // Makes the folders, checks that the root is ours alone, and asks ext4 to spread layers and
    // containers over block groups (chattr +T): creating files beside a fresh deletion is ten
    // times slower otherwise.
    Result<void> create() const;

    const std::string& root() const { return root_; }
    std::string lock() const { return root_ + "/lock"; }
    std::string state_db() const { return root_ + "/state.db"; }
    std::string events() const { return root_ + "/events.jsonl"; }
    std::string blobs() const { return root_ + "/blobs/sha256"; }
    // `digest` must be valid (is_digest).
    std::string blob(std::string_view digest) const;
    std::string partials() const { return root_ + "/partial"; }
    std::string partial(std::string_view digest) const;
    std::string layers() const { return root_ + "/layers"; }
    std::string layer(std::string_view chain_id) const;
    std::string layer_diff(std::string_view chain_id) const;
    std::string containers() const { return root_ + "/containers"; }
    std::string container(std::string_view id) const;
    std::string volumes() const { return root_ + "/volumes"; }
    std::string trash() const { return root_ + "/trash"; }

  private:
    std::string root_;
};

}  // namespace coffer::store
