#include "engine/containers.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "base/timers.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/names.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

Containers::Containers(Core& core) : impl_(std::make_unique<Impl>(core)) {}
Containers::~Containers() = default;

Result<std::shared_ptr<Container>> Containers::Impl::find(const std::string& name) const {
    const std::string plain = name.starts_with('/') ? name.substr(1) : name;
    auto locked = table.lock();
    const auto by_id = locked->by_id.find(plain);
    if (by_id != locked->by_id.end()) return by_id->second;
    const auto by_name = locked->id_by_name.find(plain);
    if (by_name != locked->id_by_name.end()) {
        // A name is taken before its container is made.
        const auto named = locked->by_id.find(by_name->second);
        if (named != locked->by_id.end()) return named->second;
    }
    if (!plain.empty() && is_hex(plain)) {
        const auto first = locked->by_id.lower_bound(plain);
        if (first != locked->by_id.end() && first->first.starts_with(plain)) {
            const auto second = std::next(first);
            if (second != locked->by_id.end() && second->first.starts_with(plain)) {
                return fail(Code::InvalidArgument, "multiple IDs found with provided prefix: {}",
                            plain);
            }
            return first->second;
        }
    }
    return fail(Code::NotFound, "No such container: {}", name);
}

std::vector<std::shared_ptr<Container>> Containers::Impl::all() const {
    std::vector<std::shared_ptr<Container>> out;
    auto locked = table.lock();
    for (const auto& [id, container] : locked->by_id) out.push_back(container);
    return out;
}

Result<void> Containers::Impl::save(Container::Claim& claim, Record record) {
    const store::Durability durability = durability_of(record);
    return save(claim, std::move(record), durability);
}

Result<void> Containers::Impl::save(Container::Claim& claim, Record record,
                                    store::Durability durability) {
    TRY(core.store.database().run("UPDATE containers SET record = ? WHERE id = ?",
                                  {json::encode(record), record.id}, durability));
    claim.publish(std::move(record));
    return {};
}

std::uint64_t Containers::Impl::later(const std::shared_ptr<Container>& container,
                                      std::chrono::nanoseconds wait,
                                      std::function<void(const std::shared_ptr<Container>&)> job) {
    std::weak_ptr<Container> weak = container;
    return core.timers.after(wait, [this, weak, job = std::move(job)] {
        core.workers.submit([weak, job] {
            if (const auto alive = weak.lock()) job(alive);
        });
    });
}

void thaw_group(const std::string& path) {
    const auto group = sys::cgroup::Cgroup::open(path);
    const auto thawed = group ? group->thaw() : Result<void>(fail(group.error()));
    if (!thawed) LOG_WARN("thaw cgroup '{}': {}", path, thawed.error().message);
}

void remove_group(const std::string& path) {
    auto group = sys::cgroup::Cgroup::open(path);
    if (!group) return;
    const auto removed = group->remove();
    if (!removed) LOG_WARN("remove cgroup '{}': {}", path, removed.error().message);
}

void Containers::Impl::publish_event(const Record& record, const std::string& action,
                                     std::map<std::string, std::string> attributes) {
    attributes.insert(record.config.labels.begin(), record.config.labels.end());
    attributes["image"] = record.config.image;
    attributes["name"] = record.name;
    core.events.publish({"container", action, record.id, std::move(attributes)});
    if (!waiting.lock()->empty()) core.workers.submit([this] { start_settled(); });
}

void Containers::Impl::publish_mounts(const std::string& id, const std::vector<MountRecord>& mounts,
                                      Mounts what) const {
    const bool begin = what == Mounts::Made;
    for (const MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        std::map<std::string, std::string> attributes = {{"container", id}};
        if (begin) {
            attributes["destination"] = mount.target;
            attributes["propagation"] = mount.propagation;
            attributes["read/write"] = mount.writable ? "true" : "false";
        }
        core.events.publish(
            volume_event(begin ? "mount" : "unmount", mount.name, std::move(attributes)));
    }
}

std::string Containers::Impl::folder(const Record& record) const {
    return core.store.paths().container(record.id);
}

std::string Containers::Impl::bundle(const Record& record) const {
    return format("{}/containers/{}", core.settings.exec_root, record.id);
}

Result<int> parse_signal(const std::string& text) {
    if (const auto number = parse_uint(text)) {
        if (*number >= 1 && *number <= 64) return static_cast<int>(*number);
        return fail(Code::InvalidArgument, "Invalid signal: {}", text);
    }
    std::string name;
    for (const char c : text) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    if (name.starts_with("SIG")) name = name.substr(3);
    for (int number = 1; number < 32; ++number) {
        const char* known = ::sigabbrev_np(number);
        if (known != nullptr && name == known) return number;
    }
    int base = 0;
    if (name.starts_with("RTMIN")) base = 34;
    if (name.starts_with("RTMAX")) base = 64;
    if (base != 0) {
        const std::string rest = name.substr(5);
        const auto offset = rest.empty() ? std::optional<std::int64_t>(0)
                                         : parse_int(rest[0] == '+' ? rest.substr(1) : rest);
        if (offset && base + *offset >= 34 && base + *offset <= 64) {
            return static_cast<int>(base + *offset);
        }
    }
    return fail(Code::InvalidArgument, "Invalid signal: {}", text);
}

Result<std::shared_ptr<Waiter>> Containers::wait(const std::string& name, WaitCondition condition) {
    const auto container = TRY(impl_->find(name));
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("wait for container {}", name);
    auto waiter = std::make_shared<Waiter>(std::move(wake));
    // Added before the state is looked at, so that no exit can fall in between.
    container->add_waiter(waiter, condition == WaitCondition::Removed);
    const auto record = container->record();
    api::WaitResponse now;
    now.status_code = record->exit_code;
    if (condition == WaitCondition::NotRunning && !record->is_up()) waiter->finish(now);
    if (condition == WaitCondition::Removed && container->removed()) waiter->finish(now);
    return waiter;
}

Result<void> Containers::start(const std::string& name) {
    return impl_->start(TRY(impl_->find(name)));
}

Result<void> Containers::pause(const std::string& name) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    Record record = claim.copy();
    if (record.status == "paused") {
        return fail(Code::Conflict, "Container {} is already paused", record.id);
    }
    if (record.status == "restarting") return fail_restarting(record);
    if (record.status != "running") {
        return fail(Code::Conflict, "Container {} is not running", record.id);
    }
    const auto cgroup = TRY(sys::cgroup::Cgroup::open(record.cgroup_path));
    TRY_CONTEXT(cgroup.freeze(), "cannot pause container {}", record.id);
    record.status = "paused";
    TRY(impl_->save(claim, record));
    impl_->suspend_health(*container);
    impl_->publish_event(record, "pause");
    return {};
}

Result<void> Containers::unpause(const std::string& name) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    Record record = claim.copy();
    if (record.status != "paused") {
        return fail(Code::Conflict, "Container {} is not paused", record.id);
    }
    const auto cgroup = TRY(sys::cgroup::Cgroup::open(record.cgroup_path));
    TRY_CONTEXT(cgroup.thaw(), "cannot resume container {}", record.id);
    record.status = "running";
    TRY(impl_->save(claim, record));
    impl_->begin_health(container, Impl::HealthStart::Resumed);
    impl_->publish_event(record, "unpause");
    return {};
}

Result<void> Containers::rename(const std::string& name, const std::string& new_name) {
    return impl_->rename(TRY(impl_->find(name)), new_name);
}

Result<void> Containers::Impl::rename(const std::shared_ptr<Container>& container,
                                      const std::string& new_name) {
    const std::string wanted = new_name.starts_with('/') ? new_name.substr(1) : new_name;
    if (wanted.empty()) {
        return fail(Code::InvalidArgument, "Neither old nor new names may be empty");
    }
    if (!is_valid_name(wanted)) {
        return fail(Code::InvalidArgument,
                    "Error when allocating new name: Invalid container name ({}), only "
                    "[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                    wanted);
    }
    Container::Claim claim(container);
    Record record = claim.copy();
    const std::string old_name = record.name;
    if (wanted == old_name) {
        return fail(Code::InvalidArgument,
                    "Renaming a container with the same name as its current name");
    }
    {
        auto locked = table.lock();
        const auto [taken, added] = locked->id_by_name.emplace(wanted, record.id);
        if (!added) {
            return fail(Code::Conflict,
                        "Error when allocating new name: Conflict. The container name \"/{}\" is "
                        "already in use by container \"{}\". You have to remove (or rename) that "
                        "container to be able to reuse that name.",
                        wanted, taken->second);
        }
    }
    record.name = wanted;
    for (std::string& text : record.endpoints) {
        auto endpoint = network::decode_endpoint(text);
        if (!endpoint) continue;
        endpoint->container_name = wanted;
        text = network::encode(*endpoint);
    }
    const auto saved =
        core.store.database().run("UPDATE containers SET name = ?, record = ? WHERE id = ?",
                                  {wanted, json::encode(record), record.id});
    auto locked = table.lock();
    locked->id_by_name.erase(saved ? old_name : wanted);
    if (!saved) return fail(saved.error());
    claim.publish(record);
    core.networks.rename(record.id, wanted);
    publish_event(record, "rename", {{"oldName", "/" + old_name}});
    return {};
}

Result<void> Containers::resize(const std::string& name, unsigned height, unsigned width) {
    const auto container = TRY(impl_->find(name));
    const auto link = container->link();
    if (!container->record()->is_running() || !link) {
        return fail(Code::Conflict, "Container {} is not running", container->id());
    }
    shim::Resize request;
    request.rows = static_cast<std::uint16_t>(std::min(height, 65535U));
    request.columns = static_cast<std::uint16_t>(std::min(width, 65535U));
    const auto reply = TRY(link->request(request));
    if (!reply.ok) return fail(Code::Internal, "resize container: {}", reply.message);
    impl_->publish_event(*container->record(), "resize",
                         {{"height", std::to_string(height)}, {"width", std::to_string(width)}});
    return {};
}

Failure fail_restarting(const Record& record) {
    return fail(Code::Conflict, "Container {} is restarting, wait until the container is running",
                record.id);
}

std::vector<Containers::ImageUse> Containers::users_of_image(const std::string& image_id) const {
    std::vector<ImageUse> users;
    for (const auto& container : impl_->all()) {
        const auto record = container->record();
        const bool mounts =
            std::any_of(record->mounts.begin(), record->mounts.end(),
                        [&](const MountRecord& mount) { return mount.image_id == image_id; });
        if (mounts || record->image_id == image_id) {
            users.push_back({record->id, record->is_up()});
        }
    }
    return users;
}

Containers::Counts Containers::counts() const {
    Counts counts;
    for (const auto& container : impl_->all()) {
        const auto record = container->record();
        if (record->status == "paused") {
            ++counts.paused;
        } else if (record->is_up()) {
            ++counts.running;
        } else {
            ++counts.stopped;
        }
    }
    return counts;
}

}  // namespace coffer::engine
