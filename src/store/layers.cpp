#include "store/layers.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/hash.hpp"
#include "base/id.hpp"
#include "base/sync.hpp"
#include "sys/file.hpp"

namespace coffer::store {

namespace {

// Two threads each, of which none is busy all the time.
constexpr unsigned kMostUnpackers = 4;
constexpr std::string_view kColumns = "SELECT chain_id, diff_id, parent, size FROM layers";

Layer layer_of(const Row& row) {
    return {row.text(0), row.text(1), row.text(2), static_cast<std::uint64_t>(row.integer(3))};
}

Result<void> check_depth(std::size_t layers) {
    if (layers <= kMaxDepth) return {};
    return fail(Code::InvalidArgument, "max depth exceeded: {} layers are the most", kMaxDepth);
}

Value or_null(const std::string& text) {
    return text.empty() ? Value(nullptr) : Value(text);
}

}  // namespace

std::string chain_id_of(std::string_view parent, std::string_view diff_id) {
    if (parent.empty()) return std::string(diff_id);
    return digest_of(format("{} {}", parent, diff_id));
}

std::string chain_id_of(const std::vector<std::string>& diff_ids) {
    std::string chain;
    for (const std::string& diff_id : diff_ids) chain = chain_id_of(chain, diff_id);
    return chain;
}

// Chain ids that somebody is adding or removing.
struct Layers::Claims {
    Sync<std::set<std::string, std::less<>>> busy;
    std::condition_variable changed;

    class Claim {
      public:
        Claim(Claims& claims, std::string_view chain_id) : claims_(&claims), chain_id_(chain_id) {
            auto held = claims_->busy.lock();
            held.wait(claims_->changed, [&] { return !held->contains(chain_id_); });
            held->insert(chain_id_);
        }
        ~Claim() {
            claims_->busy.lock()->erase(chain_id_);
            claims_->changed.notify_all();
        }
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;
        Claim(Claim&&) = delete;
        Claim& operator=(Claim&&) = delete;

      private:
        Claims* claims_;
        std::string chain_id_;
    };
};

Layers::Layers(const Paths& paths, Database& database, archive::Unpacker unpacker)
    : paths_(&paths),
      database_(&database),
      unpacker_(std::move(unpacker)),
      claims_(std::make_unique<Claims>()) {}

Layers::~Layers() = default;

std::optional<Layer> Layers::find(std::string_view chain_id) const {
    const auto row = database_->first(format("{} WHERE chain_id = ?", kColumns), {chain_id});
    if (!row || !*row) return {};
    return layer_of(**row);
}

Result<std::vector<Layer>> Layers::chain(std::string_view chain_id) const {
    std::vector<Layer> chain;
    for (std::string next(chain_id); !next.empty(); next = chain.back().parent) {
        auto layer = find(next);
        if (!layer) return fail(Code::NotFound, "no such layer: {}", next);
        chain.push_back(std::move(*layer));
    }
    return chain;
}

Result<std::vector<std::string>> Layers::lower_dirs(std::string_view chain_id) const {
    std::vector<std::string> dirs;
    for (const Layer& layer : TRY(chain(chain_id))) {
        dirs.push_back(paths_->layer_diff(layer.chain_id));
    }
    return dirs;
}

Result<std::vector<Layer>> Layers::list() const {
    std::vector<Layer> layers;
    for (const Row& row : TRY(database_->query(kColumns))) layers.push_back(layer_of(row));
    return layers;
}

Result<std::map<std::string, std::uint64_t>> Layers::sizes_on_disk() const {
    std::map<std::string, std::uint64_t> sizes;
    for (const Row& row : TRY(database_->query("SELECT chain_id, disk FROM layers"))) {
        std::string chain_id = row.text(0);
        if (!row.is_null(1)) {
            sizes.emplace(std::move(chain_id), static_cast<std::uint64_t>(row.integer(1)));
            continue;
        }
        const auto measured = TRY(sys::measure_tree(paths_->layer(chain_id))).bytes;
        TRY(database_->run("UPDATE layers SET disk = ? WHERE chain_id = ?", {measured, chain_id},
                           Durability::Later));
        sizes.emplace(std::move(chain_id), measured);
    }
    return sizes;
}

Result<Layer> Layers::add(const Request& request) {
    const auto parent_there = [&]() -> Result<void> {
        if (request.parent.empty() || has(request.parent)) return {};
        return fail(Code::NotFound, "no such layer: {}", request.parent);
    };
    TRY(parent_there());
    const auto below = TRY(chain(request.parent));
    TRY(check_depth(below.size() + 1));
    return add(request, parent_there);
}

Result<Layer> Layers::add(const Request& request,
                          const std::function<Result<void>()>& parent_there) {
    if (!request.diff_id.empty() && !is_digest(request.diff_id)) {
        return fail(Code::InvalidArgument, "invalid diff id '{}'", request.diff_id);
    }
    std::optional<Claims::Claim> claim;
    if (!request.diff_id.empty()) {
        const std::string chain_id = chain_id_of(request.parent, request.diff_id);
        claim.emplace(*claims_, chain_id);
        if (auto known = find(chain_id)) return *known;
    }
    const std::string temporary = format("{}/tmp-{}", paths_->layers(), random_hex(8));
    auto layer = unpack(request, temporary);
    if (layer && !claim) {  // only now is it known which layer it is
        claim.emplace(*claims_, layer->chain_id);
        if (auto known = find(layer->chain_id)) {
            TRY(sys::remove_tree(temporary));
            return *known;
        }
    }
    if (layer) {
        const auto there = parent_there();
        layer = there ? publish(*layer, temporary) : Result<Layer>(fail(there.error()));
    }
    if (!layer)
        ignore(sys::remove_tree(temporary), "recover() tries again; the first error counts");
    return layer;
}

Result<std::string> Layers::add_stack(const std::vector<Stacked>& layers, const OnStacked& done) {
    TRY(check_depth(layers.size()));
    struct State {
        std::size_t added = 0;  // of the layers, from the lowest up
        std::optional<Error> failure;
    };
    Sync<State> shared;
    std::condition_variable changed;
    std::vector<std::string> chain_ids{std::string()};
    chain_ids.reserve(layers.size() + 1);
    for (const Stacked& layer : layers) {
        chain_ids.push_back(chain_id_of(chain_ids.back(), layer.diff_id));
    }
    const auto add_one = [&](std::size_t index) -> Result<Layer> {
        const auto in_turn = [&]() -> Result<void> {
            auto state = shared.lock();
            state.wait(changed, [&] { return state->failure || state->added == index; });
            if (state->failure) return fail(Code::Cancelled, "another layer failed");
            return {};
        };
        auto known = find(chain_ids[index + 1]);
        if (!known && !shared.lock()->failure) {
            const sys::Fd input = TRY(layers[index].open());
            known = TRY(add({.parent = chain_ids[index],
                             .diff_id = layers[index].diff_id,
                             .digest = {},
                             .input_fd = input.get()},
                            in_turn));
        }
        TRY(in_turn());
        return *known;
    };
    {
        WorkerPool workers(std::clamp(std::thread::hardware_concurrency(), 1U, kMostUnpackers));
        for (std::size_t i = 0; i < layers.size(); ++i) {
            workers.submit([&, i] {
                const auto layer = add_one(i);
                done(i, layer);  // before those that fail because of it
                {
                    auto state = shared.lock();
                    if (layer) {
                        state->added = i + 1;
                    } else if (!state->failure) {
                        state->failure = layer.error();
                    }
                }
                changed.notify_all();
            });
        }
    }
    if (auto& failure = shared.lock()->failure; failure) return fail(std::move(*failure));
    return chain_ids.back();
}

// Fills temporary/diff.
Result<Layer> Layers::unpack(const Request& request, const std::string& temporary) {
    TRY(sys::make_dirs(temporary, 0700));
    const std::string diff = temporary + "/diff";
    TRY(sys::make_dirs(diff, 0755));
    const sys::Fd target = TRY(sys::open_file(diff, O_RDONLY | O_DIRECTORY));
    // The root of a layer that does not describe it; umask must not matter.
    if (::fchmod(target.get(), 0755) != 0) return fail_errno("set mode of '{}'", diff);
    const auto applied =
        TRY_CONTEXT(unpacker_({.input_fd = request.input_fd,
                               .target_fd = target.get(),
                               .digest = request.digest,
                               .diff_id = request.diff_id,
                               .limits = {}}),
                    "unpack layer {}", request.digest.empty() ? request.diff_id : request.digest);
    return Layer{chain_id_of(request.parent, applied.diff_id), applied.diff_id, request.parent,
                 applied.size};
}

// The folder gets its name, then the row makes it count. A crash between leaves a folder without
// a row, which recover() removes.
Result<Layer> Layers::publish(const Layer& layer, const std::string& temporary) {
    const std::string path = paths_->layer(layer.chain_id);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename to '{}'", path);
    const auto added =
        database_->run("INSERT INTO layers (chain_id, diff_id, parent, size) VALUES (?, ?, ?, ?)",
                       {layer.chain_id, layer.diff_id, or_null(layer.parent), layer.size});
    if (!added) {
        ignore(sys::remove_tree(path), "recover() tries again; the first error counts");
        return fail(added.error());
    }
    return layer;
}

Result<std::string> Layers::detach(std::string_view chain_id) {
    const Claims::Claim claim(*claims_, chain_id);
    // Foreign keys keep a layer that a layer, an image or a container refers to.
    auto removed = database_->run("DELETE FROM layers WHERE chain_id = ?", {chain_id});
    if (!removed && removed.error().code == Code::Conflict) {
        return fail(Code::Conflict, "layer {} is in use", chain_id);
    }
    if (TRY(std::move(removed)) == 0) return fail(Code::NotFound, "no such layer: {}", chain_id);
    std::string trash = format("{}/{}", paths_->trash(), random_hex(8));
    const std::string path = paths_->layer(chain_id);
    if (::rename(path.c_str(), trash.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("rename '{}'", path);
    }
    return trash;
}

Result<void> Layers::discard(const std::string& trash) const {
    return sys::remove_tree(trash);
}

Result<void> Layers::recover() {
    std::set<std::string> known;
    for (const Layer& layer : TRY(list())) known.emplace(hex_of(layer.chain_id));
    for (const std::string& name : TRY(sys::list_dir(paths_->layers()))) {
        if (!known.contains(name)) TRY(sys::remove_tree(paths_->layers() + "/" + name));
    }
    for (const std::string& name : TRY(sys::list_dir(paths_->trash()))) {
        TRY(sys::remove_tree(paths_->trash() + "/" + name));
    }
    return {};
}

}  // namespace coffer::store
