#include "store/gc.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/hash.hpp"
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

constexpr std::string_view kUnusedLayers =
    "SELECT chain_id FROM layers WHERE chain_id NOT IN"
    " (SELECT parent FROM layers WHERE parent IS NOT NULL"
    "  UNION SELECT chain_id FROM images WHERE chain_id IS NOT NULL"
    "  UNION SELECT chain_id FROM container_layers WHERE chain_id IS NOT NULL)";

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

    Result<bool> is_used(const std::string& digest) const {
        return TRY(database->first("SELECT 1 FROM image_blobs WHERE digest = ?1 UNION ALL "
                                   "SELECT 1 FROM manifest_blobs WHERE digest = ?1 LIMIT 1",
                                   {digest}))
            .has_value();
    }

    Result<void> remove_blobs_locked(const Held& leases, const std::vector<std::string>& blobs) {
        for (const std::string& digest : blobs) {
            if (leases.blobs.contains(digest)) continue;
            if (TRY(is_used(digest))) continue;
            TRY(content->remove(digest));
            TRY(database->run("DELETE FROM blob_aliases WHERE digest = ?", {digest}));
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

    // Under the lock: what is used by nobody now is not about to be used.
    Result<void> check_unused(const CheckOptions& options, std::vector<Finding>& findings) {
        constexpr const char* kProblem = "belongs to no image and no container";
        std::vector<std::string> gone;
        std::vector<std::string> trash;
        {
            auto leases = held.lock();
            const Names used = TRY(names(*database,
                                         "SELECT digest FROM image_blobs UNION "
                                         "SELECT digest FROM manifest_blobs"));
            std::vector<std::string> blobs;
            for (const std::string& blob : TRY(content->list())) {
                if (used.contains(blob) || leases->blobs.contains(blob)) continue;
                blobs.push_back(blob);
                findings.push_back({"blob", blob, kProblem, options.repair});
            }
            std::vector<std::string> chain_ids;
            for (const std::string& chain_id : TRY(names(*database, kUnusedLayers))) {
                if (leases->layers.contains(chain_id)) continue;
                chain_ids.push_back(chain_id);
                findings.push_back({"layer", chain_id, kProblem, options.repair});
            }
            if (!options.repair) return {};
            TRY(remove_blobs_locked(*leases, blobs));
            TRY(detach_layers_locked(*leases, chain_ids, gone, trash));
        }
        for (const std::string& path : trash) TRY(layers->discard(path));
        return {};
    }

    Result<void> check_blobs(const CheckOptions& options, std::vector<Finding>& findings) const {
        constexpr const char* kHelp = ": pull its images again";
        for (const Row& row : TRY(database->query(
                 "SELECT digest, max(size) FROM (SELECT digest, size FROM image_blobs UNION ALL"
                 " SELECT digest, size FROM manifest_blobs) GROUP BY digest"))) {
            const std::string digest = row.text(0);
            const auto size = content->size(digest);
            std::string problem;
            bool damaged = true;
            if (!size) {
                problem = "is missing";
                damaged = false;
            } else if (*size != static_cast<std::uint64_t>(row.integer(1))) {
                problem = format("has {} bytes in place of {}", *size, row.integer(1));
                // Or who declared its size was wrong.
                damaged = !TRY(content->is_intact(digest));
            } else if (options.deep && !TRY(content->is_intact(digest))) {
                problem = "has another digest";
            }
            if (problem.empty()) continue;
            // It may have been let go meanwhile.
            if (!TRY(is_used(digest))) continue;
            // It is worth nothing, and in its place a pull would take it for what it was.
            if (damaged && options.repair) {
                TRY(content->remove(digest));
                problem += " and was taken away";
            } else if (damaged) {
                problem += ", which --repair takes away";
            }
            findings.push_back({"blob", digest, problem + kHelp, false});
        }
        return {};
    }

    Result<void> check_folders(const CheckOptions& options, std::vector<Finding>& findings) const {
        Names rows;
        for (const Layer& layer : TRY(layers->list())) {
            rows.emplace(hex_of(layer.chain_id));
            if (sys::exists(paths->layer_diff(layer.chain_id)) || !layers->has(layer.chain_id)) {
                continue;
            }
            findings.push_back({"layer", layer.chain_id,
                                "has no files: remove its images and pull them again", false});
        }
        for (const std::string& name : TRY(sys::list_dir(paths->layers()))) {
            if (!rows.contains(name))
                TRY(report_left(paths->layers() + "/" + name, options, findings));
        }
        for (const std::string& name : TRY(sys::list_dir(paths->trash()))) {
            TRY(report_left(paths->trash() + "/" + name, options, findings));
        }
        return {};
    }

    // Every pull removes old ones, and the engine from time to time.
    Result<void> check_partials(const CheckOptions& options, std::vector<Finding>& findings) const {
        const Time oldest = now() - Content::PartialLimits().age;
        for (const PartialBlob& one : TRY(content->partials())) {
            if (!is_digest(one.digest)) {
                const std::string name(hex_of(one.digest));
                TRY(report_left(format("{}/{}", paths->partials(), name), options, findings));
            } else if (one.changed < oldest) {
                if (options.repair) content->forget(one.digest);
                findings.push_back({"partial", one.digest,
                                    "was left long ago by a pull that broke off", options.repair});
            }
        }
        return {};
    }

    Result<void> report_left(const std::string& path, const CheckOptions& options,
                             std::vector<Finding>& findings) const {
        if (!is_settled(path, options.settled)) return {};
        if (options.repair) TRY(layers->discard(path));
        findings.push_back({"temporary", path, "was left by a crash", options.repair});
        return {};
    }
};

bool is_settled(const std::string& path, std::chrono::seconds since) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return false;  // it has gone
    return std::chrono::system_clock::now() -
               std::chrono::system_clock::from_time_t(info.st_ctim.tv_sec) >=
           since;
}

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

Result<void> Gc::if_unheld(std::string_view digest, const std::function<Result<void>()>& then) {
    auto held = impl_->held.lock();
    if (held->blobs.contains(digest)) return fail(Code::Conflict, "blob {} is in use", digest);
    return then();
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

Result<std::vector<Finding>> Gc::check(const CheckOptions& options) {
    std::vector<Finding> findings;
    TRY(impl_->check_unused(options, findings));
    TRY(impl_->check_blobs(options, findings));
    TRY(impl_->check_folders(options, findings));
    TRY(impl_->check_partials(options, findings));
    return findings;
}

}  // namespace coffer::store
