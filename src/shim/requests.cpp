// The supervisor's answers to the engine's requests.

#include <fcntl.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "oci/runtime_spec.hpp"
#include "runtime/delegation.hpp"
#include "runtime/exec.hpp"
#include "runtime/live_mounts.hpp"
#include "runtime/resources.hpp"
#include "shim/probe.hpp"
#include "shim/supervisor.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/signal.hpp"

namespace coffer::shim {

namespace {

constexpr std::size_t kLargestSpec = 16U << 20U;
constexpr std::size_t kLargestCapture = 4096;
constexpr std::size_t kLargestFilter = 1U << 20U;
constexpr auto kSettled = std::chrono::milliseconds(500);  // after a start, or a short run's end
constexpr int kDefaultOomScore = 0;                        // not ours, which a child would inherit

// The descriptors of a request, in the order that the protocol names.
class Passed {
  public:
    explicit Passed(std::vector<sys::Fd> fds) : fds_(std::move(fds)) {}
    Result<void> expect(std::size_t count) const {
        if (fds_.size() == count) return {};
        return fail(Code::InvalidArgument, "{} descriptors came with a request for {}", fds_.size(),
                    count);
    }
    sys::Fd next() { return std::move(fds_[taken_++]); }
    sys::Fd next_if(bool there) { return there ? next() : sys::Fd(); }

  private:
    std::vector<sys::Fd> fds_;
    std::size_t taken_ = 0;
};

Result<std::string> read_filter(const sys::Fd& file) {
    if (!file) return std::string();
    if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("rewind the seccomp filter");
    return TRY_CONTEXT(sys::read_all(file.get(), kLargestFilter), "read the seccomp filter");
}

}  // namespace

void Supervisor::on_request(const Envelope& envelope, std::vector<sys::Fd> fds) {
    const bool starts = std::holds_alternative<Start>(envelope.request);
    const Result<int> done = std::visit(
        [&](const auto& request) { return serve(request, std::move(fds)); }, envelope.request);
    Reply reply;
    reply.seq = envelope.seq;
    reply.ok = done.has_value();
    if (done) {
        reply.pid = *done;
        if (std::holds_alternative<Attach>(envelope.request)) reply.time = to_rfc3339(now());
    } else {
        reply.code = runtime::exit_status_of(done.error());
        reply.message = done.error().message;
    }
    control_.send(reply);
    // A shim without a container is of no use.
    if (starts && !done) reactor_.stop();
    if (std::holds_alternative<Forget>(envelope.request)) forget();
}

Result<Supervisor::Session*> Supervisor::find(const std::string& exec_id) {
    if (state_ != State::Running) return fail(Code::Conflict, "the container is not running");
    if (exec_id.empty()) return &init_;
    const auto found = execs_.find(exec_id);
    if (found == execs_.end() || found->second.exit_code) {
        return fail(Code::NotFound, "no exec '{}' is running", exec_id);
    }
    return &found->second;
}

Result<int> Supervisor::serve(const Start& request, std::vector<sys::Fd> fds) {
    if (state_ != State::Empty) return fail(Code::Conflict, "the container has been started");
    TRY(start_container(request, std::move(fds)));
    // What the spec and the start took is not needed again.
    reactor_.after(kSettled, [] {
        ::malloc_trim(0);
        sys::release_code_pages();
    });
    return init_.pid;
}

Result<void> Supervisor::open_log(const logs::Setup& setup) {
    if (setup.path.empty() && setup.remote.empty()) return {};
    logs::Log::Events events;
    events.notice = [this](const std::string& text) { control_.send(LogNotice{text}); };
    events.room = [this] {
        if (init_.io) init_.io->log_has_room();
    };
    events.drained = [this] { end_if_over(); };
    log_ = TRY(logs::Log::open(reactor_, setup, std::move(events)));
    return {};
}

Result<void> Supervisor::start_container(const Start& request, std::vector<sys::Fd> fds) {
    Passed passed(std::move(fds));
    std::size_t expected = request.clients.size();
    for (const bool has : {request.has_userns, request.has_netns, request.has_pidns,
                           request.has_ipcns, request.has_shm, request.has_seccomp}) {
        if (has) ++expected;
    }
    TRY(passed.expect(expected));
    const sys::Fd userns = passed.next_if(request.has_userns);
    const sys::Fd netns = passed.next_if(request.has_netns);
    const sys::Fd pidns = passed.next_if(request.has_pidns);
    const sys::Fd ipcns = passed.next_if(request.has_ipcns);
    const sys::Fd shm = passed.next_if(request.has_shm);
    const sys::Fd filter = passed.next_if(request.has_seccomp);

    const std::string config = TRY(sys::read_file(bundle_ + "/config.json", kLargestSpec));
    oci::Spec spec = TRY_CONTEXT(json::decode<oci::Spec>(config), "read config.json");
    if (!spec.process || !spec.linux) {
        return fail(Code::InvalidArgument, "config.json has no process or no linux part");
    }
    const bool terminal = spec.process->terminal;
    if (!spec.process->oom_score_adj) spec.process->oom_score_adj = kDefaultOomScore;
    TRY_CONTEXT(open_log(request.log), "failed to initialize logging driver");
    if (!spec.linux->cgroups_path.empty()) {
        const sys::cgroup::Limits limits = TRY(runtime::limits_of(spec));
        cgroup_ = TRY(sys::cgroup::Cgroup::create(spec.linux->cgroups_path, limits));
        TRY(runtime::delegate_cgroup(spec, cgroup_));
        TRY(watch_oom());
    }
    Io::Options streams;
    streams.terminal = terminal;
    streams.open_stdin = request.open_stdin;
    streams.stdin_once = request.stdin_once;
    streams.log = log_.get();
    streams.detached = [this] { control_.send(Detached{}); };
    streams.drained = [this] { announce_exit(); };
    streams.abandoned = [this] { end_if_over(); };
    init_.io = std::make_unique<Io>(reactor_, std::move(streams));

    runtime::CreateOptions options;
    options.id = request.id;
    options.bundle = bundle_;
    if (!request.lower_dirs.empty()) options.overlay = {request.lower_dirs, request.upper_dir};
    options.user = request.user;
    options.groups = request.groups;
    options.userns_fd = userns.get();
    options.netns_fd = netns.get();
    options.pidns_fd = pidns.get();
    options.ipcns_fd = ipcns.get();
    options.shm_mount_ns_fd = shm.get();
    options.stdio = TRY(init_.io->make_pipes());
    options.cgroup = cgroup_ ? &cgroup_ : nullptr;
    options.die_with_parent = true;
    options.seccomp_bpf = TRY(read_filter(filter));
    TRY(control_.listen(bundle_ + "/shim.sock"));
    runtime::Created created = TRY(runtime::create(spec, options));
    // Killed and reaped with the scope, until it is the container's init.
    sys::Process process(created.pid, std::move(created.pidfd));
    TRY(init_.io->begin(std::move(created.console)));
    for (const Client& client : request.clients) TRY(init_.io->attach(passed.next(), {}, client));
    TRY(runtime::start(created));
    init_.pid = process.pid();
    init_.pidfd = process.take_pidfd();
    started_at_ = to_rfc3339(now());
    state_ = State::Running;
    return {};
}

Result<int> Supervisor::serve(const Attach& request, std::vector<sys::Fd> fds) {
    Passed passed(std::move(fds));
    TRY(passed.expect(request.client.gated ? 2 : 1));
    const Session* session = TRY(find(request.exec_id));
    sys::Fd socket = passed.next();
    TRY(session->io->attach(std::move(socket), passed.next_if(request.client.gated),
                            request.client));
    return 0;
}

Result<void> Supervisor::check_new_exec(const std::string& exec_id) const {
    if (state_ != State::Running) return fail(Code::Conflict, "the container is not running");
    if (exec_id.empty() || execs_.contains(exec_id)) {
        return fail(Code::Conflict, "exec '{}' exists", exec_id);
    }
    return {};
}

Io::Options Supervisor::exec_streams(const std::string& id) {
    Io::Options streams;
    streams.seen = [this, id](std::string_view bytes) { capture_output(id, bytes); };
    streams.detached = [this, id] { control_.send(Detached{id}); };
    streams.drained = [this, id] { announce_exec(id, execs_.at(id)); };
    streams.abandoned = [this, id] {
        execs_.erase(id);
        end_if_over();
    };
    return streams;
}

void Supervisor::capture_output(const std::string& id, std::string_view bytes) {
    Session& session = execs_.at(id);
    const std::size_t room = session.capture - session.captured.size();
    session.captured += bytes.substr(0, room);
    if (bytes.size() > room) session.cut = true;
}

Result<int> Supervisor::serve(const Probe& request, const std::vector<sys::Fd>&) {
    const std::string& id = request.exec_id;
    TRY(check_new_exec(id));
    Session session;
    session.capture = kLargestCapture;
    session.io = std::make_unique<Io>(reactor_, exec_streams(id));
    const runtime::Stdio stdio = TRY(session.io->make_pipes());
    sys::Cloned cloned = TRY(clone_probe(request, init_.pidfd.get(), stdio.out));
    session.pid = cloned.pid;
    session.pidfd = std::move(cloned.pidfd);
    Session& running = execs_.emplace(id, std::move(session)).first->second;
    TRY(running.io->begin({}));
    return running.pid;
}

Result<int> Supervisor::serve(const Exec& request, std::vector<sys::Fd> fds) {
    Passed passed(std::move(fds));
    TRY(passed.expect((request.has_seccomp ? 1U : 0U) + (request.client ? 1U : 0U)));
    const sys::Fd filter = passed.next_if(request.has_seccomp);
    const std::string& id = request.exec_id;
    TRY(check_new_exec(id));
    auto process = TRY_CONTEXT(json::decode<oci::Process>(request.process), "read process");
    if (!process.oom_score_adj) process.oom_score_adj = kDefaultOomScore;

    Io::Options streams = exec_streams(id);
    streams.terminal = process.terminal;
    streams.open_stdin = request.open_stdin;
    streams.stdin_once = true;
    streams.keep_output = request.client.has_value() || request.capture > 0;
    Session session;
    session.capture =
        static_cast<std::size_t>(std::clamp<std::int64_t>(request.capture, 0, kLargestCapture));
    session.io = std::make_unique<Io>(reactor_, std::move(streams));
    runtime::ExecOptions options;
    options.stdio = TRY(session.io->make_pipes());
    options.cgroup = cgroup_ ? &cgroup_ : nullptr;
    options.die_with_parent = true;
    options.seccomp_bpf = TRY(read_filter(filter));
    options.user = request.user;
    options.groups = request.groups;
    runtime::Executed executed = TRY(runtime::exec(init_.pidfd.get(), process, options));
    session.pid = executed.pid;
    session.pidfd = std::move(executed.pidfd);
    // It runs: from here on what fails concerns its streams only.
    Session& running = execs_.emplace(id, std::move(session)).first->second;
    TRY(running.io->begin(std::move(executed.console)));
    if (request.client) TRY(running.io->attach(passed.next(), {}, *request.client));
    ::malloc_trim(0);
    return running.pid;
}

Result<int> Supervisor::serve(const Resize& request, const std::vector<sys::Fd>&) {
    const Session* session = TRY(find(request.exec_id));
    TRY(session->io->resize(request.rows, request.columns));
    return 0;
}

Result<int> Supervisor::serve(const Signal& request, const std::vector<sys::Fd>&) {
    const Session* session = TRY(find(request.exec_id));
    if (request.all && !request.exec_id.empty()) {
        // It leads its group, and is not reaped yet: the number is its own.
        if (::kill(-session->pid, request.number) != 0) return fail_errno("signal the exec");
    } else if (!request.all || !cgroup_) {
        TRY(sys::signals::send(session->pidfd.get(), request.number));
    } else if (request.number == SIGKILL) {
        TRY(cgroup_.kill_all());
    } else {
        TRY(cgroup_.signal_all(request.number));
    }
    return 0;
}

Result<int> Supervisor::serve(const Forget&, const std::vector<sys::Fd>&) {
    return 0;
}

Result<int> Supervisor::serve(const LogLimits& request, const std::vector<sys::Fd>&) {
    if (log_) log_->set_limits(request.max_size, request.max_files);
    return 0;
}

Result<int> Supervisor::serve(const Mounts& request, const std::vector<sys::Fd>&) {
    if (state_ != State::Running) return fail(Code::Conflict, "the container is not running");
    TRY(runtime::change_mounts(
        init_.pidfd.get(),
        {.remove = request.remove, .add = request.add, .settle = request.settle}));
    return 0;
}

}  // namespace coffer::shim
