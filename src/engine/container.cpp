#include "engine/container.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "engine/containers.hpp"

namespace coffer::engine {

namespace {
constexpr std::array<const char*, 7> kStatusNames = {"created",  "running", "paused", "restarting",
                                                     "removing", "exited",  "dead"};
}  // namespace

std::string to_string(Status status) {
    return kStatusNames[static_cast<std::size_t>(status)];
}

Status Record::state() const {
    for (std::size_t i = 0; i < kStatusNames.size(); ++i) {
        if (status == kStatusNames[i]) return static_cast<Status>(i);
    }
    return Status::Dead;
}

std::optional<std::string> shared_with(std::string_view mode) {
    constexpr std::string_view kPrefix = "container:";
    if (!mode.starts_with(kPrefix)) return std::nullopt;
    return std::string(mode.substr(kPrefix.size()));
}

void describe(json::Fields& f, const IdRange& s) {
    f("Files", s.files);
    f("Inside", s.inside);
    f("Size", s.size);
}

void describe(json::Fields& f, const MountRecord& s) {
    f("Type", s.type);
    f("Name", s.name);
    f("Source", s.source);
    f("Subpath", s.subpath);
    f("ImageId", s.image_id);
    f("ChainId", s.chain_id);
    f("Target", s.target);
    f("Options", s.options);
    f("Writable", s.writable);
    f("Propagation", s.propagation);
    f("Mode", s.mode);
    f("CopyUp", s.copy_up);
    f("SquashUid", s.squash_uid);
    f("SquashGid", s.squash_gid);
    f("Uids", s.uids);
    f("Gids", s.gids);
}

void describe(json::Fields& f, const Replaced& s) {
    f("Id", s.id);
    f("Name", s.name);
    f("WasUp", s.was_up);
    f("Endpoints", s.endpoints);
}

void describe(json::Fields& f, const UnsettledMounts& s) {
    f("Removed", s.removed);
    f("Added", s.added);
}

void describe(json::Fields& f, const Record& s) {
    f("Id", s.id);
    f("Name", s.name);
    f("Created", s.created);
    f("ImageId", s.image_id);
    f("ImageName", s.image_name);
    f("ChainId", s.chain_id);
    f("Config", s.config);
    f("HostConfig", s.host_config);
    f("Networks", s.networks);
    f("Mounts", s.mounts);
    f("Level", s.level);
    f("QuotaProject", s.quota_project);
    f("Status", s.status);
    f("Pid", s.pid);
    f("ExitCode", s.exit_code);
    f("Error", s.error);
    f("OomKilled", s.oom_killed);
    f("StoppedByUser", s.stopped_by_user);
    f("ExitSignal", s.exit_signal);
    f("OomKills", s.oom_kills);
    f("EndedBy", s.ended_by);
    f("StartedAt", s.started_at);
    f("FinishedAt", s.finished_at);
    f("RestartCount", s.restart_count);
    f("IdBase", s.id_base);
    f("CgroupPath", s.cgroup_path);
    f("NetworkContainer", s.network_container);
    f("Endpoints", s.endpoints);
    f("UnsettledMounts", s.unsettled_mounts);
    f("Replaces", s.replaces);
    f("Path", s.path);
    f("Args", s.args);
}

std::optional<api::WaitResponse> Waiter::result() {
    return *result_.lock();
}

void Waiter::finish(api::WaitResponse response) {
    *result_.lock() = std::move(response);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

std::shared_ptr<const Record> Container::record() const {
    const std::lock_guard lock(mutex_);
    return record_;
}

Container::Claim::Claim(std::shared_ptr<Container> container) : container_(std::move(container)) {
    std::unique_lock lock(container_->mutex_);
    container_->released_.wait(lock, [&] { return !container_->claimed_; });
    container_->claimed_ = true;
}

Container::Claim::~Claim() {
    if (!container_) return;
    {
        const std::lock_guard lock(container_->mutex_);
        container_->claimed_ = false;
    }
    container_->released_.notify_one();
}

void Container::Claim::publish(Record record) {
    auto shared = std::make_shared<Record>(std::move(record));
    const std::lock_guard lock(container_->mutex_);
    shared->health = container_->record_->health;
    container_->record_ = std::move(shared);
}

std::shared_ptr<ShimLink> Container::link() const {
    const std::lock_guard lock(mutex_);
    return link_;
}

void Container::set_link(std::shared_ptr<ShimLink> link) {
    const std::lock_guard lock(mutex_);
    link_ = std::move(link);
}

void Container::set_health(std::shared_ptr<const api::Health> health) {
    const std::lock_guard lock(mutex_);
    auto record = std::make_shared<Record>(*record_);
    record->health = std::move(health);
    record_ = std::move(record);
}

void Container::add_pending(PendingClient client) {
    const std::lock_guard lock(mutex_);
    pending_.push_back(std::move(client));
}

std::vector<PendingClient> Container::take_pending() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
}

void Container::add_waiter(std::shared_ptr<Waiter> waiter, bool for_removal) {
    const std::lock_guard lock(mutex_);
    // Waiters whose client has gone are let go here, so that they cannot pile up.
    std::erase_if(waiters_, [](const auto& entry) { return entry.first.use_count() == 1; });
    waiters_.emplace_back(std::move(waiter), for_removal);
}

void Container::finish_waiters(const api::WaitResponse& response, bool removed) {
    const std::lock_guard lock(mutex_);
    std::erase_if(waiters_, [&](const auto& entry) {
        if (entry.second && !removed) return false;
        entry.first->finish(response);
        return true;
    });
}

std::shared_ptr<Cancel> Container::run_ended() const {
    const std::lock_guard lock(mutex_);
    return run_ended_;
}

void Container::begin_run() {
    const std::lock_guard lock(mutex_);
    run_ended_ = std::make_shared<Cancel>();
    end_request_.reset();
}

void Container::end_run() {
    run_ended()->cancel();
}

void Container::request_end(EndRequest request) {
    const std::lock_guard lock(mutex_);
    end_request_ = std::move(request);
}

std::optional<EndRequest> Container::take_end_request() {
    const std::lock_guard lock(mutex_);
    return std::exchange(end_request_, std::nullopt);
}

bool Container::removed() const {
    const std::lock_guard lock(mutex_);
    return removed_;
}

void Container::set_removed() {
    const std::lock_guard lock(mutex_);
    removed_ = true;
}

}  // namespace coffer::engine
