// A new container in the place of an old one. Until the old one is removed, the record of the new
// one says what it replaces: whatever ends the attempt, an error or the end of the engine, the old
// one gets its name back and runs as before.
#include <poll.h>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/health.hpp"

namespace coffer::engine {

namespace {

constexpr std::chrono::seconds kRunLimit(5);  // without a health check: so long it must run

std::chrono::seconds time_to_come_up(const api::ContainerConfig& config) {
    const auto probe = probe_of(config);
    if (!probe || !*probe) return kRunLimit;
    const HealthTimes times = health_times(config);
    const std::int64_t retries = std::max<std::int64_t>(1, config.healthcheck->retries);
    return std::chrono::ceil<std::chrono::seconds>(
        times.start_period + (times.interval + times.timeout) * (retries + 1));
}

}  // namespace

Result<api::ContainerCreateResponse> Containers::recreate(
    const std::string& name, const api::ContainerCreateRequest& request, int seconds,
    const Caller& caller) {
    const auto old = TRY(impl_->find(name));
    const auto before = old->record();
    if (before->host_config.auto_remove || request.host_config.auto_remove) {
        return fail(Code::InvalidArgument,
                    "container {} cannot be recreated: with --rm it would be gone before it could "
                    "be put back",
                    before->name);
    }
    api::ContainerCreateResponse response;
    // Of two at the same time, one gets the name.
    response.id =
        TRY(impl_->create(before->name + ".new", request, caller, response.warnings, before));
    const auto next = TRY(impl_->find(response.id));
    const auto limit =
        seconds > 0 ? std::chrono::seconds(seconds) : time_to_come_up(next->record()->config);
    const auto replaced = impl_->replace(old, next, limit, caller);
    if (replaced) return response;
    impl_->put_back(next);
    return fail(replaced.error().code, "container {} is as it was: {}", before->name,
                replaced.error().message);
}

Result<void> Containers::Impl::replace(const std::shared_ptr<Container>& old,
                                       const std::shared_ptr<Container>& next,
                                       std::chrono::seconds limit, const Caller& caller) {
    const Replaced replaced = *next->record()->replaces;
    auto stopped = stop(old, {}, {.action = "recreate", .by = caller.name, .keep = true});
    if (!stopped && stopped.error().code != Code::NotModified) return stopped;
    TRY(rename(old, replaced.name + ".old"));
    TRY(rename(next, replaced.name));
    if (replaced.was_up) {
        TRY(start(next));
        TRY(await_up(next, limit));
    }
    TRY(remove(old, {}, caller));
    return finish_replacement(next);
}

Result<void> Containers::Impl::await_up(const std::shared_ptr<Container>& container,
                                        std::chrono::seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const auto events = TRY(core.events.subscribe(kZeroTime)).live;
    const auto probe = TRY(probe_of(container->record()->config));
    for (;;) {
        const auto record = container->record();
        if (!record->is_running()) {
            return fail(Code::Conflict, "the new one ended with status {}{}{}", record->exit_code,
                        record->error.empty() ? "" : ": ", record->error);
        }
        const std::string health = record->health ? record->health->status : "";
        if (probe && health == "healthy") return {};
        if (probe && health == "unhealthy") {
            return fail(Code::Conflict, "the new one is unhealthy: {}",
                        record->health->log.empty() ? "" : record->health->log.back().output);
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0 && !probe) return {};
        if (left.count() <= 0) {
            return fail(Code::Conflict, "the new one is not healthy after {} seconds",
                        limit.count());
        }
        pollfd ready{events->fd(), POLLIN, 0};
        if (::poll(&ready, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) {
            return fail_errno("wait for container {}", record->id);
        }
        events->take();
    }
}

Result<void> Containers::Impl::finish_replacement(const std::shared_ptr<Container>& next) {
    Container::Claim claim(next);
    Record record = claim.copy();
    record.replaces.reset();
    return save(claim, std::move(record));
}

// Every step may have been taken already. The new one goes last: it is what knows the way back.
void Containers::Impl::put_back(const std::shared_ptr<Container>& next) {
    const Replaced replaced = *next->record()->replaces;
    const auto back = [&]() -> Result<void> {
        auto stopped = stop(next, {.signal = "KILL", .seconds = {}},
                            {.action = "recreate", .by = "engine", .keep = true});
        if (!stopped && stopped.error().code != Code::NotModified) return stopped;
        const auto old = TRY(find(replaced.id));
        if (old->record()->stopped_by_user) {  // it may still be about to end
            stopped = stop(old, {}, {.action = "recreate", .by = "engine", .keep = true});
            if (!stopped && stopped.error().code != Code::NotModified) return stopped;
        }
        if (next->record()->name == replaced.name) TRY(rename(next, replaced.name + ".new"));
        if (old->record()->name != replaced.name) TRY(rename(old, replaced.name));
        if (replaced.was_up) {
            auto started = start(old);
            if (!started && started.error().code != Code::NotModified) return started;
        }
        return remove(next, {.force = true, .volumes = true}, {});
    };
    const auto done = back();
    if (!done) LOG_ERROR("put container {} back: {}", replaced.name, done.error().message);
}

void Containers::Impl::settle_replacements() {
    for (const auto& container : all()) {
        const auto record = container->record();
        if (!record->replaces) continue;
        if (find(record->replaces->id)) {
            LOG_WARN("container {} was being recreated: the old one is put back",
                     record->replaces->name);
            put_back(container);
            continue;
        }
        const auto finished = finish_replacement(container);
        if (!finished) LOG_ERROR("container {}: {}", record->id, finished.error().message);
    }
}

}  // namespace coffer::engine
