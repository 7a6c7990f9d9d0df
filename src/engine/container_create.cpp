// From a create request to a record: the image's defaults under the request's, everything checked
// that can be checked before a start.
#include <algorithm>

#include "base/id.hpp"
#include "base/rollback.hpp"
#include "engine/changes.hpp"
#include "engine/containers_impl.hpp"
#include "engine/events.hpp"
#include "engine/health.hpp"
#include "engine/images.hpp"
#include "engine/logging.hpp"
#include "engine/mounts.hpp"
#include "engine/names.hpp"
#include "engine/port_ranges.hpp"
#include "network/networks.hpp"
#include "network/resolv.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

namespace {

void merge_health(const oci::RunConfig& image, api::ContainerConfig& config) {
    if (!image.healthcheck) return;
    const oci::Healthcheck& theirs = *image.healthcheck;
    if (!config.healthcheck) config.healthcheck.emplace();
    api::HealthConfig& own = *config.healthcheck;
    if (own.test.empty()) own.test = theirs.test;
    if (own.interval == 0) own.interval = theirs.interval;
    if (own.timeout == 0) own.timeout = theirs.timeout;
    if (own.start_period == 0) own.start_period = theirs.start_period;
    if (own.start_interval == 0) own.start_interval = theirs.start_interval;
    if (own.retries == 0) own.retries = theirs.retries;
}

// The image's settings where the request is silent (docker's merge).
void merge_image(const oci::RunConfig& image, api::ContainerConfig& config) {
    if (config.user.empty()) config.user = image.user;
    for (const auto& [port, nothing] : image.exposed_ports) config.exposed_ports[port];
    const std::vector<std::string> own = config.env;
    for (const std::string& entry : image.env) {
        if (!has_variable(own, entry)) config.env.push_back(entry);
    }
    for (const auto& [key, value] : image.labels) config.labels.emplace(key, value);
    // A new entrypoint forgets the image's command; {""} or {} clears the entrypoint.
    if (!config.entrypoint) {
        if (!config.cmd || config.cmd->empty()) config.cmd = image.cmd;
        config.entrypoint = image.entrypoint;
    }
    if (config.entrypoint && *config.entrypoint == std::vector<std::string>{""}) {
        config.entrypoint = std::vector<std::string>();
    }
    if (config.working_dir.empty()) config.working_dir = image.working_dir;
    for (const auto& [path, nothing] : image.volumes) config.volumes[path];
    if (config.stop_signal.empty()) config.stop_signal = image.stop_signal;
    if (!config.shell && !image.shell.empty()) config.shell = image.shell;
    merge_health(image, config);
}

// What is not done is refused by name, never ignored.
Result<void> refuse_unsupported(const api::HostConfig& host) {
    if (host.runtime != "" && host.runtime != "coffer" && host.runtime != "runc") {
        return fail(Code::InvalidArgument, "unknown or invalid runtime name: {}", host.runtime);
    }
    if (host.isolation != "" && host.isolation != "default") {
        return fail(Code::InvalidArgument, "invalid isolation '{}' on linux", host.isolation);
    }
    if (!host.cgroup.empty()) {
        return fail(Code::InvalidArgument, "Cgroup is not supported: use CgroupParent");
    }
    for (const auto& [option, value] : host.storage_opt) {
        if (option != "size") return fail(Code::InvalidArgument, "Unknown option {}", option);
    }
    return {};
}

// A caller who is not root gets nothing of the host that their own account does not have.
Result<void> check_caller(const api::HostConfig& host, const Caller& caller) {
    if (caller.uid == 0) return {};
    if (!host.resources.devices.empty() || !host.resources.device_cgroup_rules.empty() ||
        !host.resources.device_requests.empty()) {
        return fail(Code::Forbidden, "devices of the host need root: user {} may not use them",
                    caller.uid);
    }
    return {};
}

Result<void> check_writable_cgroups(const api::HostConfig& host) {
    if (host.cgroupns_mode == "host") {
        return fail(Code::InvalidArgument,
                    "--security-opt writable-cgroups needs a private cgroup namespace");
    }
    // Version 1 does not keep those below from lifting their own limits.
    if (sys::cgroup::host_layout().version == 2) return {};
    return fail(Code::NotImplemented,
                "--security-opt writable-cgroups needs cgroup v2, which this host does not have");
}

Result<void> check_ports(const api::HostConfig& host) {
    for (const auto& [port, bindings] : host.port_bindings) {
        TRY(network::parse_container_port(port));  // ranges are ours alone
        TRY(requests_of(port, bindings.value_or(std::vector<api::PortBinding>())));
    }
    return {};
}

// Strings of the image or the user that end up in files or in argv and env.
Result<void> check_text(const api::ContainerConfig& config) {
    const auto bad = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (config.hostname.find_first_of(std::string_view("\n\r\0/ ", 5)) != std::string::npos ||
        config.hostname.size() > 64) {
        return fail(Code::InvalidArgument, "invalid hostname: '{}'", config.hostname);
    }
    if (config.domainname.find_first_of(std::string_view("\n\r\0/ ", 5)) != std::string::npos) {
        return fail(Code::InvalidArgument, "invalid domain name: '{}'", config.domainname);
    }
    for (const std::string& entry : config.env) {
        if (entry.empty() || entry[0] == '=' || bad(entry)) {
            return fail(Code::InvalidArgument, "invalid environment variable: {}", entry);
        }
    }
    if (!config.working_dir.empty() && !config.working_dir.starts_with('/')) {
        return fail(Code::InvalidArgument,
                    "the working directory '{}' is invalid, it needs to be an absolute path",
                    config.working_dir);
    }
    return {};
}

std::string network_of(const api::HostConfig& host) {
    const std::string& mode = host.network_mode;
    return mode.empty() || mode == "default" ? "bridge" : mode;
}

}  // namespace

namespace {

// Only cgroup v1 has these.
void discard_v1(api::Resources& res, std::vector<std::string>& warnings) {
    if (res.memory_swappiness.value_or(-1) != -1) {
        warnings.emplace_back(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not "
            "mounted. Memory swappiness discarded.");
        res.memory_swappiness.reset();
    }
    if (res.oom_kill_disable.value_or(false)) {
        warnings.emplace_back(
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.");
        res.oom_kill_disable.reset();
    }
}

bool has_realtime() {
    for (const auto& hierarchy : sys::cgroup::host_layout().v1) {
        if (sys::exists(hierarchy.mount_point + "/cpu.rt_runtime_us")) return true;
    }
    return false;
}

}  // namespace

Result<void> check_resources(api::Resources& res, std::vector<std::string>& warnings) {
    constexpr std::int64_t kLeastMemory = 6 << 20;
    if (res.memory != 0 && res.memory < kLeastMemory) {
        return fail(Code::InvalidArgument, "Minimum memory limit allowed is 6MB");
    }
    if (res.memory > 0 && res.memory_swap > 0 && res.memory_swap < res.memory) {
        return fail(Code::InvalidArgument,
                    "Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if (res.memory == 0 && res.memory_swap > 0) {
        return fail(
            Code::InvalidArgument,
            "You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if (res.nano_cpus < 0) return fail(Code::InvalidArgument, "NanoCPUs must not be negative");
    if (res.nano_cpus > 0 && (res.cpu_quota != 0 || res.cpu_period != 0)) {
        return fail(Code::InvalidArgument,
                    "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set");
    }
    if (res.blkio_weight != 0 && (res.blkio_weight < 10 || res.blkio_weight > 1000)) {
        return fail(Code::InvalidArgument, "Range of blkio weight is from 10 to 1000");
    }
    if (res.memory_swappiness && *res.memory_swappiness > 100) {
        return fail(Code::InvalidArgument,
                    "Invalid value: {}, valid memory swappiness range is 0-100",
                    *res.memory_swappiness);
    }
    if (sys::cgroup::host_layout().version == 2) discard_v1(res, warnings);
    if ((res.cpu_realtime_period != 0 || res.cpu_realtime_runtime != 0) && !has_realtime()) {
        return fail(Code::InvalidArgument, "Your kernel does not support CPU real-time scheduler");
    }
    if (res.oom_kill_disable.value_or(false) && res.memory == 0) {
        warnings.emplace_back(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources.");
    }
    return {};
}

Result<void> Containers::Impl::check_links(const Record& record) const {
    const api::HostConfig& host = record.host_config;
    if (host.links.empty()) return {};
    if (host.network_mode == "host") {
        return fail(Code::InvalidArgument,
                    "conflicting options: host type networking can't be used with links. This "
                    "would result in undefined behavior");
    }
    if (shared_with(host.network_mode)) {
        return fail(Code::InvalidArgument,
                    "conflicting options: container type network can't be used with links. This "
                    "would result in undefined behavior");
    }
    if (host.network_mode == "bridge" && !TRY(core.networks.get("bridge")).icc) {
        return fail(Code::InvalidArgument,
                    "links on the default bridge network need its containers to reach each other "
                    "(cofferd --security-level compat): use a user-defined network");
    }
    for (const std::string& link : host.links) {
        const std::string target = link.substr(0, link.find(':'));
        TRY_CONTEXT(find(target), "could not get container for {}", target);
    }
    return {};
}

Result<Record> Containers::Impl::new_record(const std::string& name,
                                            const api::ContainerCreateRequest& request,
                                            const Caller& caller, store::Lease& lease,
                                            std::vector<std::string>& warnings) {
    if (request.config.image.empty()) {
        return fail(Code::InvalidArgument, "Config.Image cannot be empty");
    }
    const ImageForContainer image =
        TRY(core.images.take(request.config.image, request.platform, lease));
    if (!image.warning.empty()) warnings.push_back(image.warning);
    Record record;
    record.id = random_id();
    record.name = name;
    record.created = to_rfc3339_short(now());
    record.image_id = image.id;
    record.image_name = request.config.image;
    record.chain_id = image.chain_id;
    record.config = request.config;
    record.host_config = request.host_config;
    merge_image(image.config.config, record.config);

    api::ContainerConfig& config = record.config;
    api::HostConfig& host = record.host_config;
    TRY(refuse_unsupported(host));
    TRY(check_restart_policy(host));
    TRY(prepare_health(config));
    TRY(check_caller(host, caller));
    TRY(check_text(config));
    TRY(check_resources(host.resources, warnings));
    TRY(check_ports(host));
    config.exposed_ports = join_ports(config.exposed_ports);
    host.port_bindings = join_ports(host.port_bindings);
    if (!config.stop_signal.empty()) TRY(parse_signal(config.stop_signal));
    const Rights rights = TRY(rights_of(host, core.settings.level));
    record.level = std::string(security::name_of(rights.level));
    TRY(build_resources(host.resources, security::profile(rights.level), 1U << 30U));
    for (const std::string& extra : host.extra_hosts) TRY(network::parse_extra_host(extra));

    std::vector<std::string> command = config.entrypoint.value_or(std::vector<std::string>());
    const auto cmd = config.cmd.value_or(std::vector<std::string>());
    command.insert(command.end(), cmd.begin(), cmd.end());
    if (command.empty()) return fail(Code::InvalidArgument, "no command specified");
    record.path = command.front();
    record.args.assign(command.begin() + 1, command.end());

    host.network_mode = network_of(host);
    if (config.network_disabled) host.network_mode = "none";
    TRY(settle_modes(record, caller));
    if (rights.writable_cgroups) TRY(check_writable_cgroups(host));
    if (!shared_with(host.network_mode)) {
        // One that is not there yet is an error of the start.
        const auto found = core.networks.get(host.network_mode);
        network::Network known;
        known.name = host.network_mode;
        if (found) known = *found;
        for (const auto& [wanted, settings] : request.networking_config.endpoints_config) {
            const std::string key = wanted == "default" ? "bridge" : wanted;
            const auto network = core.networks.get(key);
            if (network) TRY(check_endpoint(*network, settings));
            api::EndpointSettings& own = record.networks[network ? network->name : key];
            own = settings;
            if (network) own.network_id = network->id;
        }
        auto [entry, added] = record.networks.try_emplace(known.name);
        entry->second.network_id = known.id;
        if (added && !config.mac_address.empty()) entry->second.mac_address = config.mac_address;
    }
    TRY(check_links(record));
    if (config.hostname.empty() && !shared_with(host.network_mode)) {
        config.hostname = record.id.substr(0, 12);
    }
    TRY(settle_log_config(core.settings, caller, host.log_config));
    if (host.shm_size == 0) host.shm_size = 64 << 20;
    if (host.runtime.empty()) host.runtime = "coffer";
    if (host.restart_policy.name.empty()) host.restart_policy.name = "no";
    return record;
}

Result<api::ContainerCreateResponse> Containers::create(const std::string& name,
                                                        const api::ContainerCreateRequest& request,
                                                        const Caller& caller) {
    api::ContainerCreateResponse response;
    response.id = TRY(impl_->create(name.starts_with('/') ? name.substr(1) : name, request, caller,
                                    response.warnings, nullptr));
    return response;
}

Result<std::string> Containers::Impl::create(const std::string& wanted,
                                             const api::ContainerCreateRequest& request,
                                             const Caller& caller,
                                             std::vector<std::string>& warnings,
                                             const std::shared_ptr<const Record>& replaced) {
    if (!wanted.empty() && !is_valid_name(wanted)) {
        return fail(Code::InvalidArgument,
                    "Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                    wanted);
    }
    // Of the images, until the container is there to be asked.
    const auto lease = core.store.lease();
    Record record = TRY(new_record(wanted, request, caller, *lease, warnings));
    if (replaced) {
        record.replaces = Replaced{.id = replaced->id,
                                   .name = replaced->name,
                                   .was_up = replaced->is_up(),
                                   .endpoints = replaced->endpoints};
    }

    TRY(check_secrets(record));

    Rollback undo;
    // The name is taken first: of two who want it, one gets it.
    for (int attempt = 0;; ++attempt) {
        if (wanted.empty()) record.name = make_up_name(attempt);
        auto locked = table.lock();
        const auto [taken, added] = locked->id_by_name.emplace(record.name, record.id);
        if (added) break;
        if (wanted.empty() && attempt < 100) continue;
        return fail(
            Code::Conflict,
            "Conflict. The container name \"/{}\" is already in use by container \"{}\". You "
            "have to remove (or rename) that container to be able to reuse that name.",
            record.name, taken->second);
    }
    TRY(undo.add([&] { table.lock()->id_by_name.erase(record.name); }));

    std::vector<MountRecord> inherited;
    for (const std::string& source : record.host_config.volumes_from) {
        const std::string other = source.substr(0, source.find(':'));
        const auto theirs = TRY(find(other))->record();
        TRY(inherit_mounts(theirs->mounts, source, caller, inherited));
    }
    for (const MountRecord& mount : replaced ? replaced->mounts : std::vector<MountRecord>()) {
        if (mount.type != "volume") continue;
        const auto volume = core.volumes.find(mount.name);
        if (volume && volume->anonymous) inherited.push_back(mount);
    }
    record.mounts = TRY(collect_mounts(
        record.config, record.host_config, inherited, caller,
        [&](const std::string& image) { return find_image(image, *lease); },
        [&](const MountRecord& mount) { return take_volume(record.id, mount, caller, undo); }));

    TRY(core.store.create_writable(record.id, record.chain_id));
    TRY(undo.add(
        [&] { ignore(core.store.remove_writable(record.id), "swept at the next start"); }));
    TRY(undo.add([&] { clear_quota(record); }));
    TRY(set_quota(record));
    TRY(core.store.database().run("INSERT INTO containers (id, name, record) VALUES (?, ?, ?)",
                                  {record.id, record.name, json::encode(record)},
                                  durability_of(record)));
    table.lock()->by_id.emplace(
        record.id, std::make_shared<Container>(std::make_shared<const Record>(record)));
    undo.commit();
    core.volumes.claim(record.id);
    publish_event(record, "create");
    return record.id;
}

}  // namespace coffer::engine
