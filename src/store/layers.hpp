#pragma once
// Layers: unpacked, keyed by chain id. Safe from any thread: two callers that want the same layer
// share one unpack.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/unpack.hpp"
#include "store/database.hpp"
#include "store/paths.hpp"
#include "sys/fd.hpp"

namespace coffer::store {

struct Layer {
    std::string chain_id;
    std::string diff_id;
    std::string parent;      // chain id; empty for the lowest
    std::uint64_t size = 0;  // sum of the files' sizes
};

// How many layers lie on each other at most: every start mounts them all.
constexpr std::size_t kMaxDepth = 127;

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

    // A layer of a stack, which the one before it in the stack is the parent of.
    struct Stacked {
        std::string diff_id;
        std::function<Result<sys::Fd>()> open;  // the layer as distributed, of a digest that is
                                                // right or that somebody else checks
    };
    // Told of each layer, from several threads: of those that were added in their order, of the
    // others as soon as they failed.
    using OnStacked = std::function<void(std::size_t index, const Result<Layer>& layer)>;
    // Adds the layers from the lowest up, unpacking several at a time; at the first failure it
    // stops and gives that error. Gives the chain id of the topmost.
    Result<std::string> add_stack(const std::vector<Stacked>& layers, const OnStacked& done);

    std::optional<Layer> find(std::string_view chain_id) const;
    bool has(std::string_view chain_id) const { return find(chain_id).has_value(); }
    // From the topmost down to the lowest.
    Result<std::vector<Layer>> chain(std::string_view chain_id) const;
    // Folders for overlayfs, topmost first.
    Result<std::vector<std::string>> lower_dirs(std::string_view chain_id) const;
    Result<std::vector<Layer>> list() const;
    // Bytes on disk of all layers, by chain id. Each is measured once, when it is first asked for.
    Result<std::map<std::string, std::uint64_t>> sizes_on_disk() const;
    // Takes a layer away from all who could find it; Conflict while another layer, an image or a
    // container builds on it. Its files are then at the path given, which discard() deletes.
    Result<std::string> detach(std::string_view chain_id);
    Result<void> discard(const std::string& trash) const;

    // At start, before anything else: what a crash left behind.
    Result<void> recover();

  private:
    struct Claims;
    Result<Layer> add(const Request& request, const std::function<Result<void>()>& parent_there);
    Result<Layer> unpack(const Request& request, const std::string& temporary);
    Result<Layer> publish(const Layer& layer, const std::string& temporary);

    const Paths* paths_;
    Database* database_;
    archive::Unpacker unpacker_;
    std::unique_ptr<Claims> claims_;
};

}  // namespace coffer::store
