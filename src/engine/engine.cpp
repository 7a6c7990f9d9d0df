#include "engine/engine.hpp"

#include <unistd.h>

#include <functional>

#include "base/hash.hpp"
#include "base/sync.hpp"
#include "base/timers.hpp"
#include "engine/artifacts.hpp"
#include "engine/collector.hpp"
#include "engine/containers.hpp"
#include "engine/events.hpp"
#include "engine/execs.hpp"
#include "engine/files.hpp"
#include "engine/images.hpp"
#include "engine/secrets.hpp"
#include "engine/shim_link.hpp"
#include "engine/stats.hpp"
#include "engine/system.hpp"
#include "network/sandbox.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

constexpr unsigned kWorkers = 4;
constexpr unsigned kMostWorkers = 64;  // of those, any may hang on a file server or a shim

// Networks are kept in the engine's database.
class NetworkRecords : public network::Records {
  public:
    explicit NetworkRecords(store::Database& database) : database_(&database) {}

    Result<void> migrate() {
        static constexpr std::string_view kSchema[] = {
            "CREATE TABLE networks (id TEXT PRIMARY KEY, document TEXT NOT NULL)"};
        return database_->migrate("network", kSchema);
    }
    Result<std::vector<std::string>> load() override {
        std::vector<std::string> documents;
        for (const store::Row& row : TRY(database_->query("SELECT document FROM networks"))) {
            documents.push_back(row.text(0));
        }
        return documents;
    }
    Result<void> save(const std::string& id, const std::string& document) override {
        TRY(database_->run("INSERT OR REPLACE INTO networks (id, document) VALUES (?, ?)",
                           {id, document}));
        return {};
    }
    Result<void> remove(const std::string& id) override {
        TRY(database_->run("DELETE FROM networks WHERE id = ?", {id}));
        return {};
    }

  private:
    store::Database* database_;
};

// Two engines on one machine must not share control groups: the group is named after the data root
// unless that is the default.
std::string cgroup_parent(const std::string& data_root) {
    if (data_root == "/var/lib/coffer") return "/coffer";
    return "/coffer-" + sha256_hex(data_root).substr(0, 12);
}

}  // namespace

// Members in the order they are made; the reverse is the order of their end: nothing that may still
// call another outlives it.
struct Engine::Impl {
    std::unique_ptr<store::Store> store;
    std::unique_ptr<NetworkRecords> network_records;
    std::unique_ptr<network::Networks> networks;
    std::unique_ptr<network::SandboxPool> sandboxes;
    std::unique_ptr<volume::Volumes> volumes;
    std::unique_ptr<Secrets> secrets;
    Events events;
    std::unique_ptr<Images> images;
    std::unique_ptr<Artifacts> artifacts;
    std::unique_ptr<Core> core;
    std::unique_ptr<Containers> containers;
    std::unique_ptr<Execs> execs;
    std::unique_ptr<Files> files;
    std::unique_ptr<System> system;
    std::unique_ptr<Stats> stats;
    std::unique_ptr<Collector> collector;
    std::unique_ptr<WorkerPool> workers;  // its jobs use all above: it ends before them,
    std::unique_ptr<ShimLinks> shims;     // and after those two, which submit jobs
    std::unique_ptr<Timers> timers;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Engine::~Engine() {
    if (!impl_ || !impl_->core) return;
    const std::string parent = impl_->core->settings.cgroup_parent;
    if (impl_->collector) impl_->collector->stop();
    impl_.reset();
    // Ours only when nothing runs: rmdir refuses a group with containers in it.
    for (const auto& folder : sys::cgroup::folders_of(sys::cgroup::host_layout(), parent)) {
        ::rmdir(folder.c_str());
    }
}

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options) {
    auto impl = std::make_unique<Impl>();
    TRY(sys::make_dirs(options.exec_root, 0700));
    const std::string unpack = options.programs + "/coffer-unpack";
    const std::string shim = options.programs + "/coffer-shim";
    impl->store =
        TRY(store::Store::open({.data_root = options.data_root,
                                .unpacker = [unpack](const archive::UnpackRequest& request) {
                                    return archive::unpack_jailed(unpack, request);
                                }}));
    impl->network_records = std::make_unique<NetworkRecords>(impl->store->database());
    TRY(impl->network_records->migrate());
    impl->networks =
        TRY(network::Networks::open(std::move(options.network), *impl->network_records));
    impl->sandboxes = TRY(network::SandboxPool::create({.helper = {shim, "namespaces"}}));
    impl->volumes = TRY(volume::Volumes::open(impl->store->paths().volumes()));
    impl->secrets = TRY(
        Secrets::open(impl->store->database(), options.data_root + "/secrets.key", impl->events));
    impl->shims = TRY(ShimLinks::create(shim));
    impl->workers = std::make_unique<WorkerPool>(kWorkers, kMostWorkers);
    impl->timers = std::make_unique<Timers>();
    const FindImageUsers users = [raw = impl.get()](const std::string& image_id) {
        std::vector<ImageUser> found;
        if (!raw->containers) return found;
        for (const auto& use : raw->containers->users_of_image(image_id)) {
            found.push_back({use.container, use.running});
        }
        return found;
    };
    impl->events.keep_in(impl->store->paths().events());
    ImageMounts mounts(options.exec_root + "/images", cgroup_parent(options.data_root).substr(1));
    mounts.tidy();
    impl->images =
        std::make_unique<Images>(*impl->store, impl->events,
                                 ImagesConfig{.registry = std::move(options.registry),
                                              .signature_policy = options.signature_policy},
                                 users, std::move(mounts));
    impl->artifacts = std::make_unique<Artifacts>(*impl->store, *impl->images, impl->events);
    Settings settings{.exec_root = options.exec_root,
                      .cgroup_parent = cgroup_parent(options.data_root),
                      .level = options.level,
                      .log_driver = options.log_driver,
                      .log_options = options.log_options,
                      .log_program = options.programs + "/coffer-logger",
                      .init_program = options.programs + "/coffer-init",
                      .cdi_folders = options.cdi_folders,
                      .init = options.init,
                      .live_restore = options.live_restore};
    impl->core.reset(new Core{std::move(settings), *impl->store, *impl->networks, *impl->sandboxes,
                              *impl->volumes, impl->events, *impl->images, *impl->secrets,
                              *impl->shims, *impl->workers, *impl->timers});
    impl->containers = std::make_unique<Containers>(*impl->core);
    impl->secrets->set_users([raw = impl.get()](SecretKind kind, const api::Secret& one) {
        return raw->containers->users_of_secret(kind, one);
    });
    impl->execs = std::make_unique<Execs>(*impl->core, *impl->containers);
    impl->files =
        std::make_unique<Files>(*impl->core, *impl->containers, options.programs + "/coffer-files");
    impl->system = std::make_unique<System>(*impl->core, *impl->containers);
    impl->stats = std::make_unique<Stats>(*impl->containers);
    impl->collector = std::make_unique<Collector>(*impl->store, *impl->images, *impl->timers,
                                                  *impl->workers, std::move(options.collection));
    TRY_CONTEXT(impl->containers->recover(), "recover from the last run");
    // Not before all containers are known.
    impl->collector->begin();
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Containers& Engine::containers() {
    return *impl_->containers;
}
Execs& Engine::execs() {
    return *impl_->execs;
}
Files& Engine::files() {
    return *impl_->files;
}
Images& Engine::images() {
    return *impl_->images;
}
Artifacts& Engine::artifacts() {
    return *impl_->artifacts;
}
Events& Engine::events() {
    return impl_->events;
}
network::Networks& Engine::networks() {
    return *impl_->networks;
}
Secrets& Engine::secrets() {
    return *impl_->secrets;
}
volume::Volumes& Engine::volumes() {
    return *impl_->volumes;
}
Collector& Engine::collector() {
    return *impl_->collector;
}
System& Engine::system() {
    return *impl_->system;
}
Stats& Engine::stats() {
    return *impl_->stats;
}
store::Store& Engine::store() {
    return *impl_->store;
}

}  // namespace coffer::engine
