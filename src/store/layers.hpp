#pragma once
// Layers: unpacked, keyed by chain id. Safe from any thread: two callers that want the same layer
// share one unpack.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/unpack.hpp"
#include "store/database.hpp"
#include "store/paths.hpp"

namespace coffer::store {

struct Layer {
    std::string chain_id;
    std::string diff_id;
    std::string parent;      // chain id; empty for the lowest
    std::uint64_t size = 0;  // sum of the files' sizes
};

// The chain id of a layer on top of `parent` (empty: the layer is the lowest).
std::string chain_id_of(std::string_view parent, std::string_view diff_id);
// The chain id of the topmost of `diff_ids` (lowest first); empty for none.
std::string chain_id_of(const std::vector<std::string>& diff_ids);

class Layers {
  public:
    Layers(const Paths& paths, Database& database, archive::Unpacker unpacker);
    ~Layers();
    Layers(const Layers&) = delete;
    Layers& operator=(const Layers&) = delete;
    Layers(Layers&&) = delete;
    Layers& operator=(Layers&&) = delete;

    // Unpacks the layer unless it is there. `input_fd` gives the layer as distributed, whose
    // digest is `digest` (empty: unchecked); the diff id is checked, or found out when empty.
    struct Request {
        std::string parent;
        std::string diff_id;
        std::string digest;
        int input_fd = -1;
    };
    Result<Layer> add(const Request& request);

    std::optional<Layer> find(std::string_view chain_id) const;
    bool has(std::string_view chain_id) const { return find(chain_id).has_value(); }
    // From the topmost down to the lowest.
    Result<std::vector<Layer>> chain(std::string_view chain_id) const;
    // Folders for overlayfs, topmost first.
    Result<std::vector<std::string>> lower_dirs(std::string_view chain_id) const;
    Result<std::vector<Layer>> list() const;
    // Takes a layer away from all who could find it; Conflict while another layer, an image or a
    // container builds on it. Its files are then at the path given, which discard() deletes.
    Result<std::string> detach(std::string_view chain_id);
    Result<void> discard(const std::string& trash) const;

    // At start, before anything else: what a crash left behind.
    Result<void> recover();

  private:
    struct Claims;
    Result<Layer> unpack(const Request& request, const std::string& temporary);
    Result<Layer> publish(const Layer& layer, const std::string& temporary);

    const Paths* paths_;
    Database* database_;
    archive::Unpacker unpacker_;
    std::unique_ptr<Claims> claims_;
};

}  // namespace coffer::store
