// The first thing an engine does: find what the last one left. Containers whose shim lives go on;
// the others are settled with what their shim wrote down; what belongs to no container is removed.
#include <condition_variable>
#include <csignal>
#include <set>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "network/networks.hpp"
#include "network/sandbox.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kSchema[] = {
    "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT "
    "NULL)"};

// The first message on a connection, handed from the reading thread to ours.
struct FirstHello {
    std::mutex mutex;
    std::condition_variable came;
    std::optional<shim::Hello> hello;
    bool gone = false;
};

std::optional<shim::Hello> wait_for(FirstHello& first) {
    std::unique_lock lock(first.mutex);
    first.came.wait_for(lock, std::chrono::seconds(5), [&] { return first.hello || first.gone; });
    return first.hello;
}

ShimLinkHandler note_hello(const std::shared_ptr<FirstHello>& first, ShimLinkHandler then) {
    return [first, then = std::move(then)](const shim::FromShim* message) {
        const auto* hello = message == nullptr ? nullptr : std::get_if<shim::Hello>(message);
        if (message == nullptr || hello != nullptr) {
            const std::lock_guard lock(first->mutex);
            if (hello != nullptr) first->hello = *hello;
            first->gone = message == nullptr;
            first->came.notify_all();
        }
        if (hello == nullptr) then(message);
    };
}

void kill_group(const std::string& path) {
    auto cgroup = sys::cgroup::Cgroup::open(path);
    if (!cgroup) return;
    const auto removed = cgroup->remove();
    if (!removed) LOG_WARN("remove left-over cgroup '{}': {}", path, removed.error().message);
}

}  // namespace

void Containers::Impl::rejoin(const std::shared_ptr<Container>& container) {
    const auto record = container->record();
    const auto first = std::make_shared<FirstHello>();
    std::weak_ptr<Container> weak = container;
    auto link = core.shims.connect(bundle(*record),
                                   note_hello(first, [this, weak](const shim::FromShim* message) {
                                       if (const auto alive = weak.lock()) on_shim(alive, message);
                                   }));
    std::optional<shim::Hello> hello;
    if (link) hello = wait_for(*first);
    for (const std::string& text : record->endpoints) {
        const auto endpoint = network::decode_endpoint(text);
        if (!endpoint) continue;
        const auto restored = core.networks.restore(*endpoint);
        if (!restored) LOG_WARN("network of {}: {}", record->id, restored.error().message);
    }
    if (record->id_base != 0) {
        const auto reserved = core.sandboxes.reserve(record->id_base);
        if (!reserved) LOG_WARN("id range of {}: {}", record->id, reserved.error().message);
    }
    if (hello && hello->state == shim::State::Running) {
        container->set_link(*link);
        return;
    }
    shim::ExitRecord exit;
    exit.exit_code = 255;  // docker's code for a container that nobody saw end
    exit.finished_at = to_rfc3339_short(now());
    if (hello && hello->exit) {
        container->set_link(*link);
        exit = *hello->exit;
    } else if (const auto text = sys::read_file(bundle(*record) + "/exit.json")) {
        if (const auto known = shim::decode_exit_record(*text)) exit = *known;
    }
    settle_exit(container, nullptr, exit);
}

// A shim whose start was never recorded: its client has no answer, so the run is undone.
void Containers::Impl::abandon(const std::string& id) {
    const std::string path = format("{}/containers/{}", core.settings.exec_root, id);
    const auto first = std::make_shared<FirstHello>();
    const auto link = core.shims.connect(path, note_hello(first, [](const shim::FromShim*) {}));
    if (link && wait_for(*first)) {
        ignore((*link)->post(shim::Signal{.exec_id = "", .number = SIGKILL, .all = true}),
               "killed below");
        ignore((*link)->post(shim::Forget{}), "it ends by itself");
    }
    kill_group(format("{}/{}", core.settings.cgroup_parent, id));
    ignore(sys::remove_tree(path), "tried again at the next start");
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
        if (container->record()->is_up()) were_up.push_back(container);
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
    for (const auto& container : were_up) impl_->rejoin(container);
    TRY(core.networks.start());
    core.sandboxes.warm();
    std::erase_if(known,
                  [&](const std::string& id) { return !impl_->find(id) && live.contains(id); });
    return core.store.sweep_containers(known);
}

}  // namespace coffer::engine
