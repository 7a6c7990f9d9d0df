// The end of a run: exits told by the shim, and what becomes of the container then.
#include <csignal>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

namespace {

std::chrono::nanoseconds duration_of(const Record& record) {
    const auto started = parse_rfc3339(record.started_at);
    const auto finished = parse_rfc3339(record.finished_at);
    return started && finished ? *finished - *started : std::chrono::nanoseconds(0);
}

// What the shim saw, and who wanted it.
void note_exit(Record& record, const shim::ExitRecord& exit,
               const std::optional<EndRequest>& request) {
    record.pid = 0;
    record.exit_code = exit.exit_code;
    record.exit_signal = exit.signal;
    record.oom_killed = exit.oom_killed;
    record.oom_kills = exit.oom_kills;
    record.finished_at = exit.finished_at;
    record.id_base = 0;
    record.cgroup_path.clear();
    record.network_container.clear();
    record.endpoints.clear();
    record.ended_by.clear();
    if (request && (request->ends || request->signal == exit.signal)) {
        record.ended_by = format("{} by {}", request->action, request->by);
        record.stopped_by_user = record.stopped_by_user || request->is_final;
    }
}

std::map<std::string, std::string> die_attributes(const Record& record) {
    std::map<std::string, std::string> attributes;
    attributes["exitCode"] = std::to_string(record.exit_code);
    attributes["execDuration"] = std::to_string(
        std::chrono::duration_cast<std::chrono::seconds>(duration_of(record)).count());
    if (record.exit_signal != 0) attributes["signal"] = std::to_string(record.exit_signal);
    if (record.oom_killed) attributes["oomKills"] = std::to_string(record.oom_kills);
    if (!record.ended_by.empty()) attributes["endedBy"] = record.ended_by;
    return attributes;
}

}  // namespace

void Containers::Impl::on_shim(const std::shared_ptr<Container>& container,
                               const shim::FromShim* message) {
    if (message == nullptr) {
        core.workers.submit([this, container] { settle_loss(container); });
        return;
    }
    if (const auto* exited = std::get_if<shim::Exited>(message)) {
        const shim::ExitRecord exit = exited->record;
        core.workers.submit([this, container, exit] { settle_exit(container, nullptr, exit); });
    } else if (const auto* exec = std::get_if<shim::ExecExited>(message)) {
        if (on_check(container, *exec)) return;
        if (exec_ended) exec_ended(exec->exec_id, exec->exit_code);
    } else if (const auto* detached = std::get_if<shim::Detached>(message)) {
        publish_event(*container->record(), detached->exec_id.empty() ? "detach" : "exec_detach");
    } else if (const auto* notice = std::get_if<shim::LogNotice>(message)) {
        LOG_WARN("log of container {}: {}", container->id(), notice->text);
    } else if (std::holds_alternative<shim::Oom>(*message)) {
        publish_event(*container->record(), "oom");
    }
}

shim::ExitRecord Containers::Impl::recorded_exit(const Record& record, int exit_code,
                                                 int signal) const {
    if (const auto text = sys::read_file(bundle(record) + "/exit.json")) {
        if (const auto known = shim::decode_exit_record(*text)) return *known;
    }
    shim::ExitRecord exit;
    exit.exit_code = exit_code;
    exit.signal = signal;
    exit.finished_at = to_rfc3339_short(now());
    return exit;
}

void Containers::Impl::settle_loss(const std::shared_ptr<Container>& container) {
    Container::Claim claim(container);  // a start that has just been told of gets to its end first
    const auto link = container->link();
    if (!link || !link->closed()) return;
    settle_claimed(container, claim, recorded_exit(*container->record(), 128 + SIGKILL, SIGKILL));
}

void Containers::Impl::settle_exit(const std::shared_ptr<Container>& container,
                                   const std::shared_ptr<ShimLink>& expected,
                                   const shim::ExitRecord& exit) {
    Container::Claim claim(container);
    if (!expected || container->link() == expected) settle_claimed(container, claim, exit);
}

void Containers::Impl::settle_claimed(const std::shared_ptr<Container>& container,
                                      Container::Claim& claim, const shim::ExitRecord& exit) {
    const auto link = container->link();
    Record record = claim.copy();
    if (!record.is_running()) return;
    if (link && !link->closed()) {
        ignore(link->post(shim::Forget{}), "it ends by itself after a while");
    }
    // The shim removes the cgroup; only a killed shim leaves it behind.
    if (!record.cgroup_path.empty()) remove_group(record.cgroup_path);
    release_run(record);
    const auto endpoints = endpoints_of(record);
    const std::optional<EndRequest> request = container->take_end_request();
    note_exit(record, exit, request);
    end_health(*container);
    container->set_link(nullptr);
    if (container_ended) container_ended(record.id);

    const bool again =
        !stopping && ((request && request->start_again) ||
                      wants_restart(record.host_config.restart_policy, record.exit_code,
                                    record.stopped_by_user, record.restart_count));
    record.status = again ? "restarting" : "exited";
    if (again) ++record.restart_count;
    const bool goes = record.host_config.auto_remove && !again && !(request && request->keep);
    const auto saved = goes ? Result<void>() : save(claim, record);
    // The truth about the process is the kernel's, not the table's: go on in memory.
    if (!saved) LOG_ERROR("record the exit of {}: {}", record.id, saved.error().message);
    if (goes || !saved) claim.publish(record);
    publish_event(record, "die", die_attributes(record));
    container->end_run();
    for (const auto& endpoint : endpoints) publish_network_event(endpoint, "disconnect");
    publish_mounts(record.id, record.mounts, Mounts::Gone);
    if (goes) tell_waiters(*container, record);
    // Its record of the exit was needed until the table had it. Before the container goes: what is
    // left of one that nobody knows is a fault.
    remove_bundle(record);
    if (goes) {
        const auto removed = remove_claimed(claim, RemoveVolumes::Yes);
        if (!removed) LOG_ERROR("remove container {}: {}", record.id, removed.error().message);
    }
    if (again) {
        plan_restart(container, container->backoff().next(duration_of(record)));
    } else if (!goes) {
        tell_waiters(*container, record);
    }
}

void Containers::Impl::tell_waiters(Container& container, const Record& record) const {
    api::WaitResponse response;
    response.status_code = record.exit_code;
    if (!record.error.empty()) response.error = api::WaitExitError{record.error};
    container.finish_waiters(response, false);
}

// ---- restarts ----

void Containers::Impl::plan_restart(const std::shared_ptr<Container>& container,
                                    std::chrono::milliseconds wait) {
    if (!recovered) return;  // start_at_boot() does
    const std::uint64_t number = container->next_restart();
    later(container, wait, [this, number](const auto& alive) { start_again(alive, number); });
}

void Containers::Impl::start_again(const std::shared_ptr<Container>& container,
                                   std::uint64_t number) {
    Container::Claim claim(container);
    if (container->record()->status != "restarting" || !container->is_restart(number)) return;
    if (stopping) return;  // the next engine does
    Record attempt = claim.copy();
    const auto started = run(container, claim, attempt);
    if (started) return;
    LOG_WARN("restart of container {}: {}", attempt.id, started.error().message);
    // A start that fails is a run that failed at once.
    Record record = claim.copy();
    note_failed_start(record, attempt, started.error());
    const bool again = wants_restart(record.host_config.restart_policy, record.exit_code,
                                     record.stopped_by_user, record.restart_count);
    if (again) {
        ++record.restart_count;
    } else {
        record.status = "exited";
    }
    ignore(save(claim, record), "the state in memory counts; the next start of an engine tries");
    if (again) {
        plan_restart(container, container->backoff().next({}));
    } else {
        tell_waiters(*container, record);
    }
}

Result<bool> Containers::Impl::end_restarts(const std::shared_ptr<Container>& container,
                                            const EndRequest& request) {
    if (container->record()->status != "restarting") return false;
    Container::Claim claim(container);
    Record record = claim.copy();
    if (record.status != "restarting") return false;  // it was started meanwhile
    container->next_restart();
    record.status = "exited";
    record.stopped_by_user = true;
    record.ended_by = format("{} by {}", request.action, request.by);
    TRY(save(claim, record));
    tell_waiters(*container, record);
    return true;
}

}  // namespace coffer::engine
