#include "store/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <set>

#include "base/id.hpp"
#include "sys/file.hpp"

namespace coffer::store {

namespace {

constexpr std::array<std::string_view, 3> kSchema = {
    R"sql(
CREATE TABLE layers (
    chain_id TEXT PRIMARY KEY,
    diff_id TEXT NOT NULL,
    parent TEXT REFERENCES layers,
    size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX layers_by_parent ON layers (parent);
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    chain_id TEXT REFERENCES layers,
    added INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX images_by_chain ON images (chain_id);
CREATE TABLE image_blobs (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    position INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (image_id, position)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_digest ON image_blobs (digest);
CREATE TABLE image_references (
    reference TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    is_digest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_references_by_image ON image_references (image_id);
CREATE TABLE container_layers (
    container_id TEXT PRIMARY KEY,
    chain_id TEXT REFERENCES layers
) WITHOUT ROWID;
CREATE INDEX container_layers_by_chain ON container_layers (chain_id);
)sql",
    R"sql(
ALTER TABLE image_references ADD COLUMN target TEXT;
UPDATE image_references SET target = substr(reference, instr(reference, '@') + 1) WHERE is_digest;
CREATE INDEX image_references_by_target ON image_references (target);
)sql",
    R"sql(
ALTER TABLE images ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE images SET used = added;
ALTER TABLE layers ADD COLUMN disk INTEGER;
)sql",
};

// The program that lies beside ours.
Result<std::string> unpack_program() {
    const std::string path = TRY(sys::read_link(AT_FDCWD, "/proc/self/exe"));
    return path.substr(0, path.rfind('/')) + "/coffer-unpack";
}

Result<void> check_container_id(std::string_view id) {
    if (!id.empty() &&
        id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz-_") == std::string_view::npos) {
        return {};
    }
    return fail(Code::InvalidArgument, "invalid container id '{}'", id);
}

}  // namespace

struct Store::Impl {
    Impl(StoreOptions options, sys::FileLock held, std::unique_ptr<Database> opened)
        : lock(std::move(held)),
          paths(options.data_root),
          database(std::move(opened)),
          content(paths),
          layers(paths, *database, std::move(options.unpacker)),
          gc(paths, *database, content, layers),
          images(*database, gc),
          manifests(*database, gc),
          signatures(*database),
          pins(*database) {}

    sys::FileLock lock;
    Paths paths;
    std::unique_ptr<Database> database;
    Content content;
    Layers layers;
    Gc gc;
    Images images;
    Manifests manifests;
    Signatures signatures;
    Pins pins;

    Result<std::set<std::string>> containers_on_disk() const;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

const Paths& Store::paths() const {
    return impl_->paths;
}
Database& Store::database() {
    return *impl_->database;
}
Content& Store::content() {
    return impl_->content;
}
Layers& Store::layers() {
    return impl_->layers;
}
Images& Store::images() {
    return impl_->images;
}
Manifests& Store::manifests() {
    return impl_->manifests;
}
Signatures& Store::signatures() {
    return impl_->signatures;
}
Pins& Store::pins() {
    return impl_->pins;
}
std::unique_ptr<Lease> Store::lease() {
    return impl_->gc.lease();
}
Result<std::uint64_t> Store::image_usage() const {
    std::uint64_t bytes = TRY(sys::measure_tree(impl_->paths.blobs())).bytes;
    bytes += TRY(impl_->content.partial_size());
    for (const auto& [chain_id, size] : TRY(impl_->layers.sizes_on_disk())) bytes += size;
    return bytes;
}
Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
    const Paths paths(options.data_root);
    TRY(paths.create());
    auto lock = TRY_CONTEXT(sys::FileLock::try_lock(paths.lock(), options.patience),
                            "data root '{}' is in use", options.data_root);
    auto database = TRY(Database::open(paths.state_db()));
    TRY(database->migrate("store", kSchema));
    TRY(Manifests::migrate(*database));
    TRY(Signatures::migrate(*database));
    TRY(Pins::migrate(*database));
    if (!options.unpacker) {
        const std::string program = TRY(unpack_program());
        options.unpacker = [program](const archive::UnpackRequest& request) {
            return archive::unpack_jailed(program, request);
        };
    }
    std::unique_ptr<Store> store(new Store(
        std::make_unique<Impl>(std::move(options), std::move(lock), std::move(database))));
    TRY(store->impl_->layers.recover());
    TRY(store->impl_->manifests.expire_dropped());
    TRY(store->impl_->gc.sweep());
    TRY(store->impl_->content.prune_partials({}));
    return store;
}

// The row first: a folder without a row would be swept while the engine still makes it. Nobody
// relies on it before the container's own row, which takes it to the disk.
Result<std::string> Store::create_writable(std::string_view id, std::string_view chain_id) {
    TRY(check_container_id(id));
    const Value chain = chain_id.empty() ? Value(nullptr) : Value(chain_id);
    const auto added =
        impl_->database->run("INSERT INTO container_layers (container_id, chain_id) VALUES (?, ?)",
                             {id, chain}, Durability::Later);
    if (!added && added.error().code == Code::Conflict) {
        const bool gone = !chain_id.empty() && !impl_->layers.has(chain_id);
        if (gone) return fail(Code::NotFound, "no such layer: {}", chain_id);
        return fail(Code::Conflict, "container {} has a writable layer already", id);
    }
    if (!added) return fail(added.error());
    std::string path = impl_->paths.container(id);
    const auto make = [&]() -> Result<void> {
        TRY(sys::make_dirs(path, 0700));
        TRY(sys::make_dirs(path + "/work", 0700));
        TRY(sys::make_dirs(path + "/diff", 0755));
        // What the container sees as the mode of "/"; umask must not matter.
        if (::chmod((path + "/diff").c_str(), 0755) != 0) return fail_errno("set mode");
        return {};
    };
    if (const auto made = make(); !made) {
        ignore(remove_writable(id), "the first error counts; sweep_containers tries again");
        return wrap(made.error(), format("create writable layer of {}", id));
    }
    return path;
}

Result<void> Store::remove_writable(std::string_view id) {
    return discard(TRY(detach_writable(id)));
}

Result<Store::Detached> Store::detach_writable(std::string_view id) {
    TRY(check_container_id(id));
    const std::string path = impl_->paths.container(id);
    Detached detached;
    detached.trash = format("{}/{}", impl_->paths.trash(), random_hex(8));
    if (::rename(path.c_str(), detached.trash.c_str()) != 0 && errno != ENOENT) {
        return fail_errno("rename '{}'", path);
    }
    {
        Transaction tx = TRY(impl_->database->begin(Durability::Later));
        detached.layers = first_column(
            TRY(tx.query("WITH RECURSIVE below(chain_id) AS"
                         " (SELECT chain_id FROM container_layers WHERE container_id = ?"
                         " UNION ALL SELECT layers.parent FROM layers JOIN below USING (chain_id))"
                         " SELECT chain_id FROM below WHERE chain_id IS NOT NULL",
                         {id})));
        TRY(tx.run("DELETE FROM container_layers WHERE container_id = ?", {id}));
        TRY(tx.commit());
    }
    return detached;
}

Result<void> Store::discard(const Detached& detached) {
    TRY(impl_->layers.discard(detached.trash));
    TRY(impl_->gc.collect({}, detached.layers));
    return {};
}

Result<std::set<std::string>> Store::Impl::containers_on_disk() const {
    std::set<std::string> found;
    for (const Row& row : TRY(database->query("SELECT container_id FROM container_layers"))) {
        found.insert(row.text(0));
    }
    for (const std::string& name : TRY(sys::list_dir(paths.containers()))) found.insert(name);
    return found;
}

Result<void> Store::sweep_containers(const std::vector<std::string>& known) {
    const std::set<std::string> keep(known.begin(), known.end());
    for (const std::string& id : TRY(impl_->containers_on_disk())) {
        if (!keep.contains(id)) TRY(remove_writable(id));
    }
    return {};
}

Result<std::vector<Finding>> Store::check(const std::vector<std::string>& known_containers,
                                          const CheckOptions& options) {
    std::vector<Finding> findings = TRY(impl_->gc.check(options));
    const std::set<std::string> known(known_containers.begin(), known_containers.end());
    for (const std::string& id : TRY(impl_->containers_on_disk())) {
        if (known.contains(id) || !is_settled(impl_->paths.container(id), options.settled))
            continue;
        if (options.repair) TRY(remove_writable(id));
        findings.push_back({"container", id, "has files and no record", options.repair});
    }
    return findings;
}

}  // namespace coffer::store
