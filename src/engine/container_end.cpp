// The end of a run and of a container: exits told by the shim, stop, kill, remove, prune.
#include <poll.h>
#include <sys/eventfd.h>

#include <csignal>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "network/networks.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {
constexpr int kDefaultStopSeconds = 10;
constexpr std::chrono::seconds kKillLimit(30);
}  // namespace

void Containers::Impl::on_shim(const std::shared_ptr<Container>& container,
                               const shim::FromShim* message) {
    if (message == nullptr) {
        core.workers.submit([this, container] {
            const auto link = container->link();
            if (!link || !link->closed()) return;
            // The shim was killed. Its container dies with it; what it wrote before counts.
            const auto record = container->record();
            const auto text = sys::read_file(bundle(*record) + "/exit.json");
            const auto known = text ? shim::decode_exit_record(*text)
                                    : Result<shim::ExitRecord>(fail(text.error()));
            shim::ExitRecord exit;
            exit.exit_code = 128 + SIGKILL;
            exit.signal = SIGKILL;
            exit.finished_at = to_rfc3339_short(now());
            settle_exit(container, link, known ? *known : exit);
        });
        return;
    }
    if (const auto* exited = std::get_if<shim::Exited>(message)) {
        const shim::ExitRecord exit = exited->record;
        core.workers.submit([this, container, exit] { settle_exit(container, nullptr, exit); });
    } else if (const auto* exec = std::get_if<shim::ExecExited>(message)) {
        if (exec_ended) exec_ended(exec->exec_id, exec->exit_code);
    } else if (const auto* detached = std::get_if<shim::Detached>(message)) {
        publish_event(*container->record(), detached->exec_id.empty() ? "detach" : "exec_detach");
    } else if (std::holds_alternative<shim::Oom>(*message)) {
        publish_event(*container->record(), "oom");
    }
}

void Containers::Impl::settle_exit(const std::shared_ptr<Container>& container,
                                   const std::shared_ptr<ShimLink>& expected,
                                   const shim::ExitRecord& exit) {
    Container::Claim claim(container);
    const auto link = container->link();
    Record record = claim.copy();
    if (!record.is_up() || (expected && link != expected)) return;
    if (link && !link->closed()) {
        ignore(link->post(shim::Forget{}), "it ends by itself after a while");
    }
    // The shim removes the cgroup; only a killed shim leaves it behind.
    if (!record.cgroup_path.empty()) {
        if (auto cgroup = sys::cgroup::Cgroup::open(record.cgroup_path)) {
            const auto removed = cgroup->remove();
            if (!removed) LOG_WARN("remove cgroup: {}", removed.error().message);
        }
    }
    release_run(record);
    const auto started = parse_rfc3339(record.started_at);
    const auto finished = parse_rfc3339(exit.finished_at);
    record.status = "exited";
    record.pid = 0;
    record.exit_code = exit.exit_code;
    record.oom_killed = exit.oom_killed;
    record.finished_at = exit.finished_at;
    record.id_base = 0;
    record.cgroup_path.clear();
    record.network_container.clear();
    record.endpoints.clear();
    container->set_link(nullptr);
    if (container_ended) container_ended(record.id);

    std::map<std::string, std::string> attributes = {{"exitCode", std::to_string(exit.exit_code)}};
    if (started && finished) {
        attributes["execDuration"] = std::to_string(
            std::chrono::duration_cast<std::chrono::seconds>(*finished - *started).count());
    }
    api::WaitResponse response;
    response.status_code = record.exit_code;
    if (record.host_config.auto_remove) {
        claim.publish(record);
        container->end_run();
        publish_event(record, "die", std::move(attributes));
        container->finish_waiters(response, false);
        const auto removed = remove_claimed(claim, {.force = true, .volumes = true});
        if (!removed) LOG_ERROR("remove container {}: {}", record.id, removed.error().message);
        remove_bundle(record);
        return;
    }
    const auto saved = save(claim, record);
    if (!saved) {
        // The truth about the process is the kernel's, not the table's: go on in memory.
        LOG_ERROR("record the exit of {}: {}", record.id, saved.error().message);
        claim.publish(record);
    }
    container->end_run();
    publish_event(record, "die", std::move(attributes));
    container->finish_waiters(response, false);
    // Its record of the exit was needed until the table had it.
    remove_bundle(record);
}

Result<bool> Containers::Impl::signal_and_wait(const std::shared_ptr<Container>& container,
                                               int signal,
                                               std::optional<std::chrono::milliseconds> limit) {
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("wait for container {}", container->id());
    const auto waiter = std::make_shared<Waiter>(std::move(wake));
    container->add_waiter(waiter, false);
    const auto link = container->link();
    const auto record = container->record();
    if (!record->is_up() || !link) return true;
    const auto reply = link->request(shim::Signal{.exec_id = "", .number = signal, .all = false});
    if (reply && reply->ok) {
        publish_event(*record, "kill", {{"signal", std::to_string(signal)}});
    }
    if (record->status == "paused") {
        // A frozen process takes no signal.
        if (const auto cgroup = sys::cgroup::Cgroup::open(record->cgroup_path)) {
            ignore(cgroup->thaw(), "the time limit and SIGKILL follow");
        }
    }
    pollfd ready{waiter->fd(), POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + limit.value_or(std::chrono::hours(0));
    for (;;) {
        int wait = -1;
        if (limit) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            wait = static_cast<int>(std::max<std::int64_t>(0, left.count()));
        }
        const int n = ::poll(&ready, 1, wait);
        if (n > 0) return true;
        if (n == 0) return !container->record()->is_up();
        if (errno != EINTR) return fail_errno("wait for container {}", container->id());
    }
}

Result<void> Containers::Impl::stop(const std::shared_ptr<Container>& container,
                                    const std::optional<std::string>& signal,
                                    std::optional<int> seconds) {
    const auto record = container->record();
    if (!record->is_up()) {
        return fail(Code::NotModified, "container {} is not running", record->id);
    }
    const std::string& own = record->config.stop_signal;
    const int number =
        TRY(parse_signal(signal && !signal->empty() ? *signal : (own.empty() ? "TERM" : own)));
    const std::int64_t limit =
        seconds ? *seconds : record->config.stop_timeout.value_or(kDefaultStopSeconds);
    std::optional<std::chrono::milliseconds> wait;
    if (limit >= 0) wait = std::chrono::seconds(limit);
    bool stopped = TRY(signal_and_wait(container, number, wait));
    if (!stopped) stopped = TRY(signal_and_wait(container, SIGKILL, kKillLimit));
    if (!stopped) {
        return fail(Code::Internal, "cannot stop container: {}: it does not die of SIGKILL",
                    record->id);
    }
    publish_event(*record, "stop");
    return {};
}

Result<void> Containers::stop(const std::string& name, const std::optional<std::string>& signal,
                              std::optional<int> seconds) {
    return impl_->stop(TRY(impl_->find(name)), signal, seconds);
}

Result<void> Containers::restart(const std::string& name, const std::optional<std::string>& signal,
                                 std::optional<int> seconds) {
    const auto container = TRY(impl_->find(name));
    auto stopped = impl_->stop(container, signal, seconds);
    if (!stopped && stopped.error().code != Code::NotModified) return stopped;
    auto started = impl_->start(container);
    if (!started && started.error().code != Code::NotModified) return started;
    impl_->publish_event(*container->record(), "restart");
    return {};
}

Result<void> Containers::Impl::remove_claimed(Container::Claim& claim,
                                              const RemoveOptions& options) {
    const Record record = claim.copy();
    // The row goes first: what a crash leaves of the rest is swept at the next start.
    TRY(core.store.database().run("DELETE FROM containers WHERE id = ?", {record.id},
                                  durability_of(record)));
    {
        auto locked = table.lock();
        locked->id_by_name.erase(record.name);
        locked->by_id.erase(record.id);
    }
    claim->set_removed();
    const auto detached = core.store.detach_writable(record.id);
    for (const MountRecord& mount : record.mounts) {
        if (!options.volumes || mount.type != "volume") continue;
        const auto volume = core.volumes.find(mount.name);
        if (!volume || !volume->anonymous) continue;
        ignore(core.volumes.remove(mount.name), "another container may use it: it stays");
    }
    publish_event(record, "destroy");
    api::WaitResponse response;
    response.status_code = record.exit_code;
    claim->finish_waiters(response, true);
    const auto removed =
        detached ? core.store.discard(*detached) : Result<void>(fail(detached.error()));
    if (!removed) LOG_ERROR("remove the files of {}: {}", record.id, removed.error().message);
    return {};
}

Result<void> Containers::Impl::remove(const std::shared_ptr<Container>& container,
                                      const RemoveOptions& options) {
    const auto before = container->record();
    if (before->is_up()) {
        if (!options.force) {
            return fail(
                Code::Conflict,
                "cannot remove container \"/{}\": container is {}: stop the container before "
                "removing or force remove",
                before->name, before->status);
        }
        const bool killed = TRY(signal_and_wait(container, SIGKILL, kKillLimit));
        if (!killed) {
            return fail(Code::Internal, "cannot remove container \"/{}\": could not kill",
                        before->name);
        }
    }
    Container::Claim claim(container);
    if (container->removed()) return {};
    if (container->record()->is_up()) {
        return fail(Code::Conflict, "cannot remove container \"/{}\": it was started meanwhile",
                    before->name);
    }
    return remove_claimed(claim, options);
}

Result<void> Containers::remove(const std::string& name, const RemoveOptions& options) {
    return impl_->remove(TRY(impl_->find(name)), options);
}

Result<std::vector<std::string>> Containers::prune(const Filters& filters) {
    TRY(filters.accept({"label", "label!", "until"}));
    std::optional<Time> until;
    for (const std::string& text : filters.get("until")) {
        until = parse_timestamp(text, now());
        if (!until) return fail(Code::InvalidArgument, "invalid filter 'until={}'", text);
    }
    std::vector<std::string> removed;
    for (const auto& container : impl_->all()) {
        const auto record = container->record();
        if (record->is_up() || !filters.match_labels(record->config.labels)) continue;
        const auto created = parse_rfc3339(record->created);
        if (until && created && *created >= *until) continue;
        const auto gone = impl_->remove(container, {});
        if (gone) removed.push_back(record->id);
    }
    return removed;
}

}  // namespace coffer::engine
