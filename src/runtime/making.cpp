#include "runtime/making.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "base/log.hpp"
#include "base/time.hpp"
#include "json/codec.hpp"
#include "runtime/delegation.hpp"
#include "runtime/hooks.hpp"
#include "runtime/resources.hpp"
#include "runtime/seccomp_cache.hpp"
#include "runtime/spec_check.hpp"
#include "runtime/terminal.hpp"
#include "sys/clone.hpp"
#include "sys/namespace.hpp"
#include "sys/netlink.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

namespace {

// systemd's "slice:prefix:name" is for a cgroup driver of its own.
Result<std::string> cgroup_path(const oci::Spec& spec, const std::string& id) {
    const std::string path = spec.linux ? spec.linux->cgroups_path : std::string();
    if (path.empty()) return "/coffer-oci/" + id;
    if (path.find(':') != std::string::npos) {
        return fail(Code::InvalidArgument,
                    "linux.cgroupsPath: the cgroup path '{}' is for --cgroup-manager systemd",
                    path);
    }
    return path;
}

State first_state(const ContainerRequest& request, const oci::Spec& spec) {
    State state;
    state.id = request.id;
    state.bundle = request.bundle;
    state.oci_version = spec.oci_version;
    state.created = to_rfc3339(now());
    state.annotations = spec.annotations;
    state.owner = ::getuid();
    if (spec.root) {
        state.rootfs = spec.root->path.starts_with('/') ? spec.root->path
                                                        : request.bundle + "/" + spec.root->path;
    }
    if (spec.linux && spec.linux->resources) state.resources = *spec.linux->resources;
    if (request.attended) {
        state.attendant = ::getpid();
        state.attendant_start_time = live_start_time(state.attendant).value_or(0);
    }
    return state;
}

[[noreturn]] void hold_in_child(void*) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
}

// A scope needs a process to begin with: one of ours, until the container's is in.
Result<void> make_scope(const Settings& settings, const sys::cgroup::Limits& limits,
                        Making& making) {
    State& state = making.state;
    const systemd::Bus bus = bus_of(settings);
    const systemd::Scope scope =
        TRY(systemd::parse_path(making.spec.linux->cgroups_path, state.id, bus));
    state.systemd_unit = scope.unit;
    TRY(making.folder.save(state));
    sys::Cloned cloned = TRY(sys::clone_process({}, hold_in_child, nullptr));
    making.holder = sys::Process(cloned.pid, std::move(cloned.pidfd));
    state.cgroup_path = TRY(systemd::start(bus, scope, making.holder.pid(), limits));
    TRY(making.folder.save(state));
    making.cgroup = TRY(sys::cgroup::Cgroup::create(
        state.cgroup_path, limits, sys::cgroup::host_layout(), making.holder.pid()));
    return {};
}

bool asks_for_limits(const oci::Spec& spec) {
    if (!spec.linux || !spec.linux->resources) return false;
    oci::LinuxResources resources = *spec.linux->resources;
    resources.devices.clear();
    return json::encode(resources) != "{}";
}

Result<void> make_cgroup(const Settings& settings, Making& making) {
    if (settings.cgroups == CgroupManager::Disabled) return {};
    State& state = making.state;
    sys::cgroup::Limits limits = TRY(limits_of(making.spec));
    // Who is not root on the host can make no device either.
    if (settings.rootless) limits.devices.clear();
    if (settings.cgroups == CgroupManager::Systemd) return make_scope(settings, limits, making);
    state.cgroup_path = TRY(cgroup_path(making.spec, state.id));
    // Before anything is made that somebody would have to find and remove after a crash.
    TRY(making.folder.save(state));
    auto made = sys::cgroup::Cgroup::create(state.cgroup_path, limits);
    if (!made && settings.rootless && !asks_for_limits(making.spec)) {
        LOG_DEBUG("no control group: {}", made.error().message);
        state.cgroup_path.clear();
        return {};
    }
    making.cgroup = TRY(std::move(made));
    return {};
}

Result<void> make_resctrl_group(Making& making) {
    const oci::LinuxIntelRdt& wanted = *making.spec.linux->intel_rdt;
    State& state = making.state;
    state.resctrl = resctrl::plan(TRY(resctrl::mount_point()), state.id, wanted);
    TRY(making.folder.save(state));
    return resctrl::make(state.resctrl, wanted);
}

Result<void> move_net_devices(const oci::Linux& linux, int pid) {
    const sys::Fd network = TRY(sys::ns::open_of(pid, sys::ns::Kind::Network));
    for (const auto& [name, device] : linux.net_devices) {
        TRY_CONTEXT(
            sys::netlink::move_link(name, network.get(), device.name.empty() ? name : device.name),
            "linux.netDevices '{}'", name);
    }
    return {};
}

Result<void> create_process(const Containers& containers, const ContainerRequest& request,
                            int listener_fd, Making& making) {
    const oci::Spec& spec = making.spec;
    CreateOptions options;
    options.id = request.id;
    options.bundle = request.bundle;
    options.stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    options.start_listener_fd = listener_fd;
    options.preserved_fds = request.preserved_fds;
    options.no_pivot = request.no_pivot;
    options.no_new_keyring = request.no_new_keyring;
    if (spec.linux && !spec.linux->net_devices.empty()) {
        options.move_devices = [&spec](int pid) { return move_net_devices(*spec.linux, pid); };
    }
    if (spec.linux && spec.linux->seccomp) {
        options.seccomp_bpf = TRY(cached_filter(containers.filters(), *spec.linux->seccomp));
    }
    if (making.cgroup) options.cgroup = &making.cgroup;
    if (spec.linux && spec.linux->intel_rdt) options.task_files = making.state.resctrl.task_files();
    making.created = TRY(runtime::create(spec, options));
    return {};
}

}  // namespace

Making::Making(Making&& other) noexcept
    : folder(std::move(other.folder)),
      state(std::move(other.state)),
      spec(std::move(other.spec)),
      cgroup(std::move(other.cgroup)),
      created(std::move(other.created)),
      holder(std::move(other.holder)),
      bus(other.bus),
      kept(std::exchange(other.kept, true)) {}

Making::~Making() {
    if (kept) return;
    if (created.pidfd) {
        sys::Process(created.pid, std::move(created.pidfd)).reset();
    }
    holder.reset();
    cgroup = {};
    if (!state.systemd_unit.empty()) systemd::stop(bus, state.systemd_unit);
    ignore(resctrl::remove(state.resctrl), "the error that brought us here matters more");
    ignore(folder.remove(), "the error that brought us here matters more");
    run_poststop_hooks(spec, hook_state(spec, state.id, state.bundle, 0, "stopped"));
}

Created Making::keep() {
    kept = true;
    cgroup.release();
    return std::move(created);
}

Result<StateFolder> claim_folder(const Settings& settings, const std::string& id) {
    auto abandoned = TRY(StateFolder::open_abandoned(settings.root, id));
    if (abandoned) {
        const State state = TRY(abandoned->load());
        TRY_CONTEXT(destroy(settings, *std::move(abandoned), state),
                    "remove the abandoned container '{}'", id);
    }
    return StateFolder::create(settings.root, id);
}

Result<Making> begin(const Containers& containers, const ContainerRequest& request,
                     StateFolder folder) {
    auto spec = load_spec(request.bundle);
    auto checked = spec ? check_spec(*spec) : Result<void>(fail(spec.error()));
    if (checked) checked = folder.keep_config(request.bundle);
    if (!checked) {
        ignore(folder.remove(), "the error that brought us here matters more");
        return fail(checked.error());
    }
    Making making(std::move(folder));
    making.spec = *std::move(spec);
    making.bus = bus_of(containers.settings());
    if (making.spec.process && making.spec.process->terminal && request.console_socket.empty()) {
        // Programs ask for it as soon as they run.
        making.spec.process->console_size = own_window_size();
    }
    if (making.spec.process) {
        std::vector<std::string>& env = making.spec.process->env;
        env.insert(env.end(), request.environment.begin(), request.environment.end());
    }
    making.state = first_state(request, making.spec);
    TRY(making.folder.save(making.state));
    TRY(make_cgroup(containers.settings(), making));
    if (making.cgroup && !containers.settings().rootless)
        TRY(delegate_cgroup(making.spec, making.cgroup));
    if (making.spec.linux && making.spec.linux->intel_rdt) TRY(make_resctrl_group(making));
    return making;
}

Result<void> take_in(const ContainerRequest& request, Making& making) {
    State& state = making.state;
    making.holder.reset();
    state.pid = making.created.pid;
    state.pid_start_time = live_start_time(state.pid).value_or(0);
    TRY(making.folder.save(state));
    if (making.created.console && !request.console_socket.empty()) {
        TRY(send_console(request.console_socket, making.created.console.get()));
        making.created.console.reset();
    }
    if (request.pid_file.empty()) return {};
    return write_pid_file(request.pid_file, state.pid);
}

Result<Making> make(const Containers& containers, const ContainerRequest& request, int listener_fd,
                    StateFolder folder) {
    Making making = TRY(begin(containers, request, std::move(folder)));
    TRY(create_process(containers, request, listener_fd, making));
    TRY(take_in(request, making));
    return making;
}

systemd::Bus bus_of(const Settings& settings) {
    return settings.rootless ? systemd::Bus::User : systemd::Bus::System;
}

Result<void> destroy(const Settings& settings, StateFolder folder, const State& state) {
    if (!state.cgroup_path.empty()) {
        auto group = sys::cgroup::Cgroup::open(state.cgroup_path);
        if (group) TRY(group->remove());
    }
    if (!state.systemd_unit.empty()) systemd::stop(bus_of(settings), state.systemd_unit);
    TRY(resctrl::remove(state.resctrl));
    return folder.remove();
}

}  // namespace coffer::runtime
