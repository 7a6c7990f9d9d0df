#include "shim/supervisor.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.hpp"
#include "sys/file.hpp"
#include "sys/signal.hpp"

namespace coffer::shim {

namespace {

constexpr auto kEngineLimit = std::chrono::seconds(10);  // for the engine to take note of the end

}  // namespace

Supervisor::Supervisor(sys::Reactor& reactor, std::string bundle)
    : reactor_(reactor),
      bundle_(std::move(bundle)),
      control_(reactor, {.hello = [this] { return hello(); },
                         .request =
                             [this](const Envelope& envelope, std::vector<sys::Fd> fds) {
                                 on_request(envelope, std::move(fds));
                             },
                         .closed = [this] { end_if_over(); }}) {}

Result<void> Supervisor::run(sys::Fd connection) {
    // The others must not end us: the container's fate is the engine's to decide.
    const sys::Fd signals =
        TRY(sys::signals::as_descriptor({SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}));
    TRY(reactor_.add(signals.get(), sys::kReadable, [&](std::uint32_t) {
        if (sys::signals::take(signals.get()) == SIGCHLD) on_children();
    }));
    TRY(control_.take_over(std::move(connection)));
    return reactor_.run();
}

Hello Supervisor::hello() const {
    Hello hello;
    hello.state = state_;
    hello.pid = init_.pid;
    hello.started_at = started_at_;
    hello.exit = exit_;
    for (const auto& [id, session] : execs_) {
        if (!session.exit_code) hello.execs.push_back({id, session.pid});
    }
    return hello;
}

// ---- the end of processes ----

void Supervisor::on_children() {
    for (;;) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0 || info.si_pid == 0) return;
        const int signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        const int code = signal == 0 ? info.si_status : 128 + signal;
        if (info.si_pid == init_.pid) {
            on_exit({}, init_, code, signal);
            continue;
        }
        // Whom nobody knows is an orphan that came to us: reaped, and that is all.
        for (auto& [id, session] : execs_) {
            if (session.pid == info.si_pid) on_exit(id, session, code, signal);
        }
    }
}

void Supervisor::on_exit(const std::string& exec_id, Session& session, int code, int signal) {
    session.exit_code = code;
    if (exec_id.empty()) {
        if (oom_events_) on_oom();  // of the kill that this end may be: told first
        ExitRecord record;
        record.exit_code = code;
        record.signal = signal;
        if (cgroup_) record.oom_kills = static_cast<int>(cgroup_.oom_kills().value_or(0));
        record.oom_killed = record.oom_kills > 0;
        record.finished_at = to_rfc3339(now());
        const auto written =
            sys::replace_file(bundle_ + "/exit.json", encode(record), 0600, sys::Flush::No);
        if (!written) LOG_ERROR("exit record: {}", written.error().message);
        exit_ = record;
        state_ = State::Exited;
        // With a process namespace of its own all have died with init; without, they die now.
        if (cgroup_ && !cgroup_.pids().value_or({}).empty()) {
            ignore(cgroup_.kill_all(), "removing the group tries again");
        }
    }
    session.io->finish();
}

void Supervisor::announce_exec(const std::string& exec_id, Session& session) {
    if (std::exchange(session.announced, true)) return;
    control_.send(ExecExited{exec_id, session.exit_code.value_or(128 + SIGKILL),
                             std::exchange(session.captured, {}), session.cut});
}

void Supervisor::announce_exit() {
    for (auto& [id, session] : execs_) announce_exec(id, session);
    if (oom_events_) reactor_.remove(oom_events_.get());
    oom_events_.reset();
    if (cgroup_) {
        const auto removed = cgroup_.remove();
        if (!removed) LOG_WARN("{}", removed.error().message);
    }
    if (log_) log_->finish();
    init_.announced = true;
    control_.send(Exited{*exit_});
    reactor_.after(kEngineLimit, [this] { forget(); });
    end_if_over();
}

void Supervisor::forget() {
    forgotten_ = true;
    end_if_over();
}

void Supervisor::end_if_over() {
    if (state_ == State::Empty && !control_.is_connected()) return reactor_.stop();
    if (state_ != State::Exited || !init_.announced) return;
    if (!forgotten_ && control_.is_connected()) return;
    // Its name may be wanted by the next shim of the same container.
    control_.stop_listening();
    const bool has_readers = (init_.io && init_.io->has_clients()) ||
                             std::any_of(execs_.begin(), execs_.end(), [](const auto& exec) {
                                 return exec.second.io->has_clients();
                             });
    if (!has_readers && (!log_ || log_->is_drained())) reactor_.stop();
}

// ---- out of memory ----

Result<void> Supervisor::watch_oom() {
    oom_events_ = TRY(cgroup_.oom_events());
    if (!oom_events_) return {};
    return reactor_.add(oom_events_.get(), sys::kReadable, [this](std::uint32_t) { on_oom(); });
}

void Supervisor::on_oom() {
    std::array<char, 4096> events;
    while (::read(oom_events_.get(), events.data(), events.size()) > 0) {
    }
    const std::uint64_t kills = cgroup_.oom_kills().value_or(0);
    if (kills > oom_kills_) control_.send(Oom{});
    oom_kills_ = std::max(oom_kills_, kills);
}

}  // namespace coffer::shim
