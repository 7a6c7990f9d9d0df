// The health checks of a running container: a timer, then a check by way of its shim, whose end the
// shim tells. No thread waits for any of it. What comes late, from before a stop or a pause, bears
// an old number and is dropped.
#include "base/id.hpp"
#include "base/log.hpp"
#include "base/timers.hpp"
#include "engine/containers_impl.hpp"
#include "engine/health.hpp"
#include "oci/runtime_spec.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kProbePrefix = "health-";  // of the exec's id
constexpr std::int64_t kOutputLimit = 4096;

std::chrono::nanoseconds since_start(const Record& record) {
    const auto started = parse_rfc3339(record.started_at);
    return started ? now() - *started : std::chrono::nanoseconds(0);
}

// Go's way to write a duration that is whole in milliseconds or seconds.
std::string duration_text(std::chrono::nanoseconds time) {
    const double ms = static_cast<double>(time.count()) / 1e6;
    return ms < 1000 ? format("{}ms", ms) : format("{}s", ms / 1000);
}

}  // namespace

void Containers::Impl::begin_health(const std::shared_ptr<Container>& container, HealthStart how) {
    const auto record = container->record();
    const auto probe = probe_of(record->config);
    if (!probe || !*probe) return;
    if (how == HealthStart::Fresh || !record->health) {
        api::Health health = record->health ? *record->health : api::Health();
        health.status = "starting";
        health.failing_streak = 0;
        container->set_health(std::make_shared<const api::Health>(std::move(health)));
    }
    const std::uint64_t number = ++container->health().lock()->number;
    plan_check(container, number);
}

void Containers::Impl::suspend_health(Container& container) {
    std::string running;
    {
        auto state = container.health().lock();
        state->number += 1;
        core.timers.cancel(state->timer);
        running = std::exchange(state->probe, {});
    }
    const auto link = container.link();
    if (!running.empty() && link && !link->closed()) {
        ignore(link->post(shim::Signal{.exec_id = running, .number = 9, .all = true}),
               "it ends with the container");
    }
}

void Containers::Impl::end_health(Container& container) {
    suspend_health(container);
    const auto before = container.record()->health;
    if (!before) return;
    api::Health health = *before;
    health.status = "unhealthy";  // as docker has it of one that does not run
    container.set_health(std::make_shared<const api::Health>(std::move(health)));
}

void Containers::Impl::plan_check(const std::shared_ptr<Container>& container,
                                  std::uint64_t number) {
    const auto record = container->record();
    const HealthTimes times = health_times(record->config);
    const bool is_starting = record->health && record->health->status == "starting" &&
                             since_start(*record) < times.start_period;
    auto state = container->health().lock();
    if (state->number != number) return;
    state->timer = later(container, is_starting ? times.start_interval : times.interval,
                         [this, number](const auto& alive) { check_health(alive, number); });
}

Result<void> Containers::Impl::send_check(const Container& container, const std::string& id) {
    const auto record = container.record();
    const auto link = container.link();
    if (!link) return fail(Code::Conflict, "container {} is not running", record->id);
    const std::optional<HealthProbe> probe = TRY(probe_of(record->config));
    if (!probe) return fail(Code::Internal, "container {} has no health check", record->id);
    shim::Reply reply;
    if (probe->command.empty()) {
        reply = TRY(link->request(shim::Probe{
            .exec_id = id, .host = probe->host, .port = probe->port, .path = probe->path}));
    } else {
        const Rights rights = TRY(rights_of(record->host_config, core.settings.level));
        const auto filter = TRY(seccomp_filter(rights));
        const ExecInputs inputs{.record = *record, .rights = rights, .args = probe->command};
        shim::Exec message;
        message.exec_id = id;
        message.process = json::encode(build_exec_process(inputs));
        message.user = record->config.user;
        message.groups = record->host_config.group_add;
        message.capture = kOutputLimit;
        std::vector<int> fds;
        if (*filter) {
            message.has_seccomp = true;
            fds.push_back(filter->get());
        }
        reply = TRY(link->request(std::move(message), fds));
    }
    if (reply.ok) return {};
    return exec_failure(Code::Internal, reply);
}

void Containers::Impl::check_health(const std::shared_ptr<Container>& container,
                                    std::uint64_t number) {
    const std::string id = std::string(kProbePrefix) + random_id();
    const auto timeout = health_times(container->record()->config).timeout;
    {
        auto state = container->health().lock();
        if (state->number != number) return;
        state->probe = id;
        state->began = now();
        state->timer = later(container, timeout, [this, id, timeout](const auto& alive) {
            const auto link = alive->link();
            settle_check(alive, id, -1,
                         format("Health check exceeded timeout ({})", duration_text(timeout)));
            if (!link) return;
            ignore(link->post(shim::Signal{.exec_id = id, .number = 9, .all = true}),
                   "it may have ended");
        });
    }
    const auto sent = send_check(*container, id);
    if (!sent) settle_check(container, id, -1, sent.error().message);
}

bool Containers::Impl::on_check(const std::shared_ptr<Container>& container,
                                const shim::ExecExited& exited) {
    if (!exited.exec_id.starts_with(kProbePrefix)) return false;
    settle_check(container, exited.exec_id, exited.exit_code,
                 exited.cut ? exited.output + "..." : exited.output);
    return true;
}

void Containers::Impl::drop_old_checks(const shim::Hello& hello, ShimLink& link) {
    for (const shim::ExecState& exec : hello.execs) {
        if (!exec.exec_id.starts_with(kProbePrefix)) continue;
        ignore(link.post(shim::Signal{.exec_id = exec.exec_id, .number = 9, .all = true}),
               "it may have ended");
    }
}

void Containers::Impl::settle_check(const std::shared_ptr<Container>& container,
                                    const std::string& id, int exit_code, std::string output) {
    const auto record = container->record();
    api::HealthLog result;
    result.end = to_rfc3339_short(now());
    result.exit_code = exit_code;
    result.output = std::move(output);
    api::Health health = record->health ? *record->health : api::Health();
    bool changed = false;
    std::uint64_t number = 0;
    {
        auto state = container->health().lock();
        if (state->probe != id) return;  // it was given up
        state->probe.clear();
        core.timers.cancel(state->timer);
        number = state->number;
        result.start = to_rfc3339_short(state->began);
        const auto started = parse_rfc3339(record->started_at).value_or(state->began);
        changed = note_result(health, record->config, std::move(result), state->began - started);
        container->set_health(std::make_shared<const api::Health>(health));
    }
    plan_check(container, number);
    if (!changed) return;
    publish_event(*record, "health_status: " + health.status);
    if (health.status == "unhealthy") {
        core.workers.submit([this, container] { act_on_failure(container); });
    }
}

void Containers::Impl::act_on_failure(const std::shared_ptr<Container>& container) {
    const auto record = container->record();
    EndRequest request{.action = "", .by = "health check"};
    Result<void> done;
    switch (health_action(record->config)) {
        case HealthAction::None:
            return;
        case HealthAction::Stop:
            request.action = "stop";
            done = stop(container, {}, request);
            break;
        case HealthAction::Kill:
            request.action = "kill";
            request.signal = 9;
            request.is_final = false;
            container->request_end(request);
            done = signal(container, request.signal);
            break;
        case HealthAction::Restart:
            request.action = "restart";
            request.is_final = false;
            request.start_again = true;
            done = stop(container, {}, request);
            break;
    }
    if (!done) LOG_WARN("act on unhealthy {}: {}", record->id, done.error().message);
}

}  // namespace coffer::engine
