// The first thing an engine does: find what the last one left. Containers whose shim lives go on;
// the others are settled with what their shim wrote down; what belongs to no container is removed.
#include <condition_variable>
#include <set>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "network/networks.hpp"
#include "network/sandbox.hpp"
#include "oci/runtime_spec.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kSchema[] = {
    "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT "
    "NULL)"};

// Shims that live answer at once; one that does not is left for later.
constexpr std::chrono::seconds kHelloLimit{1};

// The first messages of connections, handed from the reading thread to ours.
class Hellos {
  public:
    void expect(const std::string& id) {
        const std::lock_guard lock(mutex_);
        missing_.insert(id);
    }
    void note(const std::string& id, const shim::Hello* hello) {
        const std::lock_guard lock(mutex_);
        if (hello != nullptr) came_.emplace(id, *hello);
        missing_.erase(id);
        changed_.notify_all();
    }
    // What has come once all have, or when the time is over.
    std::map<std::string, shim::Hello> wait() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kHelloLimit, [&] { return missing_.empty(); });
        return came_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> missing_;
    std::map<std::string, shim::Hello> came_;
};

void kill_group(const std::string& path) {
    auto cgroup = sys::cgroup::Cgroup::open(path);
    if (!cgroup) return;
    const auto removed = cgroup->remove();
    if (!removed) LOG_WARN("remove left-over cgroup '{}': {}", path, removed.error().message);
}

// A commit holds a container still without calling it paused; the engine may have ended in one.
void let_go_on(const Record& record) {
    if (record.status != "running") return;
    const auto cgroup = sys::cgroup::Cgroup::open(record.cgroup_path);
    const auto thawed = cgroup ? cgroup->thaw() : Result<void>(fail(cgroup.error()));
    if (!thawed) LOG_WARN("let {} go on: {}", record.id, thawed.error().message);
}

}  // namespace

// What the last engine gave a run stays taken.
void Containers::Impl::restore_run(const Record& record) {
    for (const std::string& text : record.endpoints) {
        const auto endpoint = network::decode_endpoint(text);
        if (!endpoint) continue;
        const auto restored = core.networks.restore(*endpoint);
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
                if (message == nullptr || hello != nullptr) hellos->note(id, hello);
                if (const auto alive = weak.lock()) on_shim(alive, message);
            });
        if (link) {
            container->set_link(*link);
        } else {
            hellos->note(container->id(), nullptr);
        }
    }
    const auto came = hellos->wait();
    for (const auto& container : running) {
        const auto link = container->link();
        const auto hello = came.find(container->id());
        // One that says nothing yet is on its way, or was stopped: on_shim() has its hello then.
        if (link && !link->closed() && hello == came.end()) {
            LOG_WARN("the shim of container {} does not answer yet", container->id());
            continue;
        }
        if (hello != came.end() && hello->second.state == shim::State::Running) {
            const auto named = serve_names_again(*container->record());
            if (!named) LOG_WARN("names of {}: {}", container->id(), named.error().message);
            let_go_on(*container->record());
            drop_old_checks(hello->second, *link);
            if (container->record()->status == "running") {
                begin_health(container, HealthStart::Fresh);
            }
            continue;
        }
        shim::ExitRecord exit;
        exit.exit_code = 255;  // docker's code for a container that nobody saw end
        exit.finished_at = to_rfc3339_short(now());
        if (hello != came.end() && hello->second.exit) {
            exit = *hello->second.exit;
        } else if (const auto text = sys::read_file(bundle(*container->record()) + "/exit.json")) {
            if (const auto known = shim::decode_exit_record(*text)) exit = *known;
        }
        settle_exit(container, nullptr, exit);
    }
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
    kill_group(group);
    ignore(sys::remove_tree(path), "tried again at the next start");
}

// Those that are to run and do not: after a boot, or when they ended while no engine was there.
void Containers::Impl::start_at_boot() {
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
        if (saved) plan_restart(container, std::chrono::milliseconds(0));
    }
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
    impl_->recovered = true;
    impl_->start_at_boot();
    return {};
}

}  // namespace coffer::engine
