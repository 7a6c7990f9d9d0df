// The first thing an engine does: find what the last one left. Containers whose shim lives go on;
// the others are settled with what their shim wrote down; what belongs to no container is removed.
#include <algorithm>
#include <condition_variable>
#include <optional>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/containers_impl.hpp"
#include "engine/secrets.hpp"
#include "network/networks.hpp"
#include "network/sandbox.hpp"
#include "oci/runtime_spec.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kIdLength = 64;
constexpr std::string_view kSchema[] = {
    "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT "
    "NULL)"};

// Shims that live answer at once; one that does not is left for later.
constexpr std::chrono::seconds kHelloLimit{1};
constexpr int kNobodySawItEnd = 255;  // docker's exit code

// The first messages of connections, handed from the reading thread to ours while we wait for them.
class Hellos {
  public:
    void expect(const std::string& id) {
        const std::lock_guard lock(mutex_);
        missing_.insert(id);
    }
    // Null: the connection has ended. False when nobody waits for it (any more).
    bool take(const std::string& id, const shim::Hello* hello) {
        const std::lock_guard lock(mutex_);
        if (!waiting_ || missing_.erase(id) == 0) return false;
        if (hello != nullptr) came_.emplace(id, *hello);
        changed_.notify_all();
        return true;
    }
    // What has come once all have, or when the time is over.
    std::map<std::string, shim::Hello> wait() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kHelloLimit, [&] { return missing_.empty(); });
        waiting_ = false;
        return came_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool waiting_ = true;
    std::set<std::string> missing_;
    std::map<std::string, shim::Hello> came_;
};

}  // namespace

// What the last engine gave a run stays taken.
void Containers::Impl::restore_run(const Record& record) {
    for (const MountRecord& mount : record.mounts) {
        if (mount.type != "volume") continue;
        const auto used = core.volumes.begin_use(mount.name, record.id);
        if (!used) LOG_WARN("volume of {}: {}", record.id, used.error().message);
    }
    for (const network::Endpoint& endpoint : endpoints_of(record)) {
        const auto restored = core.networks.restore(endpoint);
        if (!restored) LOG_WARN("network of {}: {}", record.id, restored.error().message);
    }
    if (record.id_base == 0) return;
    const auto reserved = core.sandboxes.reserve(record.id_base);
    if (!reserved) LOG_WARN("id range of {}: {}", record.id, reserved.error().message);
}

void Containers::Impl::rejoin(const std::vector<std::shared_ptr<Container>>& running) {
    for (const auto& container : running) restore_run(*container->record());
    const auto hellos = std::make_shared<Hellos>();
    for (const auto& container : running) {
        std::weak_ptr<Container> weak = container;
        hellos->expect(container->id());
        auto link = core.shims.connect(
            bundle(*container->record()),
            [this, weak, hellos, id = container->id()](const shim::FromShim* message) {
                const auto* hello =
                    message == nullptr ? nullptr : std::get_if<shim::Hello>(message);
                const bool is_first = message == nullptr || hello != nullptr;
                const auto alive = weak.lock();
                if (!alive || (is_first && hellos->take(id, hello))) return;
                if (hello == nullptr) return on_shim(alive, message);
                core.workers.submit([this, alive, hello = *hello] { rejoined(alive, hello); });
            });
        if (link) {
            container->set_link(*link);
        } else {
            hellos->take(container->id(), nullptr);
        }
    }
    const auto came = hellos->wait();
    for (const auto& container : running) {
        const auto link = container->link();
        const auto hello = came.find(container->id());
        if (hello != came.end()) {
            rejoined(container, hello->second);
        } else if (link && !link->closed()) {
            // It is on its way, or was stopped: rejoined() is called when it has come.
            LOG_WARN("the shim of container {} does not answer yet", container->id());
        } else {
            settle_exit(container, link, recorded_exit(*container->record(), kNobodySawItEnd, 0));
        }
    }
}

void Containers::Impl::rejoined(const std::shared_ptr<Container>& container,
                                const shim::Hello& hello) {
    const auto link = container->link();
    if (hello.state != shim::State::Running) {
        const auto& record = *container->record();
        return settle_exit(container, link,
                           hello.exit ? *hello.exit : recorded_exit(record, kNobodySawItEnd, 0));
    }
    Container::Claim claim(container);
    if (!container->record()->is_running() || !link) return;
    settle_mounts(claim);
    const auto record = container->record();
    const auto named = serve_names_again(*record);
    if (!named) LOG_WARN("names of {}: {}", record->id, named.error().message);
    drop_old_checks(hello, *link);
    if (record->status != "running") return;
    // A commit holds a container still without calling it paused; the engine may have ended in one.
    thaw_group(record->cgroup_path);
    begin_health(container, HealthStart::Fresh);
}

// A shim whose start was never recorded: its client has no answer, so the run is undone.
void Containers::Impl::abandon(const std::string& id) {
    const std::string path = format("{}/containers/{}", core.settings.exec_root, id);
    const auto link = core.shims.connect(path, [](const shim::FromShim*) {});
    if (link) ignore((*link)->kill_shim(), "it may have ended by itself");
    std::string group = format("{}/{}", core.settings.cgroup_parent, id);
    if (const auto text = sys::read_file(path + "/config.json")) {
        const auto spec = json::decode<oci::Spec>(*text);
        if (spec && spec->linux) group = spec->linux->cgroups_path;
    }
    remove_group(group);
    unmount_secrets(path + "/secrets");
    ignore(sys::remove_tree(path), "tried again at the next start");
}

Result<std::vector<std::string>> Containers::find_strays(bool end) {
    const Settings& settings = impl_->core.settings;
    std::vector<std::string> folders =
        sys::cgroup::folders_of(sys::cgroup::host_layout(), settings.cgroup_parent);
    folders.push_back(settings.exec_root + "/containers");
    std::set<std::string> found;
    for (const std::string& folder : folders) {
        if (!sys::exists(folder)) continue;
        for (const std::string& name : TRY(sys::list_dir(folder))) {
            if (name.size() == kIdLength && is_hex(name)) found.insert(name);
        }
    }
    std::vector<std::string> strays;
    for (const std::string& id : found) {
        const auto container = impl_->find(id);
        std::optional<Container::Claim> claim;  // a start or an end gets to its own end first
        if (container) claim.emplace(*container);
        if (container && (*container)->record()->is_running()) continue;
        const bool is_there = std::any_of(folders.begin(), folders.end(), [&](const auto& folder) {
            return sys::exists(folder + "/" + id);
        });
        if (!is_there) continue;
        if (end) impl_->abandon(id);
        strays.push_back(id);
    }
    return strays;
}

// Those that are to run and do not: after a boot, or when they ended while no engine was there.
void Containers::Impl::start_at_boot() {
    std::vector<std::shared_ptr<Container>> due;
    for (const auto& container : all()) {
        Container::Claim claim(container);
        Record record = claim.copy();
        const bool waits = record.status == "restarting";
        if (!waits && (record.is_up() || record.started_at == api::kZeroTime)) continue;
        if (!wants_start_at_boot(record.host_config.restart_policy, record.exit_code,
                                 record.stopped_by_user, waits ? 0 : record.restart_count)) {
            if (!waits) continue;
            record.status = "exited";
            ignore(save(claim, record), "tried again at the next start");
            continue;
        }
        record.status = "restarting";
        record.stopped_by_user = false;
        record.restart_count = 0;
        const auto saved = save(claim, record);
        if (!saved) LOG_ERROR("start container {}: {}", record.id, saved.error().message);
        if (saved) due.push_back(container);
    }
    start_in_order(due);
}

Result<void> Containers::recover() {
    Core& core = impl_->core;
    store::Database& database = core.store.database();
    TRY(database.migrate("engine", kSchema));
    std::vector<std::string> known;
    std::vector<std::shared_ptr<Container>> were_up;
    for (const store::Row& row : TRY(database.query("SELECT id, record FROM containers"))) {
        auto record = json::decode<Record>(row.text(1));
        if (!record) {
            LOG_ERROR("container {} cannot be read and is left alone: {}", row.text(0),
                      record.error().message);
            known.push_back(row.text(0));
            continue;
        }
        auto container =
            std::make_shared<Container>(std::make_shared<const Record>(std::move(*record)));
        known.push_back(container->id());
        impl_->last_project =
            std::max(impl_->last_project.load(), container->record()->quota_project);
        for (const MountRecord& mount : container->record()->mounts)
            if (mount.type == "volume") core.volumes.hold(mount.name, container->id());
        if (container->record()->is_running()) were_up.push_back(container);
        auto table = impl_->table.lock();
        table->id_by_name[container->record()->name] = container->id();
        table->by_id[container->id()] = std::move(container);
    }

    const std::string bundles = core.settings.exec_root + "/containers";
    TRY(sys::make_dirs(bundles, 0700));
    std::set<std::string> live;
    for (const auto& container : were_up) live.insert(container->id());
    for (const std::string& id : TRY(sys::list_dir(bundles))) {
        if (!live.contains(id)) impl_->abandon(id);
    }
    impl_->rejoin(were_up);
    TRY(core.networks.start());
    core.sandboxes.warm();
    std::erase_if(known,
                  [&](const std::string& id) { return !impl_->find(id) && live.contains(id); });
    TRY(core.store.sweep_containers(known));
    core.volumes.sweep();
    impl_->recovered = true;
    impl_->settle_replacements();
    impl_->start_at_boot();
    return {};
}

}  // namespace coffer::engine
