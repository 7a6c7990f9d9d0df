// The life of a start: sandbox, network, files, spec, shim. Each step registers its undoing; the
// container's claim is held throughout, no lock is.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/rollback.hpp"
#include "engine/cdi.hpp"
#include "engine/containers_impl.hpp"
#include "engine/images.hpp"
#include "engine/logging.hpp"
#include "engine/secrets.hpp"
#include "network/networks.hpp"
#include "network/sandbox.hpp"
#include "oci/runtime_spec.hpp"
#include "runtime/seccomp_cache.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "sys/host.hpp"
#include "sys/memfd.hpp"

namespace coffer::engine {

namespace {

// The words clients look for; docker's CLI turns them into its exit status.
Failure start_failure(const shim::Reply& reply) {
    const Code code =
        reply.code == 126 || reply.code == 127 ? Code::InvalidArgument : Code::Internal;
    constexpr std::string_view kLog = "failed to initialize logging driver";
    return fail(code, "failed to create task for container: {}{}",
                reply.message.starts_with(kLog) ? "" : "unable to start container process: ",
                reply.message);
}

}  // namespace

Result<std::shared_ptr<sys::Fd>> Containers::Impl::seccomp_filter(const Rights& rights) {
    if (rights.no_seccomp) return std::make_shared<sys::Fd>();
    const std::string key = format("{} {} {}", security::name_of(rights.level),
                                   join(rights.capabilities, ","), rights.seccomp_profile);
    {
        auto known = filters.lock();
        const auto found = known->find(key);
        if (found != known->end()) return found->second;
    }
    const oci::LinuxSeccomp profile =
        TRY(rights.seccomp_profile.empty()
                ? security::default_seccomp(rights.level, rights.capabilities)
                : security::parse_seccomp(rights.seccomp_profile, rights.capabilities));
    const std::string bytes =
        TRY(runtime::cached_filter(core.store.paths().root() + "/seccomp", profile));
    auto filter = std::make_shared<sys::Fd>(TRY(sys::sealed_memfd("seccomp", bytes)));
    (*filters.lock())[key] = filter;
    return filter;
}

Result<ImageLayers> Containers::Impl::image_layers(const Record& record) const {
    ImageLayers layers;
    for (const MountRecord& mount : record.mounts) {
        if (mount.type != "image") continue;
        layers[mount.chain_id] = TRY_CONTEXT(core.store.layers().lower_dirs(mount.chain_id),
                                             "image '{}' on '{}'", mount.source, mount.target);
    }
    return layers;
}

void Containers::Impl::release_run(const Record& record) {
    unmount_volumes(record.id, record.mounts);
    core.networks.stop_names(record.id);
    for (const auto& endpoint : endpoints_of(record)) core.networks.release(endpoint);
    if (record.id_base != 0) core.sandboxes.release(record.id_base);
}

void Containers::Impl::remove_bundle(const Record& record) const {
    unmount_secrets(bundle(record) + "/secrets");
    ignore(sys::remove_tree(bundle(record)), "swept at the next start");
}

Result<void> Containers::Impl::run(const std::shared_ptr<Container>& container,
                                   Container::Claim& claim, Record& record) {
    core.images.touch(record.image_id);
    Rollback undo;
    const Rights rights = TRY(rights_of(record.host_config, core.settings.level));
    const auto filter = TRY(seccomp_filter(rights));
    Joined joined = TRY(join_others(record));
    network::Sandbox sandbox =
        TRY(joined.userns ? core.sandboxes.join(std::move(joined.userns), joined.id_base)
                          : core.sandboxes.take());
    record.id_base = sandbox.id_base;
    TRY(undo.add([&] { core.sandboxes.release(record.id_base); }));

    TRY(mount_volumes(record.id, record.mounts, undo));
    const auto turn = TRY(fills.wait(record.mounts, record.started_at == api::kZeroTime));
    SpecInputs inputs{.record = record, .rights = rights};
    inputs.id_base = record.id_base;
    inputs.files = folder(record);
    inputs.cgroup_path = format("{}/{}",
                                record.host_config.resources.cgroup_parent.empty()
                                    ? core.settings.cgroup_parent
                                    : record.host_config.resources.cgroup_parent,
                                record.id);
    inputs.image_layers = TRY(image_layers(record));
    inputs.host_network = record.host_config.network_mode == "host";
    if (record.host_config.init.value_or(core.settings.init)) {
        inputs.init = core.settings.init_program;
    }
    const auto& device_requests = record.host_config.resources.device_requests;
    const auto device_names = TRY(cdi_names(device_requests, core.settings.cdi_folders));
    inputs.devices = TRY(cdi_edits(device_names, core.settings.cdi_folders));
    inputs.pid_mode = joined.pid_mode;
    inputs.ipc_mode = joined.ipc_mode;
    inputs.joins_ipc = bool(joined.ipcns);
    inputs.host_memory = sys::total_memory();
    record.cgroup_path = inputs.cgroup_path;

    std::vector<network::Endpoint> endpoints;
    const int netns = joined.netns ? joined.netns.get() : sandbox.netns.get();
    if (joined.network_owner) {
        const auto theirs = joined.network_owner->record();
        record.network_container = theirs->id;
        for (const char* name : {"hosts", "resolv.conf", "hostname"}) {
            const std::string text = TRY(sys::read_file(format("{}/{}", folder(*theirs), name)));
            TRY(sys::write_file(format("{}/{}", folder(record), name), text, 0644));
        }
        if (record.host_config.uts_mode != "host") {
            record.config.hostname = theirs->config.hostname;
        }
    } else {
        if (!inputs.host_network) endpoints = TRY(connect_all(record, netns, undo));
        TRY(write_network_files(record, endpoints));
    }
    record.endpoints = encode_all(endpoints);

    oci::Spec spec = TRY(build_spec(inputs));
    const std::string path = bundle(record);
    TRY(sys::make_dirs(path, 0700));
    TRY(undo.add([&] { remove_bundle(record); }));
    TRY(mount_secrets_of(record, spec.mounts));
    TRY(sys::write_file(path + "/config.json", json::encode(spec)));

    std::weak_ptr<Container> weak = container;
    auto link = TRY(core.shims.spawn(path, [this, weak](const shim::FromShim* message) {
        if (const auto alive = weak.lock()) on_shim(alive, message);
    }));
    bool shim_ends = false;  // a shim that could not start its container has cleaned up
    TRY(undo.add([&] {
        if (shim_ends) return;
        ignore(link->kill_shim(), "it may have ended by itself");
        auto cgroup = sys::cgroup::Cgroup::open(record.cgroup_path);
        if (cgroup) ignore(cgroup->remove(), "taken over by the next start");
    }));
    shim::Start request;
    request.id = record.id;
    request.lower_dirs = TRY(core.store.layers().lower_dirs(record.chain_id));
    request.upper_dir = folder(record);
    request.user = record.config.user;
    request.groups = record.host_config.group_add;
    for (const std::uint32_t gid : inputs.devices.additional_gids) {
        request.groups.push_back(std::to_string(gid));
    }
    request.log = TRY_CONTEXT(log_setup(core.settings, record, folder(record)),
                              "failed to create task for container");
    if (request.log.is_local) {
        TRY(sys::make_dirs(request.log.path.substr(0, request.log.path.rfind('/')), 0700));
    }
    request.open_stdin = record.config.open_stdin;
    request.stdin_once = record.config.stdin_once;
    std::vector<int> fds = {sandbox.userns.get()};
    request.has_userns = true;
    if (!inputs.host_network) {
        request.has_netns = true;
        fds.push_back(netns);
    }
    const bool own_shm = std::any_of(record.mounts.begin(), record.mounts.end(),
                                     [](const auto& m) { return m.target == "/dev/shm"; });
    struct Shared {
        const sys::Fd& fd;
        bool& flag;
        bool wanted;
    };
    for (const Shared& shared : {Shared{joined.pidns, request.has_pidns, true},
                                 Shared{joined.ipcns, request.has_ipcns, true},
                                 Shared{joined.mounts, request.has_shm, !own_shm}}) {
        shared.flag = shared.fd && shared.wanted;
        if (shared.flag) fds.push_back(shared.fd.get());
    }
    if (*filter) {
        request.has_seccomp = true;
        fds.push_back(filter->get());
    }
    std::vector<PendingClient> pending = container->take_pending();
    std::vector<PendingClient> late;
    for (PendingClient& client : pending) {
        if (request.clients.size() == shim::kMaxClientsOnStart) {
            late.push_back(std::move(client));
            continue;
        }
        request.clients.push_back(client.client);
        fds.push_back(client.connection.get());
    }
    const shim::Reply reply = TRY(link->request(std::move(request), fds, ShimLink::kStartLimit));
    unmount_secrets(path + "/secrets");  // the container has them
    if (!reply.ok) {
        shim_ends = true;
        record.exit_code = reply.code;
        return start_failure(reply);
    }
    for (PendingClient& client : late) {
        const int fd[] = {client.connection.get()};
        const auto attached =
            link->request(shim::Attach{.exec_id = "", .client = client.client}, fd);
        if (!attached) LOG_WARN("attach to {}: {}", record.id, attached.error().message);
    }
    record.pid = reply.pid;
    record.status = "running";
    record.error.clear();
    record.exit_code = 0;
    record.oom_killed = false;
    record.stopped_by_user = false;
    record.exit_signal = 0;
    record.oom_kills = 0;
    record.ended_by.clear();
    record.unsettled_mounts.reset();
    record.started_at = to_rfc3339_short(now());
    container->begin_run();
    container->set_link(link);
    TRY(undo.add([&] { container->set_link(nullptr); }));
    TRY(save(claim, record));
    undo.commit();
    for (const network::Endpoint& endpoint : endpoints) publish_network_event(endpoint, "connect");
    publish_mounts(record.id, record.mounts, Mounts::Made);
    publish_event(record, "start");
    begin_health(container, HealthStart::Fresh);
    return {};
}

void note_failed_start(Record& record, const Record& attempt, const Error& error) {
    record.exit_code = attempt.exit_code == 0 ? kStartFailed : attempt.exit_code;
    record.error = error.message;
}

Result<void> Containers::Impl::start(const std::shared_ptr<Container>& container) {
    Container::Claim claim(container);
    Record record = claim.copy();
    if (container->removed()) return fail(Code::NotFound, "No such container: {}", record.id);
    if (stopping) return fail(Code::Unavailable, "the engine is ending");
    if (record.status == "paused") {
        return fail(Code::Conflict, "cannot start a paused container, try unpause instead");
    }
    if (record.is_up()) {
        return fail(Code::NotModified, "container {} is already running", record.id);
    }
    container->backoff().reset();
    record.restart_count = 0;
    const auto started = run(container, claim, record);
    if (started) return {};
    // The container stays as it was, with the reason on it; `run --rm` expects it gone.
    static_cast<void>(container->take_pending());
    Record failed = claim.copy();
    note_failed_start(failed, record, started.error());
    if (failed.host_config.auto_remove) {
        ignore(remove_claimed(claim, RemoveVolumes::Yes), "logged there");
    } else {
        ignore(save(claim, failed), "the start's own error matters more");
        tell_waiters(*container, failed);
    }
    return fail(started.error());
}

}  // namespace coffer::engine
