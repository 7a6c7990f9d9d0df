// What ends a container: stop, kill, restart, remove, prune.
#include <poll.h>

#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/images.hpp"
#include "network/networks.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

constexpr int kDefaultStopSeconds = 10;
constexpr std::chrono::seconds kKillLimit(30);

int stop_signal(const Record& record) {
    return parse_signal(record.config.stop_signal).value_or(SIGTERM);
}

// Signals that are sent to end a program; with others it goes on.
bool is_for_the_end(const Record& record, int signal) {
    return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGQUIT ||
           signal == stop_signal(record);
}

}  // namespace

Result<void> Containers::Impl::announce_end(const std::shared_ptr<Container>& container,
                                            const EndRequest& request) {
    container->request_end(request);
    const auto before = container->record();
    // Should we be gone when it ends, the next engine must know that it is not to be restarted.
    if (!request.ends || !request.is_final || before->stopped_by_user ||
        !wants_restart(before->host_config.restart_policy, 1, false, 0)) {
        return {};
    }
    Container::Claim claim(container);
    Record record = claim.copy();
    record.stopped_by_user = true;
    return save(claim, std::move(record), store::Durability::Later);
}

Result<void> Containers::Impl::signal(const std::shared_ptr<Container>& container, int number) {
    const auto record = container->record();
    const auto link = container->link();
    if (!record->is_running() || !link) {
        return fail(Code::Conflict, "container {} is not running", record->id);
    }
    // A shim that does not answer is killed, and its container dies with it. It is waited for once.
    const auto reply =
        number == SIGKILL && link->silent()
            ? Result<shim::Reply>(fail(Code::Unavailable, "the container's shim is still silent"))
            : link->request(shim::Signal{.exec_id = "", .number = number, .all = false});
    if (!reply && number == SIGKILL && !link->closed()) {
        LOG_WARN("container {}: {}; it is killed", record->id, reply.error().message);
        TRY(link->kill_shim());
    } else if (!reply && link->closed()) {
        return fail(Code::Conflict, "container {} is not running", record->id);
    } else if (!reply) {
        return fail(reply.error());
    } else if (!reply->ok) {
        return fail(Code::Conflict, "{}", reply->message);
    }
    publish_event(*record, "kill", {{"signal", std::to_string(number)}});
    return {};
}

Result<bool> Containers::Impl::signal_and_wait(const std::shared_ptr<Container>& container,
                                               int number,
                                               std::optional<std::chrono::milliseconds> limit) {
    const auto ended = container->run_ended();
    const auto record = container->record();
    if (!record->is_running()) return true;
    const auto deadline = std::chrono::steady_clock::now() + limit.value_or(std::chrono::hours(0));
    const auto sent = signal(container, number);
    if (!sent && number == SIGKILL && !ended->cancelled()) {
        LOG_WARN("kill container {}: {}", record->id, sent.error().message);
    }
    if (record->status == "paused") {
        // A frozen process takes no signal.
        if (const auto cgroup = sys::cgroup::Cgroup::open(record->cgroup_path)) {
            ignore(cgroup->thaw(), "the time limit and SIGKILL follow");
        }
    }
    pollfd ready{ended->fd(), POLLIN, 0};
    for (;;) {
        int wait = -1;
        if (limit) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now());
            wait = static_cast<int>(std::max<std::int64_t>(0, left.count()));
        }
        const int n = ::poll(&ready, 1, wait);
        if (n >= 0) return n > 0;
        if (errno != EINTR) return fail_errno("wait for container {}", container->id());
    }
}

Result<void> Containers::Impl::stop(const std::shared_ptr<Container>& container,
                                    const StopOptions& options, EndRequest request) {
    const auto record = container->record();
    const int number = options.signal && !options.signal->empty()
                           ? TRY(parse_signal(*options.signal))
                           : stop_signal(*record);
    request.signal = number;
    if (TRY(end_restarts(container, request))) {
        publish_event(*record, "stop");
        return {};
    }
    if (!container->record()->is_running()) {
        return fail(Code::NotModified, "container {} is not running", record->id);
    }
    TRY(announce_end(container, request));
    const std::int64_t seconds = options.seconds
                                     ? *options.seconds
                                     : record->config.stop_timeout.value_or(kDefaultStopSeconds);
    std::optional<std::chrono::milliseconds> limit;
    if (seconds >= 0) limit = std::chrono::seconds(seconds);
    bool stopped = TRY(signal_and_wait(container, number, limit));
    if (!stopped) stopped = TRY(signal_and_wait(container, SIGKILL, kKillLimit));
    if (!stopped) {
        return fail(Code::Internal, "cannot stop container: {}: it does not die of SIGKILL",
                    record->id);
    }
    publish_event(*record, "stop");
    return {};
}

Result<void> Containers::stop(const std::string& name, const StopOptions& options,
                              const Caller& caller) {
    return impl_->stop(TRY(impl_->find(name)), options, {.action = "stop", .by = caller.name});
}

Result<void> Containers::restart(const std::string& name, const StopOptions& options,
                                 const Caller& caller) {
    const auto container = TRY(impl_->find(name));
    auto stopped =
        impl_->stop(container, options, {.action = "restart", .by = caller.name, .keep = true});
    if (!stopped && stopped.error().code != Code::NotModified) return stopped;
    auto started = impl_->start(container);
    if (!started && started.error().code != Code::NotModified) return started;
    impl_->publish_event(*container->record(), "restart");
    return {};
}

Result<void> Containers::kill(const std::string& name, const std::string& signal,
                              const Caller& caller) {
    const int number = TRY(parse_signal(signal.empty() ? "KILL" : signal));
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    EndRequest request{.action = "kill", .by = caller.name, .signal = number};
    request.ends = is_for_the_end(*record, number);
    if (record->status == "restarting" && !request.ends) return {};  // there is nobody to take it
    if (TRY(impl_->end_restarts(container, request))) return {};
    if (!container->record()->is_running()) {
        return fail(Code::Conflict, "cannot kill container: {}: container {} is not running", name,
                    record->id);
    }
    if (number == SIGKILL && record->status == "paused") {
        ignore(unpause(name), "SIGKILL thaws a frozen group by itself on cgroup v2");
    }
    TRY(impl_->announce_end(container, request));
    const auto sent = impl_->signal(container, number);
    if (!sent) {
        return fail(sent.error().code, "cannot kill container: {}: {}", name, sent.error().message);
    }
    return {};
}

Result<void> Containers::Impl::remove_claimed(Container::Claim& claim, RemoveVolumes volumes) {
    const Record record = claim.copy();
    if (volumes == RemoveVolumes::Yes) core.volumes.disclaim(record.id);
    // The row goes first: what a crash leaves of the rest is swept at the next start.
    TRY(core.store.database().run("DELETE FROM containers WHERE id = ?", {record.id},
                                  durability_of(record)));
    {
        auto locked = table.lock();
        locked->id_by_name.erase(record.name);
        locked->by_id.erase(record.id);
    }
    claim->set_removed();
    // Used until now, however long ago it was started.
    core.images.touch(record.image_id);
    for (const MountRecord& mount : record.mounts)
        if (!mount.image_id.empty()) core.images.touch(mount.image_id);
    clear_quota(record);
    const auto detached = core.store.detach_writable(record.id);
    core.volumes.release(record.id);
    for (const MountRecord& mount : record.mounts) {
        if (volumes == RemoveVolumes::No || mount.type != "volume") continue;
        const auto volume = core.volumes.find(mount.name);
        if (!volume || !volume->anonymous) continue;
        // One that another container holds stays.
        if (core.volumes.remove(mount.name)) {
            core.events.publish(volume_event("destroy", mount.name));
        }
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
                                      const RemoveOptions& options, const Caller& caller) {
    const auto before = container->record();
    if (before->is_up()) {
        if (!options.force) {
            return fail(
                Code::Conflict,
                "cannot remove container \"/{}\": container is {}: stop the container before "
                "removing or force remove",
                before->name, before->status);
        }
        const EndRequest request{.action = "rm", .by = caller.name, .signal = SIGKILL};
        const bool ended = TRY(end_restarts(container, request));
        if (!ended) container->request_end(request);
        const bool killed = ended || TRY(signal_and_wait(container, SIGKILL, kKillLimit));
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
    return remove_claimed(claim, options.volumes ? RemoveVolumes::Yes : RemoveVolumes::No);
}

Result<void> Containers::remove(const std::string& name, const RemoveOptions& options,
                                const Caller& caller) {
    return impl_->remove(TRY(impl_->find(name)), options, caller);
}

Result<api::ContainersPruneReport> Containers::prune(const Filters& filters) {
    TRY(filters.accept({"label", "label!", "until"}));
    std::optional<Time> until;
    for (const std::string& text : filters.get("until")) {
        until = parse_timestamp(text, now());
        if (!until) return fail(Code::InvalidArgument, "invalid filter 'until={}'", text);
    }
    api::ContainersPruneReport report;
    for (const auto& container : impl_->all()) {
        const auto record = container->record();
        if (record->is_up() || !filters.match_labels(record->config.labels)) continue;
        const auto created = parse_rfc3339(record->created);
        if (until && created && *created >= *until) continue;
        const auto sizes = impl_->sizes(*record, SizeOf::Whole);
        if (!impl_->remove(container, {}, {})) continue;
        report.containers_deleted.push_back(record->id);
        if (sizes) report.space_reclaimed += static_cast<std::uint64_t>(sizes->own);
    }
    impl_->core.events.publish(prune_event("container", report.space_reclaimed));
    return report;
}

}  // namespace coffer::engine
