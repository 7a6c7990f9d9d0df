#include "engine/spec_builder.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "network/sandbox.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

namespace {

constexpr std::string_view kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kInit = "/sbin/docker-init";
constexpr std::int64_t kDefaultShmSize = 64 << 20;

// A later "K=V" replaces an earlier one of the same K, keeping its place; "K" alone removes it.
void set_env(std::vector<std::string>& env, const std::string& entry) {
    const std::size_t equals = entry.find('=');
    const std::string key = entry.substr(0, equals);
    const auto same = [&](const std::string& other) {
        return other.size() > key.size() && other.starts_with(key) && other[key.size()] == '=';
    };
    const auto found = std::find_if(env.begin(), env.end(), same);
    if (equals == std::string::npos) {
        if (found != env.end()) env.erase(found);
    } else if (found != env.end()) {
        *found = entry;
    } else {
        env.push_back(entry);
    }
}

std::vector<std::string> base_env(const Record& record, bool tty) {
    std::vector<std::string> env = {std::string(kDefaultPath),
                                    "HOSTNAME=" + record.config.hostname};
    if (tty) env.emplace_back("TERM=xterm");
    for (const std::string& entry : record.config.env) set_env(env, entry);
    return env;
}

oci::LinuxCapabilities capability_sets(const Rights& rights) {
    // Nothing inheritable or ambient: what a program may do after execve is decided by its user
    // (CVE-2022-24769).
    oci::LinuxCapabilities sets;
    sets.bounding = rights.capabilities;
    sets.effective = rights.capabilities;
    sets.permitted = rights.capabilities;
    return sets;
}

std::vector<oci::Rlimit> build_rlimits(const Record& record, const Rights& rights) {
    const security::Profile& profile = security::profile(rights.level);
    std::vector<oci::Rlimit> limits;
    bool has_core = false;
    for (const api::Ulimit& limit : record.host_config.resources.ulimits) {
        std::string type = "RLIMIT_";
        for (const char c : limit.name) {
            type += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        }
        has_core = has_core || type == "RLIMIT_CORE";
        limits.push_back({.type = type,
                          .hard = static_cast<std::uint64_t>(limit.hard),
                          .soft = static_cast<std::uint64_t>(limit.soft)});
    }
    if (!has_core && profile.core_file_size) {
        limits.push_back({.type = "RLIMIT_CORE",
                          .hard = *profile.core_file_size,
                          .soft = *profile.core_file_size});
    }
    return limits;
}

oci::Process build_process(const SpecInputs& in) {
    const api::ContainerConfig& config = in.record.config;
    oci::Process process;
    process.terminal = config.tty;
    const auto& size = in.record.host_config.console_size;
    if (config.tty && size.size() == 2 && size[0] > 0) {
        process.console_size = oci::Box{.height = static_cast<std::uint32_t>(size[0]),
                                        .width = static_cast<std::uint32_t>(size[1])};
    }
    if (!in.init.empty()) process.args = {kInit, "--"};
    process.args.push_back(in.record.path);
    process.args.insert(process.args.end(), in.record.args.begin(), in.record.args.end());
    process.env = base_env(in.record, config.tty);
    for (const std::string& entry : in.devices.env) set_env(process.env, entry);
    process.cwd = config.working_dir.empty() ? "/" : config.working_dir;
    process.capabilities = capability_sets(in.rights);
    process.no_new_privileges = in.rights.no_new_privileges;
    process.apparmor_profile = in.rights.apparmor_profile;
    if (in.record.host_config.oom_score_adj != 0) {
        process.oom_score_adj = static_cast<std::int32_t>(in.record.host_config.oom_score_adj);
    }
    process.rlimits = build_rlimits(in.record, in.rights);
    return process;
}

oci::Mount make_mount(std::string destination, std::string type, std::string source,
                      std::vector<std::string> options) {
    oci::Mount mount;
    mount.destination = std::move(destination);
    mount.type = std::move(type);
    mount.source = std::move(source);
    mount.options = std::move(options);
    return mount;
}

oci::Mount image_mount(const MountRecord& mount, const ImageLayers& layers) {
    oci::Mount out =
        make_mount(mount.target, "overlay", "overlay", {"idmap", "nosuid", "nodev", "ro"});
    for (const std::string& folder : layers.at(mount.chain_id)) {
        out.options.push_back("lowerdir+=" + folder);
    }
    if (!mount.subpath.empty()) out.options.push_back("subpath=" + mount.subpath);
    return out;
}

std::vector<oci::Mount> build_mounts(const SpecInputs& in) {
    const api::HostConfig& host = in.record.host_config;
    const std::int64_t shm = host.shm_size > 0 ? host.shm_size : kDefaultShmSize;
    std::vector<oci::Mount> mounts;
    mounts.push_back(make_mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
    mounts.push_back(
        make_mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
    mounts.push_back(
        make_mount("/dev/pts", "devpts", "devpts",
                   {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
    mounts.push_back(make_mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}));
    mounts.push_back(
        make_mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev"}));
    if (!in.rights.writable_cgroups) mounts.back().options.emplace_back("ro");
    if (in.ipc_mode == "host") {
        // Neither can be mounted by who does not own the host's namespace.
        for (const char* folder : {"/dev/mqueue", "/dev/shm"}) {
            if (!sys::exists(folder)) continue;
            mounts.push_back(make_mount(folder, "bind", folder,
                                        {"bind", "private", "nosuid", "noexec", "nodev"}));
        }
    } else {
        mounts.push_back(
            make_mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
    }
    if (in.joins_ipc) {
        mounts.push_back(make_mount("/dev/shm", "bind", "/dev/shm",
                                    {"bind", "private", "nosuid", "noexec", "nodev"}));
    } else if (in.ipc_mode != "host" && in.ipc_mode != "none") {
        mounts.push_back(
            make_mount("/dev/shm", "tmpfs", "shm",
                       {"nosuid", "noexec", "nodev", "mode=1777", format("size={}", shm)}));
    }

    const auto is_user_mount = [&](std::string_view target) {
        return std::any_of(in.record.mounts.begin(), in.record.mounts.end(),
                           [&](const MountRecord& mount) { return mount.target == target; });
    };
    for (const char* name : {"resolv.conf", "hostname", "hosts"}) {
        const std::string target = format("/etc/{}", name);
        if (is_user_mount(target)) continue;
        std::vector<std::string> options = {"bind",   "private", "idmap",
                                            "nosuid", "nodev",   "noexec"};
        if (host.readonly_rootfs) options.emplace_back("ro");
        mounts.push_back(make_mount(target, "bind", format("{}/{}", in.files, name), options));
    }
    if (!in.init.empty()) {
        mounts.push_back(
            make_mount(kInit, "bind", in.init, {"bind", "private", "ro", "nosuid", "nodev"}));
    }
    for (const oci::CdiMount& mount : in.devices.mounts) {
        // Nothing of the host's is writable through it for more than everybody.
        std::vector<std::string> options = {"rbind", "rprivate", "nosuid", "nodev"};
        for (const std::string& option : mount.options) {
            if (option == "ro") options.emplace_back("rro");
            if (option == "noexec") options.push_back(option);
        }
        mounts.push_back(make_mount(mount.container_path, "bind", mount.host_path, options));
    }
    std::vector<MountRecord> own = in.record.mounts;
    // Parents before what lies below them.
    std::stable_sort(own.begin(), own.end(), [](const MountRecord& a, const MountRecord& b) {
        return std::count(a.target.begin(), a.target.end(), '/') <
               std::count(b.target.begin(), b.target.end(), '/');
    });
    for (const MountRecord& mount : own) {
        // A user's mount replaces the default at the same place.
        std::erase_if(mounts,
                      [&](const oci::Mount& other) { return other.destination == mount.target; });
        oci::Mount out = build_user_mount(mount, in.image_layers, in.id_base);
        if (mount.copy_up && in.record.started_at == api::kZeroTime) {
            out.options.emplace_back("copyup");
        }
        mounts.push_back(std::move(out));
    }
    return mounts;
}

oci::Hooks hooks_of(const oci::CdiEdits& devices) {
    oci::Hooks hooks;
    for (const oci::CdiHook& hook : devices.hooks) {
        for (const auto& [name, list] : {std::pair{"prestart", &hooks.prestart},
                                         std::pair{"createRuntime", &hooks.create_runtime},
                                         std::pair{"createContainer", &hooks.create_container},
                                         std::pair{"startContainer", &hooks.start_container}}) {
            if (hook.name == name) list->push_back({hook.path, hook.args, hook.env, hook.timeout});
        }
    }
    return hooks;
}

std::vector<oci::LinuxNamespace> build_namespaces(const SpecInputs& in) {
    std::vector<oci::LinuxNamespace> namespaces;
    const api::HostConfig& host = in.record.host_config;
    for (const char* type : {"user", "mount"}) namespaces.push_back({.type = type, .path = ""});
    struct Mode {
        const char* type;
        const std::string& mode;
    };
    for (const Mode& one : {Mode{"pid", in.pid_mode}, Mode{"ipc", in.ipc_mode},
                            Mode{"uts", host.uts_mode}, Mode{"cgroup", host.cgroupns_mode}}) {
        if (one.mode != "host") namespaces.push_back({.type = one.type, .path = ""});
    }
    if (security::profile(in.rights.level).time_namespace) {
        namespaces.push_back({.type = "time", .path = ""});
    }
    if (!in.host_network) namespaces.push_back({.type = "network", .path = in.netns_path});
    return namespaces;
}

std::vector<oci::LinuxDeviceCgroup> default_device_rules() {
    const auto rule = [](const char* type, std::optional<std::int64_t> major,
                         std::optional<std::int64_t> minor, const char* access) {
        return oci::LinuxDeviceCgroup{
            .allow = true, .type = type, .major = major, .minor = minor, .access = access};
    };
    std::vector<oci::LinuxDeviceCgroup> rules;
    rules.push_back({.allow = false, .type = "a", .major = {}, .minor = {}, .access = "rwm"});
    rules.push_back(rule("c", {}, {}, "m"));
    rules.push_back(rule("b", {}, {}, "m"));
    for (const std::int64_t minor : {3, 5, 7, 8, 9}) rules.push_back(rule("c", 1, minor, "rwm"));
    for (const std::int64_t minor : {0, 2}) rules.push_back(rule("c", 5, minor, "rwm"));
    rules.push_back(rule("c", 136, {}, "rwm"));
    return rules;
}

// "c 1:3 rwm"
Result<oci::LinuxDeviceCgroup> parse_device_rule(const std::string& text) {
    const auto parts = split_fields(text);
    const auto numbers = parts.size() == 3 ? cut(parts[1], ":") : std::nullopt;
    if (!numbers || (parts[0] != "a" && parts[0] != "b" && parts[0] != "c") ||
        parts[2].find_first_not_of("rwm") != std::string::npos) {
        return fail(Code::InvalidArgument, "invalid device cgroup rule format: '{}'", text);
    }
    oci::LinuxDeviceCgroup rule{
        .allow = true, .type = parts[0], .major = {}, .minor = {}, .access = parts[2]};
    for (auto [number, into] :
         {std::pair{numbers->first, &rule.major}, {numbers->second, &rule.minor}}) {
        if (number == "*") continue;
        *into = parse_int(number);
        if (!*into)
            return fail(Code::InvalidArgument, "invalid device cgroup rule format: '{}'", text);
    }
    return rule;
}

Result<void> add_device(const oci::CdiDeviceNode& device, oci::Linux& linux) {
    const std::string& source = device.host_path.empty() ? device.path : device.host_path;
    struct stat status {};
    if (::stat(source.c_str(), &status) != 0) {
        return fail_errno("error gathering device information while adding custom device \"{}\"",
                          source);
    }
    if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(Code::InvalidArgument,
                    "error gathering device information while adding custom device \"{}\": not a "
                    "device node",
                    source);
    }
    oci::LinuxDevice node;
    node.path = device.path;
    node.type = S_ISCHR(status.st_mode) ? "c" : "b";
    node.major = static_cast<std::int64_t>(major(status.st_rdev));
    node.minor = static_cast<std::int64_t>(minor(status.st_rdev));
    node.file_mode = device.file_mode.value_or(status.st_mode & 0777U);
    node.uid = device.uid;
    node.gid = device.gid;
    linux.resources->devices.push_back(
        {.allow = true,
         .type = node.type,
         .major = node.major,
         .minor = node.minor,
         .access = device.permissions.empty() ? "rwm" : device.permissions});
    linux.devices.push_back(std::move(node));
    return {};
}

Result<void> add_devices(const api::Resources& host, const oci::CdiEdits& edits,
                         oci::Linux& linux) {
    for (const api::DeviceMapping& device : host.devices) {
        oci::CdiDeviceNode node;
        node.path =
            device.path_in_container.empty() ? device.path_on_host : device.path_in_container;
        node.host_path = device.path_on_host;
        node.permissions = device.cgroup_permissions;
        TRY(add_device(node, linux));
    }
    for (const oci::CdiDeviceNode& node : edits.device_nodes) TRY(add_device(node, linux));
    for (const std::string& rule : host.device_cgroup_rules) {
        linux.resources->devices.push_back(TRY(parse_device_rule(rule)));
    }
    return {};
}

}  // namespace

oci::Mount build_user_mount(const MountRecord& mount, const ImageLayers& layers,
                            std::uint32_t id_base) {
    if (mount.type == "image") return image_mount(mount, layers);
    oci::Mount out = make_mount(mount.target, mount.type == "tmpfs" ? "tmpfs" : "bind",
                                mount.type == "tmpfs" ? "tmpfs" : mount.source, mount.options);
    if (mount.squash_uid != 0) {
        // Exactly the rights of the user who asked for the bind: their id is the container's root,
        // and no other id of the host is mapped.
        out.uid_mappings = {{.container_id = mount.squash_uid, .host_id = id_base, .size = 1}};
        out.gid_mappings = {{.container_id = mount.squash_gid, .host_id = id_base, .size = 1}};
    }
    for (const IdRange& range : mount.uids)
        out.uid_mappings.push_back({range.files, id_base + range.inside, range.size});
    for (const IdRange& range : mount.gids)
        out.gid_mappings.push_back({range.files, id_base + range.inside, range.size});
    return out;
}

Result<oci::Spec> build_spec(const SpecInputs& in) {
    const api::HostConfig& host = in.record.host_config;
    const security::Profile& profile = security::profile(in.rights.level);
    oci::Spec spec;
    spec.oci_version = std::string(oci::kRuntimeSpecVersion);
    spec.process = build_process(in);
    spec.root =
        oci::Root{.path = "rootfs", .readonly = host.readonly_rootfs || profile.readonly_rootfs};
    if (host.uts_mode != "host") {
        spec.hostname = in.record.config.hostname;
        spec.domainname = in.record.config.domainname;
    }
    spec.mounts = build_mounts(in);
    if (profile.readonly_rootfs) {
        spec.mounts.push_back(
            make_mount("/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "noexec", "mode=1777"}));
    }
    spec.annotations = host.annotations;

    oci::Linux linux;
    linux.uid_mappings = {{.container_id = 0, .host_id = in.id_base, .size = network::kIdCount}};
    linux.gid_mappings = linux.uid_mappings;
    linux.sysctl = host.sysctls;
    linux.cgroups_path = in.cgroup_path;
    linux.namespaces = build_namespaces(in);
    linux.resources = TRY(build_resources(host.resources, profile, in.host_memory));
    TRY(add_devices(host.resources, in.devices, linux));
    linux.rootfs_propagation = "private";
    if (!in.rights.unmasked) {
        linux.masked_paths = host.masked_paths.value_or(profile.masked_paths);
        linux.readonly_paths = host.readonly_paths.value_or(profile.readonly_paths);
    }
    spec.linux = std::move(linux);
    if (!in.devices.hooks.empty()) spec.hooks = hooks_of(in.devices);
    return spec;
}

oci::Spec build_files_spec(const Record& record, const std::string& files, std::uint32_t id_base,
                           ImageLayers image_layers) {
    const Rights rights;
    SpecInputs in{.record = record, .rights = rights};
    in.id_base = id_base;
    in.files = files;
    in.image_layers = std::move(image_layers);
    oci::Spec spec;
    spec.linux.emplace();
    const auto level = security::parse_level(record.level);
    spec.root = oci::Root{.path = "rootfs",
                          .readonly = record.host_config.readonly_rootfs ||
                                      (level && security::profile(*level).readonly_rootfs)};
    for (oci::Mount& mount : build_mounts(in)) {
        // The engine's own files are made by the first start.
        const bool absent =
            mount.source.starts_with(files + "/") && record.started_at == api::kZeroTime;
        const bool of_files = mount.type == "bind" || mount.type == "overlay";
        if (of_files && !absent) spec.mounts.push_back(std::move(mount));
    }
    return spec;
}

oci::Process build_exec_process(const ExecInputs& in) {
    oci::Process process;
    process.terminal = in.tty;
    process.console_size = in.console_size;
    process.args = in.args;
    process.env = base_env(in.record, in.tty);
    for (const std::string& entry : in.env) set_env(process.env, entry);
    process.cwd = !in.cwd.empty()                         ? in.cwd
                  : !in.record.config.working_dir.empty() ? in.record.config.working_dir
                                                          : "/";
    // exec gets what the container has, never more (rule G21); --privileged cannot add to it.
    process.capabilities = capability_sets(in.rights);
    process.no_new_privileges = in.rights.no_new_privileges;
    process.apparmor_profile = in.rights.apparmor_profile;
    process.rlimits = build_rlimits(in.record, in.rights);
    return process;
}

Result<oci::LinuxResources> build_resources(const api::Resources& host,
                                            const security::Profile& profile,
                                            std::uint64_t host_memory) {
    oci::LinuxResources resources;
    resources.devices = default_device_rules();

    oci::LinuxMemory memory;
    if (host.memory > 0) {
        memory.limit = host.memory;
    } else if (profile.memory_required) {
        return fail(Code::InvalidArgument,
                    "the security level 'strict' asks for a memory limit (--memory)");
    } else if (profile.memory_percent) {
        memory.limit = static_cast<std::int64_t>(host_memory / 100 * *profile.memory_percent);
    }
    if (host.memory_swap != 0) {
        memory.swap = host.memory_swap;
    } else if (memory.limit && profile.swap) {
        memory.swap = *memory.limit + *profile.swap;
    } else if (host.memory > 0) {
        memory.swap = 2 * host.memory;
    }
    if (host.memory_reservation > 0) memory.reservation = host.memory_reservation;
    if (host.memory_swappiness && *host.memory_swappiness >= 0) {
        memory.swappiness = static_cast<std::uint64_t>(*host.memory_swappiness);
    }
    if (host.oom_kill_disable.value_or(false)) memory.disable_oom_killer = true;
    resources.memory = memory;

    oci::LinuxCpu cpu;
    if (host.cpu_shares > 0) cpu.shares = static_cast<std::uint64_t>(host.cpu_shares);
    if (host.nano_cpus > 0) {
        cpu.period = 100000;
        cpu.quota = host.nano_cpus * 100000 / 1'000'000'000;
    }
    if (host.cpu_period > 0) cpu.period = static_cast<std::uint64_t>(host.cpu_period);
    if (host.cpu_quota != 0) cpu.quota = host.cpu_quota;
    if (host.cpu_realtime_period > 0) {
        cpu.realtime_period = static_cast<std::uint64_t>(host.cpu_realtime_period);
    }
    if (host.cpu_realtime_runtime > 0) cpu.realtime_runtime = host.cpu_realtime_runtime;
    cpu.cpus = host.cpuset_cpus;
    cpu.mems = host.cpuset_mems;
    resources.cpu = cpu;

    const std::int64_t pids = host.pids_limit.value_or(0);
    if (pids != 0) {
        resources.pids = oci::LinuxPids{.limit = pids};
    } else if (profile.pids_limit) {
        resources.pids = oci::LinuxPids{.limit = profile.pids_limit};
    }

    oci::LinuxBlockIo block;
    bool has_block = false;
    if (host.blkio_weight > 0) {
        block.weight = host.blkio_weight;
        has_block = true;
    }
    const auto device_number =
        [](const std::string& path) -> Result<std::pair<std::int64_t, std::int64_t>> {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0) return fail_errno("device '{}'", path);
        return std::pair{static_cast<std::int64_t>(major(status.st_rdev)),
                         static_cast<std::int64_t>(minor(status.st_rdev))};
    };
    for (const auto& entry : host.blkio_weight_device) {
        const auto number = TRY(device_number(entry.path));
        block.weight_device.push_back({.major = number.first,
                                       .minor = number.second,
                                       .weight = entry.weight,
                                       .leaf_weight = {}});
        has_block = true;
    }
    const auto throttle = [&](const std::vector<api::ThrottleDevice>& from,
                              std::vector<oci::LinuxThrottleDevice>& into) -> Result<void> {
        for (const api::ThrottleDevice& entry : from) {
            const auto number = TRY(device_number(entry.path));
            into.push_back({.major = number.first, .minor = number.second, .rate = entry.rate});
            has_block = true;
        }
        return {};
    };
    TRY(throttle(host.blkio_device_read_bps, block.throttle_read_bps_device));
    TRY(throttle(host.blkio_device_write_bps, block.throttle_write_bps_device));
    TRY(throttle(host.blkio_device_read_iops, block.throttle_read_iops_device));
    TRY(throttle(host.blkio_device_write_iops, block.throttle_write_iops_device));
    if (has_block) resources.block_io = block;
    return resources;
}

}  // namespace coffer::engine
