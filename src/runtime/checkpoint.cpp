#include "runtime/checkpoint.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "json/value.hpp"
#include "runtime/hooks.hpp"
#include "runtime/making.hpp"
#include "runtime/mount_plan.hpp"
#include "runtime/rootfs.hpp"
#include "runtime/spec_check.hpp"
#include "sys/clone.hpp"
#include "sys/namespace.hpp"

namespace coffer::runtime {

namespace {

namespace m = sys::mount;

// Where the standard streams lead, as runc keeps it beside the images.
constexpr const char* kDescriptors = "descriptors.json";
constexpr std::size_t kDescriptorsLimit = 64 * 1024;
// Names of mounts from outside. Those of the configuration follow the prefix.
constexpr const char* kMaskFileName = "mask-file";
constexpr const char* kMaskFolderName = "mask-folder";
constexpr const char* kExternalPrefix = "mount:";
constexpr const char* kExternalNetwork = "network";

Failure refuse(std::string_view what) {
    return fail(Code::NotImplemented, "checkpoint and restore of {} is not supported", what);
}

// What CRIU would have to be told of, and is not.
Result<void> check_spec_for_criu(const Containers& containers, const oci::Spec& spec,
                                 const std::vector<MountPlan>& mounts) {
    if (containers.settings().rootless) return refuse("a container without root");
    bool own_pids = false;
    bool own_mounts = false;
    for (const oci::LinuxNamespace& ns : spec.linux->namespaces) {
        if (!ns.path.empty() && ns.type != "network") {
            return refuse(format("linux.namespaces '{}' by path", ns.type));
        }
        if (ns.type == "user") return refuse("linux.namespaces 'user'");
        own_pids |= ns.type == "pid";
        own_mounts |= ns.type == "mount";
    }
    if (!own_pids || !own_mounts) return refuse("a container without pid and mount namespaces");
    if (!spec.linux->net_devices.empty()) return refuse("linux.netDevices");
    if (spec.linux->intel_rdt) return refuse("linux.intelRdt");
    if (spec.linux->seccomp && !spec.linux->seccomp->listener_path.empty()) {
        return refuse("linux.seccomp.listenerPath");
    }
    for (const MountPlan& plan : mounts) {
        if (plan.id_mapped) return refuse(format("the id-mapped mount '{}'", plan.destination));
        // CRIU would look it up by name.
        if (plan.kind == MountKind::Layers || !plan.subpath.empty()) {
            return refuse(format("the mount '{}' of a part or of layers", plan.destination));
        }
        if (plan.kind == MountKind::CgroupBind) {
            return refuse(format("the mount '{}' of the host's control groups", plan.destination));
        }
    }
    return {};
}

Result<std::vector<MountPlan>> plan_for_criu(const Containers& containers, const oci::Spec& spec,
                                             const std::string& bundle) {
    MountContext context;
    context.bundle = bundle;
    context.owns_network = find_namespace(spec, "network") != nullptr;
    context.private_cgroups = find_namespace(spec, "cgroup") != nullptr;
    auto mounts = TRY(plan_mounts(spec, context));
    TRY(check_spec_for_criu(containers, spec, mounts));
    return mounts;
}

// The path of the log.
std::string set_folders(const CheckpointOptions& options, const char* log, criu::Options& criu) {
    criu.image_folder = options.image_folder;
    criu.work_folder = options.work_folder.empty() ? options.image_folder : options.work_folder;
    criu.log_file = log;
    return format("{}/{}", criu.work_folder, log);
}

Result<std::vector<m::Mounted>> mounts_of(const std::string& process) {
    return m::parse_mountinfo(TRY(sys::read_file(format("/proc/{}/mountinfo", process))));
}

std::string cgroup_options() {
    const std::string& point = sys::cgroup::host_layout().unified.mount_point;
    std::string options;
    if (const auto mounts = mounts_of("self"); mounts && !point.empty()) {
        for (const m::Mounted& one : *mounts) {
            if (one.point == point) options = one.options;
        }
    }
    return options;
}

// CRIU mounts version 2 for itself, from the host's cgroup namespace and without options, which
// takes them from all its mounts: nsdelegate, which holds containers to their groups, among them.
Result<void> request_and_keep_options(const criu::Call& call) {
    const std::string before = cgroup_options();
    auto done = criu::request(call);
    if (before == cgroup_options()) return done;
    m::Options options;
    for (const std::string& option : split(before, ',')) {
        if (option != "rw") options.emplace_back(option, "");
    }
    const sys::Fd root =
        TRY(sys::open_file(sys::cgroup::host_layout().unified.mount_point, O_PATH | O_DIRECTORY));
    TRY_CONTEXT(m::reconfigure(root.get(), options), "give control groups the options back");
    return done;
}

// Version 2 CRIU would mount from the host's cgroup namespace, where that changes the options of
// all its mounts. The container's own group, bound, is the same to it.
bool is_external(const MountPlan& plan) {
    return plan.kind == MountKind::Bind ||
           (plan.kind == MountKind::Cgroup && sys::cgroup::host_layout().version == 2);
}

std::string source_of(const MountPlan& plan, const State& state) {
    if (plan.kind == MountKind::Bind) return plan.source;
    return sys::cgroup::folder_of(sys::cgroup::host_layout().unified, state.cgroup_path);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Inherited = std::vector<std::pair<std::string, int>>;

Result<Pairs> external_mounts(const oci::Spec& spec, const std::vector<MountPlan>& mounts,
                              int pid) {
    Pairs pairs;
    for (const MountPlan& plan : mounts) {
        if (!is_external(plan)) continue;
        pairs.emplace_back(plan.destination, format("{}{}", kExternalPrefix, plan.destination));
    }
    const std::vector<m::Mounted> mounted = TRY(mounts_of(format("{}", pid)));
    for (const std::string& path : spec.linux->masked_paths) {
        for (const m::Mounted& one : mounted) {
            if (one.point != clean_path(path)) continue;
            if (one.root == kMaskFile) pairs.emplace_back(one.point, kMaskFileName);
            if (one.root == kMaskFolder) pairs.emplace_back(one.point, kMaskFolderName);
        }
    }
    return pairs;
}

// Where nobody runs away while CRIU looks at one process after the other.
std::string freezer_of(const std::string& path) {
    const sys::cgroup::Layout& layout = sys::cgroup::host_layout();
    if (path.empty()) return {};
    if (layout.version == 2) return sys::cgroup::folder_of(layout.unified, path);
    for (const auto& hierarchy : layout.v1) {
        const auto& names = hierarchy.controllers;
        if (std::find(names.begin(), names.end(), "freezer") == names.end()) continue;
        return sys::cgroup::folder_of(hierarchy, path);
    }
    return {};
}

std::string descriptors_of(int pid) {
    json::Array links;
    for (int fd = 0; fd < 3; ++fd) {
        auto link = sys::read_link(AT_FDCWD, format("/proc/{}/fd/{}", pid, fd));
        links.emplace_back(std::move(link).value_or(""));
    }
    return json::write(links);
}

Result<std::vector<std::string>> load_descriptors(const std::string& images) {
    const std::string text = TRY(
        sys::read_regular_file(AT_FDCWD, format("{}/{}", images, kDescriptors), kDescriptorsLimit));
    const json::Value links = TRY_CONTEXT(json::parse(text), "{}", kDescriptors);
    std::vector<std::string> out;
    const json::Array* array = links.if_array();
    for (std::size_t i = 0; array != nullptr && i < array->size() && i < 3; ++i) {
        const std::string* link = (*array)[i].if_string();
        out.push_back(link == nullptr ? "" : *link);
    }
    return out;
}

// Pipes that led out of the container lead to where we have our own streams.
Inherited inherited_streams(const std::vector<std::string>& links) {
    Inherited streams;
    for (std::size_t i = 0; i < links.size(); ++i) {
        if (!links[i].starts_with("pipe:")) continue;
        const bool known = std::any_of(streams.begin(), streams.end(),
                                       [&](const auto& one) { return one.first == links[i]; });
        if (!known) streams.emplace_back(links[i], static_cast<int>(i));
    }
    return streams;
}

// The container's own terminal, not one of an exec.
bool is_terminal(int master_fd, const std::vector<std::string>& links) {
    unsigned number = 0;
    return ::ioctl(master_fd, TIOCGPTN, &number) == 0 && !links.empty() &&
           links.front() == format("/dev/pts/{}", number);
}

// Whose network the container is in: nullptr where it is its own, or the host's.
const oci::LinuxNamespace* given_network(const oci::Spec& spec) {
    const oci::LinuxNamespace* ns = find_namespace(spec, "network");
    return ns != nullptr && !ns->path.empty() ? ns : nullptr;
}

Result<std::string> external_network(int pid) {
    struct stat status {};
    const sys::Fd network = TRY(sys::ns::open_of(pid, sys::ns::Kind::Network));
    if (::fstat(network.get(), &status) != 0) return fail_errno("stat a network namespace");
    return format("net[{}]:{}", status.st_ino, kExternalNetwork);
}

// In the mount namespace of CRIU's process: the root as a mount of its own with everything that
// mounts of the images go on, and the sources of masks.
Result<void> prepare_root_in_child(const State& state, const oci::Spec& spec,
                                   const std::vector<MountPlan>& mounts) {
    TRY(m::isolate_propagation());
    {
        const sys::Fd tree =
            TRY_CONTEXT(m::clone_tree(AT_FDCWD, state.rootfs, m::Depth::Recursive), "root");
        TRY(m::set_attributes(tree.get(), {.propagation = m::Propagation::Private},
                              m::Depth::Recursive));
        const sys::Fd place = TRY(sys::open_file(state.rootfs, O_PATH | O_DIRECTORY));
        TRY(m::attach(tree.get(), place.get()));
    }
    const sys::RootedDir root = TRY(sys::RootedDir::open(state.rootfs));
    for (std::size_t i = 0; i < mounts.size(); ++i) {
        const std::string& path = mounts[i].destination;
        const bool covered =
            std::any_of(mounts.begin(), mounts.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const MountPlan& above) { return is_below(path, above.destination); });
        if (covered) continue;  // the images have what it goes on
        TargetKind kind = TargetKind::Folder;
        struct stat status {};
        if (mounts[i].kind == MountKind::Bind && ::stat(mounts[i].source.c_str(), &status) == 0 &&
            !S_ISDIR(status.st_mode)) {
            kind = TargetKind::File;
        }
        TRY_CONTEXT(make_target(root, path, kind), "mount '{}'", path);
    }
    const std::uint64_t flags = m::kNoDev | (spec.root->readonly ? m::kReadOnly : 0);
    const sys::Fd tree = TRY(sys::open_file(state.rootfs, O_PATH | O_DIRECTORY));
    TRY(m::set_attributes(tree.get(), {.set = flags}, m::Depth::One));
    return {};
}

}  // namespace

Result<void> checkpoint(const Containers& containers, const std::string& id,
                        const CheckpointOptions& options) {
    StateFolder folder = TRY(StateFolder::open(containers.settings().root, id));
    const Inspection container = TRY(containers.inspect(id));
    const State& state = container.state;
    if (container.status != Status::Running && container.status != Status::Paused) {
        return fail(Code::Conflict, "cannot checkpoint a {} container", to_text(container.status));
    }
    const sys::Fd init = TRY(open_init(container));
    const oci::Spec spec = TRY(load_spec(folder.path()));
    const auto mounts = TRY(plan_for_criu(containers, spec, state.bundle));
    if (::mkdir(options.image_folder.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail_errno("create '{}'", options.image_folder);
    }
    const std::string& parent = options.criu_options.parent_images;
    if (!parent.empty() && !sys::exists(format("{}/{}", options.image_folder, parent))) {
        return fail(Code::NotFound, "--parent-path '{}': no such folder beside '{}'", parent,
                    options.image_folder);
    }
    const std::string descriptors = descriptors_of(state.pid);

    criu::Call call;
    call.program = containers.settings().criu;
    call.request = options.pre_dump ? criu::Request::PreDump : criu::Request::Dump;
    call.options = options.criu_options;
    const std::string log = set_folders(options, "dump.log", call.options);
    call.options.pid = state.pid;
    call.options.external_mounts = TRY(external_mounts(spec, mounts, state.pid));
    if (given_network(spec) != nullptr) {
        call.options.external.push_back(TRY(external_network(state.pid)));
    }
    call.options.freeze_cgroup = freezer_of(state.cgroup_path);
    call.options.track_memory = options.pre_dump || !call.options.parent_images.empty();
    TRY_CONTEXT(request_and_keep_options(call), "checkpoint container '{}' with '{}' (log: {})", id,
                containers.settings().criu, log);
    TRY(sys::write_file(format("{}/{}", options.image_folder, kDescriptors), descriptors, 0600));
    if (options.pre_dump || call.options.leave_running) return {};
    TRY(destroy(containers.settings(), std::move(folder), state));
    run_poststop_hooks(spec, hook_state(spec, id, state.bundle, 0, "stopped"));
    return {};
}

Result<Created> restore(const Containers& containers, const ContainerRequest& request,
                        const CheckpointOptions& options) {
    StateFolder folder = TRY(claim_folder(containers.settings(), request.id));
    Making making = TRY(begin(containers, request, std::move(folder)));
    const oci::Spec& spec = making.spec;
    const auto mounts = TRY(plan_for_criu(containers, spec, request.bundle));

    criu::Call call;
    call.program = containers.settings().criu;
    call.request = criu::Request::Restore;
    call.options = options.criu_options;
    const std::string log = set_folders(options, "restore.log", call.options);
    call.options.root = making.state.rootfs;
    const auto descriptors = TRY(load_descriptors(options.image_folder));
    call.options.inherited = inherited_streams(descriptors);
    sys::Fd network;
    if (const oci::LinuxNamespace* ns = given_network(spec)) {
        network = TRY_CONTEXT(sys::ns::open(ns->path, sys::ns::Kind::Network), "linux.namespaces");
        call.options.inherited.emplace_back(kExternalNetwork, network.get());
    }
    for (const MountPlan& plan : mounts) {
        if (!is_external(plan)) continue;
        call.options.external_mounts.emplace_back(format("{}{}", kExternalPrefix, plan.destination),
                                                  source_of(plan, making.state));
    }
    if (making.cgroup) {
        call.cgroup = &making.cgroup;
        call.options.cgroup_root = making.state.cgroup_path;
    }
    // In CRIU's view they cover our state, which is nothing to it.
    const std::string& masks = making.folder.path();
    call.options.external_mounts.emplace_back(kMaskFileName, masks + kMaskFile);
    call.options.external_mounts.emplace_back(kMaskFolderName, masks + kMaskFolder);
    call.prepare_in_child = [&]() -> Result<void> {
        TRY(prepare_root_in_child(making.state, spec, mounts));
        const sys::Fd tree = TRY(make_masks());
        const sys::Fd place = TRY(sys::open_file(masks, O_PATH | O_DIRECTORY));
        return m::attach(tree.get(), place.get());
    };
    call.on_notice = [&](criu::Notice notice) -> Result<void> {
        if (notice.script == "setup-namespaces" && spec.hooks) {
            const oci::State state =
                hook_state(spec, request.id, request.bundle, notice.pid, "creating");
            TRY(run_hooks("prestart", spec.hooks->prestart, state));
            TRY(run_hooks("createRuntime", spec.hooks->create_runtime, state));
        }
        if (is_terminal(notice.master.get(), descriptors)) {
            making.created.console = std::move(notice.master);
        }
        if (notice.script == "post-restore") {
            making.created.pid = notice.pid;
            making.created.pidfd = TRY(sys::open_pidfd(notice.pid));
            TRY(take_in(request, making));
        }
        return {};
    };
    TRY_CONTEXT(request_and_keep_options(call), "restore container '{}' with '{}' (log: {})",
                request.id, containers.settings().criu, log);
    return making.keep();
}

}  // namespace coffer::runtime
