#include "engine/execs.hpp"

#include <chrono>
#include <csignal>
#include <map>

#include "base/id.hpp"
#include "engine/containers_impl.hpp"
#include "oci/runtime_spec.hpp"

namespace coffer::engine {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kKept = std::chrono::minutes(5);  // an exec that is over, as dockerd keeps it
constexpr int kKilled = 128 + SIGKILL;           // together with its container

struct Exec {
    std::string id;
    std::shared_ptr<Container> container;
    api::ExecCreateRequest request;
    bool started = false;
    bool running = false;
    std::optional<int> exit_code;
    int pid = 0;
    std::optional<Clock::time_point> over;  // of it, or of its container

    void end(int code) {
        running = false;
        exit_code = code;
        over = Clock::now();
    }
};

}  // namespace

struct Execs::Impl {
    Core& core;
    Containers::Impl& containers;
    Sync<std::map<std::string, Exec>> execs;

    Result<Exec> find(const std::string& id) {
        auto locked = execs.lock();
        const auto found = locked->find(id);
        if (found == locked->end()) return fail(Code::NotFound, "No such exec instance: {}", id);
        return found->second;
    }
};

Execs::Execs(Core& core, Containers& containers) : impl_(new Impl{core, containers.impl(), {}}) {
    containers.impl().exec_ended = [impl = impl_.get()](const std::string& id, int exit_code) {
        std::shared_ptr<Container> container;
        {
            auto locked = impl->execs.lock();
            const auto found = locked->find(id);
            if (found == locked->end()) return;
            found->second.end(exit_code);
            container = found->second.container;
        }
        impl->containers.publish_event(*container->record(), "exec_die",
                                       {{"execID", id}, {"exitCode", std::to_string(exit_code)}});
    };
    containers.impl().container_ended = [impl = impl_.get()](const std::string& container_id) {
        auto locked = impl->execs.lock();
        // Who waited for one may have ended the container by it, and still asks for its status.
        for (auto& [id, exec] : *locked) {
            if (exec.over || exec.container->id() != container_id) continue;
            exec.end(exec.exit_code.value_or(kKilled));
        }
    };
}

Execs::~Execs() {
    impl_->containers.exec_ended = nullptr;
    impl_->containers.container_ended = nullptr;
}

Result<std::string> Execs::create(const std::string& name, const api::ExecCreateRequest& request) {
    if (request.cmd.empty()) return fail(Code::InvalidArgument, "No exec command specified");
    const auto container = TRY(impl_->containers.find(name));
    const auto record = container->record();
    if (record->status == "paused") {
        return fail(Code::Conflict, "container {} is paused, unpause the container before exec",
                    name);
    }
    if (record->status == "restarting") return fail_restarting(*record);
    if (!record->is_up()) return fail(Code::Conflict, "container {} is not running", record->id);
    Exec exec;
    exec.id = random_id();
    exec.container = container;
    exec.request = request;
    const std::string id = exec.id;
    {
        auto locked = impl_->execs.lock();
        std::erase_if(*locked, [](const auto& entry) {
            return entry.second.over && Clock::now() - *entry.second.over > kKept;
        });
        locked->emplace(id, std::move(exec));
    }
    impl_->containers.publish_event(*record, "exec_create: " + join(request.cmd, " "),
                                    {{"execID", id}});
    return id;
}

Result<bool> Execs::prepare_start(const std::string& id, const api::ExecStartRequest&) const {
    const Exec exec = TRY(impl_->find(id));
    const auto record = exec.container->record();
    if (exec.started) return fail(Code::Conflict, "exec command {} is already running", id);
    if (!record->is_running()) {
        return fail(Code::Conflict, "container {} is not running", record->id);
    }
    if (record->status == "paused") {
        return fail(Code::Conflict, "container {} is paused, unpause the container before exec",
                    record->id);
    }
    return exec.request.tty;
}

Failure exec_failure(Code code, const shim::Reply& reply) {
    return fail(code, "OCI runtime exec failed: exec failed: unable to start container process: {}",
                reply.message);
}

Result<void> Execs::start(const std::string& id, const api::ExecStartRequest& request,
                          sys::Fd connection, std::string early) {
    {
        auto locked = impl_->execs.lock();
        const auto found = locked->find(id);
        if (found == locked->end()) return fail(Code::NotFound, "No such exec instance: {}", id);
        if (found->second.started) {
            return fail(Code::Conflict, "exec command {} is already running", id);
        }
        // Running from now on: an exit that overtakes the reply clears it again.
        found->second.started = true;
        found->second.running = true;
    }
    const Exec exec = TRY(impl_->find(id));
    const auto record = exec.container->record();
    const auto run = [&]() -> Result<void> {
        const auto link = exec.container->link();
        if (!link) return fail(Code::Conflict, "container {} is not running", record->id);
        const Rights rights = TRY(rights_of(record->host_config, impl_->core.settings.level));
        const auto filter = TRY(impl_->containers.seccomp_filter(rights));
        ExecInputs inputs{
            .record = *record, .rights = rights, .args = exec.request.cmd, .env = exec.request.env};
        inputs.cwd = exec.request.working_dir;
        inputs.tty = exec.request.tty;
        const auto& size = request.console_size ? request.console_size : exec.request.console_size;
        if (size && size->size() == 2) inputs.console_size = oci::Box{(*size)[0], (*size)[1]};

        shim::Exec message;
        message.exec_id = id;
        message.process = json::encode(build_exec_process(inputs));
        message.user = exec.request.user.empty() ? record->config.user : exec.request.user;
        message.groups = record->host_config.group_add;
        message.open_stdin = exec.request.attach_stdin;
        std::vector<int> fds;
        if (*filter) {
            message.has_seccomp = true;
            fds.push_back(filter->get());
        }
        if (connection) {
            shim::Client client;
            client.use_stdin = exec.request.attach_stdin;
            client.use_stdout = exec.request.attach_stdout;
            client.use_stderr = exec.request.attach_stderr;
            client.detach_keys = exec.request.detach_keys;
            client.early = std::move(early);
            message.client = std::move(client);
            fds.push_back(connection.get());
        }
        // Told before, as docker does: nothing may come after its end.
        impl_->containers.publish_event(*record, "exec_start: " + join(exec.request.cmd, " "),
                                        {{"execID", id}});
        const shim::Reply reply = TRY(link->request(std::move(message), fds));
        auto locked = impl_->execs.lock();
        const auto found = locked->find(id);
        if (!reply.ok) {
            if (found != locked->end()) found->second.end(reply.code);
            const Code code =
                reply.code == 126 || reply.code == 127 ? Code::InvalidArgument : Code::Internal;
            return exec_failure(code, reply);
        }
        if (found != locked->end()) found->second.pid = reply.pid;
        return {};
    };
    auto started = run();
    if (!started) {
        auto locked = impl_->execs.lock();
        const auto found = locked->find(id);
        if (found != locked->end())
            found->second.end(found->second.exit_code.value_or(kStartFailed));
    }
    return started;
}

Result<void> Execs::resize(const std::string& id, unsigned height, unsigned width) {
    const Exec exec = TRY(impl_->find(id));
    const auto link = exec.container->link();
    if (!exec.running || !link) return fail(Code::Conflict, "exec {} is not running", id);
    shim::Resize request;
    request.exec_id = id;
    request.rows = static_cast<std::uint16_t>(std::min(height, 65535U));
    request.columns = static_cast<std::uint16_t>(std::min(width, 65535U));
    const auto reply = TRY(link->request(request));
    if (!reply.ok) return fail(Code::Internal, "resize exec: {}", reply.message);
    return {};
}

Result<api::ExecInspect> Execs::inspect(const std::string& id) const {
    Exec exec = TRY(impl_->find(id));
    if (const auto link = exec.container->link(); exec.running && link) {
        // A client whose streams have ended asks for the status. The shim told us before it closed
        // them, but that may still be unread: an answer to a signal that does nothing comes after.
        ignore(link->request(shim::Signal{.exec_id = id}), "an exec that has ended has no process");
        exec = TRY(impl_->find(id));
    }
    api::ExecInspect view;
    view.id = exec.id;
    view.running = exec.running;
    if (exec.exit_code) view.exit_code = *exec.exit_code;
    view.process_config.tty = exec.request.tty;
    view.process_config.entrypoint = exec.request.cmd.front();
    view.process_config.arguments.assign(exec.request.cmd.begin() + 1, exec.request.cmd.end());
    view.process_config.privileged = exec.request.privileged;
    view.process_config.user = exec.request.user;
    view.open_stdin = exec.request.attach_stdin;
    view.open_stdout = exec.request.attach_stdout;
    view.open_stderr = exec.request.attach_stderr;
    view.container_id = exec.container->id();
    view.pid = exec.pid;
    return view;
}

}  // namespace coffer::engine
