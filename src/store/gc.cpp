#include "store/gc.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/sync.hpp"
#include "sys/file.hpp"

namespace coffer::store {

namespace {

using Names = std::set<std::string, std::less<>>;

Result<Names> names(Database& database, std::string_view sql) {
    Names out;
    for (const Row& row : TRY(database.query(sql))) out.insert(row.text(0));
    return out;
}

}  // namespace

struct Gc::Impl {
    struct Held {
        std::multiset<std::string, std::less<>> blobs;
        std::multiset<std::string, std::less<>> layers;
    };
    const Paths* paths;
    Database* database;
    Content* content;
    Layers* layers;
    // Also locks "is it unused? then remove it" against a lease that is just being taken.
    Sync<Held> held;

    Result<void> remove_blobs_locked(const Held& leases, const std::vector<std::string>& blobs) {
        for (const std::string& digest : blobs) {
            if (leases.blobs.contains(digest)) continue;
            const auto used = TRY(
                database->first("SELECT 1 FROM image_blobs WHERE digest = ? LIMIT 1", {digest}));
            if (!used) TRY(content->remove(digest));
        }
        return {};
    }

    // In passes, since the lower layers become unused as the upper ones go.
    Result<void> detach_layers_locked(const Held& leases, std::vector<std::string> candidates,
                                      std::vector<std::string>& removed,
                                      std::vector<std::string>& trash) {
        bool progress = true;
        while (progress) {
            progress = false;
            for (std::string& chain_id : candidates) {
                if (chain_id.empty() || leases.layers.contains(chain_id)) continue;
                auto detached = layers->detach(chain_id);
                if (!detached && detached.error().code == Code::Conflict) continue;
                if (!detached && detached.error().code != Code::NotFound) {
                    return fail(detached.error());
                }
                if (detached) {
                    progress = true;
                    removed.push_back(chain_id);
                    trash.push_back(std::move(*detached));
                }
                chain_id.clear();
            }
        }
        return {};
    }
};

Gc::Gc(const Paths& paths, Database& database, Content& content, Layers& layers)
    : impl_(std::make_unique<Impl>()) {
    impl_->paths = &paths;
    impl_->database = &database;
    impl_->content = &content;
    impl_->layers = &layers;
}

Gc::~Gc() = default;

std::unique_ptr<Lease> Gc::lease() {
    return std::unique_ptr<Lease>(new Lease(*this));
}

void Lease::blob(std::string_view digest) {
    if (!blobs_.emplace(digest).second) return;
    gc_->impl_->held.lock()->blobs.emplace(digest);
}

void Lease::layer(std::string_view chain_id) {
    if (!layers_.emplace(chain_id).second) return;
    gc_->impl_->held.lock()->layers.emplace(chain_id);
}

Lease::~Lease() {
    {
        auto held = gc_->impl_->held.lock();
        for (const std::string& name : blobs_) held->blobs.erase(held->blobs.find(name));
        for (const std::string& name : layers_) held->layers.erase(held->layers.find(name));
    }
    const auto collected =
        gc_->collect({blobs_.begin(), blobs_.end()}, {layers_.begin(), layers_.end()});
    if (!collected) LOG_WARN("collect unused content: {}", collected.error().message);
}

Result<std::vector<std::string>> Gc::collect(const std::vector<std::string>& blobs,
                                             const std::vector<std::string>& layers) {
    std::vector<std::string> removed;
    std::vector<std::string> trash;
    {
        auto held = impl_->held.lock();
        TRY(impl_->remove_blobs_locked(*held, blobs));
        TRY(impl_->detach_layers_locked(*held, layers, removed, trash));
    }
    for (const std::string& path : trash) TRY(impl_->layers->discard(path));
    return removed;
}

Result<void> Gc::sweep() {
    std::vector<std::string> layers;
    for (const Layer& layer : TRY(impl_->layers->list())) layers.push_back(layer.chain_id);
    const auto blobs = TRY(impl_->content->list());
    TRY(collect(blobs, layers));
    return {};
}

Result<StoreCheck> Gc::check(const std::vector<std::string>& known_containers) const {
    StoreCheck check;
    const Paths& paths = *impl_->paths;
    Database& database = *impl_->database;

    const Names used_blobs = TRY(names(database, "SELECT DISTINCT digest FROM image_blobs"));
    const auto blobs = TRY(impl_->content->list());
    const Names present(blobs.begin(), blobs.end());
    for (const std::string& blob : present) check.orphan_blobs += used_blobs.contains(blob) ? 0 : 1;
    for (const std::string& blob : used_blobs)
        check.missing_blobs += present.contains(blob) ? 0 : 1;

    const Names unused =
        TRY(names(database,
                  "SELECT chain_id FROM layers WHERE chain_id NOT IN"
                  " (SELECT parent FROM layers WHERE parent IS NOT NULL"
                  "  UNION SELECT chain_id FROM images WHERE chain_id IS NOT NULL"
                  "  UNION SELECT chain_id FROM container_layers WHERE chain_id IS NOT NULL)"));
    check.orphan_layers += unused.size();
    Names rows;
    for (const Layer& layer : TRY(impl_->layers->list())) {
        rows.emplace(hex_of(layer.chain_id));
        if (!sys::exists(paths.layer_diff(layer.chain_id))) ++check.missing_layers;
    }
    for (const std::string& name : TRY(sys::list_dir(paths.layers()))) {
        if (name.starts_with("tmp-")) {
            ++check.unfinished;
        } else if (!rows.contains(name)) {
            ++check.orphan_layers;
        }
    }
    check.unfinished += TRY(sys::list_dir(paths.trash())).size();

    const Names known(known_containers.begin(), known_containers.end());
    Names containers = TRY(names(database, "SELECT container_id FROM container_layers"));
    for (const std::string& name : TRY(sys::list_dir(paths.containers()))) containers.insert(name);
    for (const std::string& id : containers) check.orphan_containers += known.contains(id) ? 0 : 1;
    return check;
}

}  // namespace coffer::store
