#include "engine/system.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/time.hpp"
#include "engine/build_info.hpp"
#include "engine/cdi.hpp"
#include "engine/containers.hpp"
#include "engine/events.hpp"
#include "engine/images.hpp"
#include "engine/volume_view.hpp"
#include "logs/options.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "sys/host.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

utsname host_names() {
    utsname names{};
    ::uname(&names);
    return names;
}

// Go's name of the machine's architecture.
std::string go_arch(const utsname& names) {
    std::string machine = names.machine;
    if (machine == "x86_64") return "amd64";
    if (machine == "aarch64") return "arm64";
    return machine;
}

std::string os_release(const std::string& key) {
    const auto text = sys::read_file("/etc/os-release");
    if (!text) return "";
    for (const std::string& line : split(*text, '\n')) {
        const auto pair = cut(line, "=");
        if (!pair || pair->first != key) continue;
        std::string_view value = pair->second;
        if (value.size() > 1 && value.front() == '"') value = value.substr(1, value.size() - 2);
        return std::string(value);
    }
    return "";
}

// Entries of a folder of /proc/self, without the one that reading it takes.
std::int64_t count_own(const char* folder) {
    const auto names = sys::list_dir(std::string("/proc/self/") + folder);
    return names ? static_cast<std::int64_t>(names->size()) : 0;
}

// Whether groups may limit swap: v2 has the files wherever the kernel can swap.
bool limits_swap(const sys::cgroup::Layout& cgroups) {
    if (cgroups.version == 2) return cgroups.has("memory") && sys::exists("/proc/swaps");
    return std::any_of(cgroups.v1.begin(), cgroups.v1.end(), [](const auto& hierarchy) {
        return sys::exists(hierarchy.mount_point + "/memory.memsw.limit_in_bytes");
    });
}

// The address of a proxy without its password.
std::string shown(std::string url) {
    const std::size_t at = url.rfind('@');
    if (at == std::string::npos) return url;
    const std::size_t scheme = url.find("://");
    const std::size_t user = scheme == std::string::npos ? 0 : scheme + 3;
    return url.replace(user, at - user, "xxxxx:xxxxx");
}

api::RegistryConfig registry_config(const registry::Config& config) {
    api::RegistryConfig out;
    out.insecure_registry_cidrs = {"::1/128", "127.0.0.0/8"};
    out.index_configs["docker.io"] = {
        .name = "docker.io", .mirrors = config.mirrors, .secure = true, .official = true};
    out.mirrors = config.mirrors;
    for (const std::string& name : config.insecure_registries) {
        if (name.find('/') != std::string::npos) {
            out.insecure_registry_cidrs.push_back(name);
        } else {
            out.index_configs[name] = {.name = name, .mirrors = {}, .secure = false};
        }
    }
    return out;
}

// docker's lines about what this machine cannot do.
api::Strings warnings_of(const api::Info& info) {
    api::Strings warnings;
    for (const auto& [there, what] :
         {std::pair{info.memory_limit, "No memory limit support"},
          std::pair{info.swap_limit, "No swap limit support"},
          std::pair{info.cpu_cfs_quota, "No cpu cfs quota support"},
          std::pair{info.cpu_cfs_period, "No cpu cfs period support"},
          std::pair{info.cpu_shares, "No cpu shares support"},
          std::pair{info.cpu_set, "No cpuset support"},
          std::pair{info.ipv4_forwarding, "IPv4 forwarding is disabled"}}) {
        if (!there) warnings.push_back(std::string("WARNING: ") + what);
    }
    return warnings;
}

bool forwarding() {
    const auto text = sys::read_file("/proc/sys/net/ipv4/ip_forward");
    return text && trim(*text) == "1";
}

}  // namespace

api::Version System::version() const {
    const utsname names = host_names();
    api::Version version;
    version.platform.name = "Coffer Engine";
    version.version = COFFER_VERSION;
    version.api_version = kApiVersion;
    version.min_api_version = kMinApiVersion;
    version.os = "linux";
    version.arch = go_arch(names);
    version.kernel_version = names.release;
    version.git_commit = kGitCommit;
    version.build_time = kCommitTime;
    api::ComponentVersion engine;
    engine.name = "Engine";
    engine.version = COFFER_VERSION;
    engine.details = {{"ApiVersion", std::string(kApiVersion)},
                      {"MinAPIVersion", std::string(kMinApiVersion)},
                      {"Os", "linux"},
                      {"Arch", version.arch},
                      {"KernelVersion", version.kernel_version},
                      {"GitCommit", version.git_commit},
                      {"BuildTime", version.build_time},
                      {"Experimental", "false"}};
    version.components.push_back(std::move(engine));
    return version;
}

Result<api::Info> System::info() const {
    const utsname names = host_names();
    const sys::cgroup::Layout& cgroups = sys::cgroup::host_layout();
    const Containers::Counts counts = containers_->counts();
    api::Info info;
    // Stable for as long as the data root is the same one.
    info.id = sha256_hex(core_->store.paths().root() + names.nodename).substr(0, 36);
    info.containers = counts.running + counts.paused + counts.stopped;
    info.containers_running = counts.running;
    info.containers_paused = counts.paused;
    info.containers_stopped = counts.stopped;
    info.images = static_cast<std::int64_t>(core_->images.count());
    info.driver = "overlay2";
    info.driver_status = {{"Id-mapped layers", "true"}};
    info.plugins.volume = {"local"};
    info.plugins.network = {"bridge", "host", "null"};
    info.plugins.log = logs::driver_names();
    info.memory_limit = cgroups.has("memory");
    info.swap_limit = limits_swap(cgroups);
    info.cpu_cfs_period = cgroups.has("cpu");
    info.cpu_cfs_quota = cgroups.has("cpu");
    info.cpu_shares = cgroups.has("cpu");
    info.cpu_set = cgroups.has("cpuset");
    info.pids_limit = cgroups.has("pids");
    info.oom_kill_disable = cgroups.version == 1;
    info.n_events_listener = static_cast<std::int64_t>(core_->events.listeners());
    info.ipv4_forwarding = forwarding();
    info.debug = log::enabled(log::Level::Debug);
    info.n_fd = count_own("fd");
    info.n_goroutines = count_own("task");
    info.system_time = to_rfc3339(now());
    info.logging_driver = core_->settings.log_driver;
    info.cgroup_driver = "cgroupfs";
    info.cgroup_version = std::to_string(cgroups.version);
    info.kernel_version = names.release;
    info.operating_system = os_release("PRETTY_NAME");
    info.os_version = os_release("VERSION_ID");
    info.os_type = "linux";
    info.architecture = names.machine;
    info.index_server_address = "https://index.docker.io/v1/";
    info.registry_config = registry_config(core_->images.registries().config());
    const registry::Proxies& proxies = core_->images.registries().config().proxies;
    info.http_proxy = shown(proxies.http);
    info.https_proxy = shown(proxies.https);
    info.no_proxy = proxies.none;
    info.n_cpu = ::sysconf(_SC_NPROCESSORS_ONLN);
    info.mem_total = static_cast<std::int64_t>(sys::total_memory());
    info.docker_root_dir = core_->store.paths().root();
    info.name = names.nodename;
    info.server_version = COFFER_VERSION;
    info.runtimes["coffer"] = {};
    info.runtimes["coffer"].path = "coffer-shim";
    info.runtimes["runc"].path = "coffer-shim";  // the name that clients ask for
    info.default_runtime = "coffer";
    info.live_restore_enabled = core_->settings.live_restore;
    info.init_binary = "coffer-init";
    info.cdi_spec_dirs = core_->settings.cdi_folders;
    for (std::string& name : cdi_devices(core_->settings.cdi_folders)) {
        info.discovered_devices.push_back({"cdi", std::move(name)});
    }
    info.security_options = {
        "name=seccomp,profile=builtin", "name=userns", "name=cgroupns", "name=no-new-privileges",
        format("name=level,profile={}", security::name_of(core_->settings.level))};
    info.firewall_backend = {.driver = "nftables", .info = {}};
    info.warnings = warnings_of(info);
    return info;
}

Result<api::DiskUsage> System::disk_usage(const DiskUsageKinds& kinds) const {
    api::DiskUsage usage;
    if (kinds.images || kinds.containers) {
        usage.containers =
            TRY(containers_->list({.all = true,
                                   .size = kinds.containers ? SizeOf::Whole : SizeOf::Nothing,
                                   .limit = 0,
                                   .filters = {}}));
    }
    if (kinds.images) {
        usage.layers_size = static_cast<std::int64_t>(TRY(core_->store.image_usage()));
        usage.images = TRY(core_->images.list({.all = false, .shared_size = true, .filters = {}}));
        for (api::ImageSummary& image : *usage.images) {
            image.containers =
                std::count_if(usage.containers->begin(), usage.containers->end(),
                              [&](const auto& one) { return one.image_id == image.id; });
        }
    }
    if (!kinds.containers) usage.containers.reset();
    if (kinds.volumes) usage.volumes = volumes_with_usage(core_->volumes);
    if (kinds.build_cache) usage.build_cache.emplace();
    return usage;
}

// The disk first: what is told of a container that is just being removed would be wrong.
Result<api::SystemCheck> System::check(bool deep, bool repair) const {
    std::vector<std::string> known;
    for (const auto& container : TRY(containers_->list(
             {.all = true, .size = SizeOf::Nothing, .limit = 0, .filters = {}}))) {
        known.push_back(container.id);
    }
    api::SystemCheck check;
    for (store::Finding& finding :
         TRY(core_->store.check(known, {.deep = deep, .repair = repair}))) {
        check.findings.push_back({std::move(finding.kind), std::move(finding.object),
                                  std::move(finding.problem), finding.repaired});
    }
    for (std::string& path : TRY(core_->images.stray_mounts(repair))) {
        check.findings.push_back(
            {"mount", std::move(path), "an image that is not here is mounted", repair});
    }
    for (std::string& id : TRY(containers_->find_strays(repair))) {
        check.findings.push_back({"run", std::move(id),
                                  "a control group or a bundle of a container that does not run",
                                  repair});
    }
    return check;
}

}  // namespace coffer::engine
