#pragma once
// The engine about itself: version, info, disk usage, errors (Engine API 1.50). Plain data. A
// member is the snake case of its wire name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/container.hpp"
#include "api/image.hpp"
#include "api/volume.hpp"
#include "json/codec.hpp"

namespace coffer::api {

struct ErrorResponse {
    std::string message;
};

struct IdResponse {
    std::string id;
};

// Of POST /auth.
struct LoginRequest {
    std::string username;
    std::string password;
    std::string server_address;
    std::string identity_token;
    std::string registry_token;
};
struct LoginResponse {
    std::string status;
    std::string identity_token;
};

struct VersionPlatform {
    std::string name;
};

struct ComponentVersion {
    std::string name;
    std::string version;
    StringMap details;
};

struct Version {
    VersionPlatform platform;
    std::vector<ComponentVersion> components;
    std::string version;
    std::string api_version;
    std::string min_api_version;
    std::string git_commit;
    std::string go_version;
    std::string os;
    std::string arch;
    std::string kernel_version;
    bool experimental = false;
    std::string build_time;
};

struct PluginsInfo {
    Strings volume;
    Strings network;
    Strings authorization;
    Strings log;
};

struct IndexInfo {
    std::string name;
    Strings mirrors;
    bool secure = true;
    bool official = false;
};

struct RegistryConfig {
    Strings insecure_registry_cidrs;
    std::map<std::string, IndexInfo> index_configs;
    Strings mirrors;
};

struct RuntimeInfo {
    std::string path;
    Strings runtime_args;
    StringMap status;
};

struct SwarmInfo {
    std::string node_id;
    std::string node_addr;
    std::string local_node_state = "inactive";
    bool control_available = false;
    std::string error;
    json::Value remote_managers;
};

struct Commit {
    std::string id;
};

struct AddressPool {
    std::string base;
    std::int32_t size = 0;
};

struct DiscoveredDevice {
    std::string source;  // "cdi"
    std::string id;
};

struct FirewallInfo {
    std::string driver;
    std::vector<Strings> info;
};

struct Info {
    std::string id;
    std::int64_t containers = 0;
    std::int64_t containers_running = 0;
    std::int64_t containers_paused = 0;
    std::int64_t containers_stopped = 0;
    std::int64_t images = 0;
    std::string driver;
    std::vector<Strings> driver_status;  // pairs
    PluginsInfo plugins;
    bool memory_limit = false;
    bool swap_limit = false;
    bool cpu_cfs_period = false;
    bool cpu_cfs_quota = false;
    bool cpu_shares = false;
    bool cpu_set = false;
    bool pids_limit = false;
    bool ipv4_forwarding = false;
    std::optional<bool> bridge_nf_iptables;  // below 1.50: always false
    std::optional<bool> bridge_nf_ip6tables;
    bool debug = false;
    std::int64_t n_fd = 0;
    bool oom_kill_disable = false;
    std::int64_t n_goroutines = 0;
    std::string system_time;
    std::string logging_driver;
    std::string cgroup_driver;
    std::string cgroup_version;
    std::int64_t n_events_listener = 0;
    std::string kernel_version;
    std::string operating_system;
    std::string os_version;
    std::string os_type;
    std::string architecture;
    std::string index_server_address;
    RegistryConfig registry_config;
    std::int64_t n_cpu = 0;
    std::int64_t mem_total = 0;
    json::Value generic_resources;
    std::string docker_root_dir;
    std::string http_proxy;
    std::string https_proxy;
    std::string no_proxy;
    std::string name;
    Strings labels;
    bool experimental_build = false;
    std::string server_version;
    std::map<std::string, RuntimeInfo> runtimes;
    std::string default_runtime;
    SwarmInfo swarm;
    bool live_restore_enabled = false;
    std::string isolation;
    std::string init_binary;
    Commit containerd_commit;
    Commit runc_commit;
    Commit init_commit;
    Strings security_options;
    std::string product_license;
    std::vector<AddressPool> default_address_pools;
    std::optional<FirewallInfo> firewall_backend;
    Strings cdi_spec_dirs;
    std::vector<DiscoveredDevice> discovered_devices;
    Strings warnings;
};

struct BuildCacheRecord {
    std::string id;
    Strings parents;
    std::string type;
    std::string description;
    bool in_use = false;
    bool shared = false;
    std::int64_t size = 0;
    std::string created_at;
    std::optional<std::string> last_used_at;
    std::int64_t usage_count = 0;
};

// Of GET /system/df; a list is null when its type was not asked for.
struct DiskUsage {
    std::int64_t layers_size = 0;
    std::optional<std::vector<ImageSummary>> images;
    std::optional<std::vector<ContainerSummary>> containers;
    std::optional<std::vector<Volume>> volumes;
    std::optional<std::vector<BuildCacheRecord>> build_cache;
};

struct BuildCachePruneReport {
    Strings caches_deleted;
    std::uint64_t space_reclaimed = 0;
};

// Our own: what `coffer system check` finds. Of a blob, layer, container, temporary, mount
// or run.
struct SystemFinding {
    std::string kind;
    std::string object;
    std::string problem;
    bool repaired = false;
};
struct SystemCheck {
    std::vector<SystemFinding> findings;
};

// Our own: what `coffer system gc` removed, or would remove.
struct CollectedItem {
    std::string kind;  // image, or partial: of a pull that broke off
    std::string id;    // of the image, or the digest of the blob
    Strings names;
    std::int64_t size = 0;  // bytes that are free once it and those before it are gone
    std::string last_used;
    std::string reason;
};
struct Collection {
    std::string target;        // what was to stay in use at most: "80%", "20GB"
    std::int64_t missing = 0;  // bytes that are still in use beyond that
    std::vector<CollectedItem> items;
};

void describe(json::Fields& f, const ErrorResponse& s);
void describe(json::Fields& f, const IdResponse& s);
void describe(json::Fields& f, const LoginRequest& s);
void describe(json::Fields& f, const LoginResponse& s);
void describe(json::Fields& f, const VersionPlatform& s);
void describe(json::Fields& f, const ComponentVersion& s);
void describe(json::Fields& f, const Version& s);
void describe(json::Fields& f, const PluginsInfo& s);
void describe(json::Fields& f, const IndexInfo& s);
void describe(json::Fields& f, const RegistryConfig& s);
void describe(json::Fields& f, const RuntimeInfo& s);
void describe(json::Fields& f, const SwarmInfo& s);
void describe(json::Fields& f, const Commit& s);
void describe(json::Fields& f, const AddressPool& s);
void describe(json::Fields& f, const DiscoveredDevice& s);
void describe(json::Fields& f, const FirewallInfo& s);
void describe(json::Fields& f, const Info& s);
void describe(json::Fields& f, const BuildCacheRecord& s);
void describe(json::Fields& f, const DiskUsage& s);
void describe(json::Fields& f, const BuildCachePruneReport& s);
void describe(json::Fields& f, const SystemFinding& s);
void describe(json::Fields& f, const SystemCheck& s);
void describe(json::Fields& f, const CollectedItem& s);
void describe(json::Fields& f, const Collection& s);

}  // namespace coffer::api
