#include "api/system.hpp"

namespace coffer::api {

void describe(json::Fields& f, const ErrorResponse& s) {
    f("message", s.message);
}

void describe(json::Fields& f, const IdResponse& s) {
    f("Id", s.id);
}

void describe(json::Fields& f, const LoginRequest& s) {
    f("username", s.username, json::kOmitEmpty);
    f("password", s.password, json::kOmitEmpty);
    f("serveraddress", s.server_address, json::kOmitEmpty);
    f("identitytoken", s.identity_token, json::kOmitEmpty);
    f("registrytoken", s.registry_token, json::kOmitEmpty);
}

void describe(json::Fields& f, const LoginResponse& s) {
    f("Status", s.status);
    f("IdentityToken", s.identity_token);
}

void describe(json::Fields& f, const VersionPlatform& s) {
    f("Name", s.name);
}

void describe(json::Fields& f, const ComponentVersion& s) {
    f("Name", s.name);
    f("Version", s.version);
    f("Details", s.details, json::kOmitEmpty);
}

void describe(json::Fields& f, const Version& s) {
    f("Platform", s.platform);
    f("Components", s.components, json::kOmitEmpty);
    f("Version", s.version);
    f("ApiVersion", s.api_version);
    f("MinAPIVersion", s.min_api_version, json::kOmitEmpty);
    f("GitCommit", s.git_commit);
    f("GoVersion", s.go_version);
    f("Os", s.os);
    f("Arch", s.arch);
    f("KernelVersion", s.kernel_version, json::kOmitEmpty);
    f("Experimental", s.experimental, json::kOmitEmpty);
    f("BuildTime", s.build_time, json::kOmitEmpty);
}

void describe(json::Fields& f, const PluginsInfo& s) {
    f("Volume", s.volume, json::kNullIfEmpty);
    f("Network", s.network, json::kNullIfEmpty);
    f("Authorization", s.authorization, json::kNullIfEmpty);
    f("Log", s.log, json::kNullIfEmpty);
}

void describe(json::Fields& f, const IndexInfo& s) {
    f("Name", s.name);
    f("Mirrors", s.mirrors);
    f("Secure", s.secure);
    f("Official", s.official);
}

void describe(json::Fields& f, const RegistryConfig& s) {
    f("InsecureRegistryCIDRs", s.insecure_registry_cidrs);
    f("IndexConfigs", s.index_configs);
    f("Mirrors", s.mirrors);
}

void describe(json::Fields& f, const RuntimeInfo& s) {
    f("path", s.path, json::kOmitEmpty);
    f("runtimeArgs", s.runtime_args, json::kOmitEmpty);
    f("status", s.status, json::kOmitEmpty);
}

void describe(json::Fields& f, const SwarmInfo& s) {
    f("NodeID", s.node_id);
    f("NodeAddr", s.node_addr);
    f("LocalNodeState", s.local_node_state);
    f("ControlAvailable", s.control_available);
    f("Error", s.error);
    f("RemoteManagers", s.remote_managers);
}

void describe(json::Fields& f, const Commit& s) {
    f("ID", s.id);
}

void describe(json::Fields& f, const AddressPool& s) {
    f("Base", s.base);
    f("Size", s.size);
}

void describe(json::Fields& f, const DiscoveredDevice& s) {
    f("Source", s.source);
    f("ID", s.id);
}

void describe(json::Fields& f, const FirewallInfo& s) {
    f("Driver", s.driver);
    f("Info", s.info, json::kOmitEmpty);
}

void describe(json::Fields& f, const Info& s) {
    f("ID", s.id);
    f("Containers", s.containers);
    f("ContainersRunning", s.containers_running);
    f("ContainersPaused", s.containers_paused);
    f("ContainersStopped", s.containers_stopped);
    f("Images", s.images);
    f("Driver", s.driver);
    f("DriverStatus", s.driver_status);
    f("Plugins", s.plugins);
    f("MemoryLimit", s.memory_limit);
    f("SwapLimit", s.swap_limit);
    f("CpuCfsPeriod", s.cpu_cfs_period);
    f("CpuCfsQuota", s.cpu_cfs_quota);
    f("CPUShares", s.cpu_shares);
    f("CPUSet", s.cpu_set);
    f("PidsLimit", s.pids_limit);
    f("IPv4Forwarding", s.ipv4_forwarding);
    f("BridgeNfIptables", s.bridge_nf_iptables, json::kOmitEmpty);
    f("BridgeNfIp6tables", s.bridge_nf_ip6tables, json::kOmitEmpty);
    f("Debug", s.debug);
    f("NFd", s.n_fd);
    f("OomKillDisable", s.oom_kill_disable);
    f("NGoroutines", s.n_goroutines);
    f("SystemTime", s.system_time);
    f("LoggingDriver", s.logging_driver);
    f("CgroupDriver", s.cgroup_driver);
    f("CgroupVersion", s.cgroup_version, json::kOmitEmpty);
    f("NEventsListener", s.n_events_listener);
    f("KernelVersion", s.kernel_version);
    f("OperatingSystem", s.operating_system);
    f("OSVersion", s.os_version);
    f("OSType", s.os_type);
    f("Architecture", s.architecture);
    f("IndexServerAddress", s.index_server_address);
    f("RegistryConfig", s.registry_config);
    f("NCPU", s.n_cpu);
    f("MemTotal", s.mem_total);
    f("GenericResources", s.generic_resources);
    f("DockerRootDir", s.docker_root_dir);
    f("HttpProxy", s.http_proxy);
    f("HttpsProxy", s.https_proxy);
    f("NoProxy", s.no_proxy);
    f("Name", s.name);
    f("Labels", s.labels);
    f("ExperimentalBuild", s.experimental_build);
    f("ServerVersion", s.server_version);
    f("Runtimes", s.runtimes);
    f("DefaultRuntime", s.default_runtime);
    f("Swarm", s.swarm);
    f("LiveRestoreEnabled", s.live_restore_enabled);
    f("Isolation", s.isolation);
    f("InitBinary", s.init_binary);
    f("ContainerdCommit", s.containerd_commit);
    f("RuncCommit", s.runc_commit);
    f("InitCommit", s.init_commit);
    f("SecurityOptions", s.security_options);
    f("ProductLicense", s.product_license, json::kOmitEmpty);
    f("DefaultAddressPools", s.default_address_pools, json::kOmitEmpty);
    f("FirewallBackend", s.firewall_backend, json::kOmitEmpty);
    f("CDISpecDirs", s.cdi_spec_dirs);
    f("DiscoveredDevices", s.discovered_devices, json::kOmitEmpty);
    f("Warnings", s.warnings, json::kNullIfEmpty);
}

void describe(json::Fields& f, const BuildCacheRecord& s) {
    f("ID", s.id);
    f("Parents", s.parents, json::kOmitEmpty);
    f("Type", s.type);
    f("Description", s.description);
    f("InUse", s.in_use);
    f("Shared", s.shared);
    f("Size", s.size);
    f("CreatedAt", s.created_at);
    f("LastUsedAt", s.last_used_at);
    f("UsageCount", s.usage_count);
}

void describe(json::Fields& f, const DiskUsage& s) {
    f("LayersSize", s.layers_size);
    f("Images", s.images);
    f("Containers", s.containers);
    f("Volumes", s.volumes);
    f("BuildCache", s.build_cache);
}

void describe(json::Fields& f, const BuildCachePruneReport& s) {
    f("CachesDeleted", s.caches_deleted, json::kNullIfEmpty);
    f("SpaceReclaimed", s.space_reclaimed);
}

void describe(json::Fields& f, const SystemFinding& s) {
    f("Kind", s.kind);
    f("Object", s.object);
    f("Problem", s.problem);
    f("Repaired", s.repaired);
}

void describe(json::Fields& f, const SystemCheck& s) {
    f("Findings", s.findings);
}

void describe(json::Fields& f, const CollectedItem& s) {
    f("Kind", s.kind);
    f("Id", s.id);
    f("Names", s.names);
    f("Size", s.size);
    f("LastUsed", s.last_used);
    f("Reason", s.reason);
}

void describe(json::Fields& f, const Collection& s) {
    f("Target", s.target);
    f("Missing", s.missing);
    f("Items", s.items);
}

}  // namespace coffer::api
