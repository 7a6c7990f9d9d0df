#pragma once
// Containers of the Engine API 1.50: create, inspect, list, top, wait, update, changes. Plain data.
// A member is the snake case of its wire name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/config.hpp"
#include "api/network.hpp"
#include "json/codec.hpp"

namespace coffer::api {

// "0001-01-01T00:00:00Z", Go's zero time: what never happened.
inline constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

struct ContainerCreateRequest {
    ContainerConfig config;  // embedded
    HostConfig host_config;
    NetworkingConfig networking_config;
    std::string platform;  // "os/arch[/variant]"; a parameter of the call, not of its body
};

struct ContainerCreateResponse {
    std::string id;
    Strings warnings;
};

struct HealthLog {
    std::string start;
    std::string end;
    std::int64_t exit_code = 0;
    std::string output;
};

struct Health {
    std::string status;  // none starting healthy unhealthy
    std::int64_t failing_streak = 0;
    std::vector<HealthLog> log;
};

struct ContainerState {
    std::string status;  // created running paused restarting removing exited dead
    bool running = false;
    bool paused = false;
    bool restarting = false;
    bool oom_killed = false;
    bool dead = false;
    std::int64_t pid = 0;
    std::int64_t exit_code = 0;
    std::string error;
    std::string started_at = std::string(kZeroTime);
    std::string finished_at = std::string(kZeroTime);
    std::optional<Health> health;
    // Ours: why it died.
    std::int64_t exit_signal = 0;  // 0: it exited by itself
    std::int64_t oom_kills = 0;    // of any of its processes
    std::string ended_by;          // "stop by uid 0"
};

struct GraphDriver {
    StringMap data;
    std::string name;
};

struct MountPoint {
    std::string type;
    std::string name;
    std::string source;
    std::string destination;
    std::string driver;
    std::string mode;
    bool rw = false;
    std::string propagation;
};

struct Address {
    std::string addr;
    std::int32_t prefix_len = 0;
};

struct NetworkSettings {
    std::string bridge;
    std::string sandbox_id;
    std::string sandbox_key;
    PortMap ports;
    // Kept below API 1.52: those of the default bridge.
    bool hairpin_mode = false;
    std::string link_local_ipv6_address;
    std::int32_t link_local_ipv6_prefix_len = 0;
    std::vector<Address> secondary_ip_addresses;
    std::vector<Address> secondary_ipv6_addresses;
    std::string endpoint_id;
    std::string gateway;
    std::string global_ipv6_address;
    std::int32_t global_ipv6_prefix_len = 0;
    std::string ip_address;
    std::int32_t ip_prefix_len = 0;
    std::string ipv6_gateway;
    std::string mac_address;
    std::map<std::string, EndpointSettings> networks;  // by network name
};

struct ContainerInspect {
    std::string id;
    std::string created;
    std::string path;
    Strings args;
    ContainerState state;
    std::string image;
    std::string resolv_conf_path;
    std::string hostname_path;
    std::string hosts_path;
    std::string log_path;
    std::string name;
    std::int64_t restart_count = 0;
    std::string driver;
    std::string platform;
    std::string mount_label;
    std::string process_label;
    std::string app_armor_profile;
    Strings exec_ids;
    HostConfig host_config;
    GraphDriver graph_driver;
    std::optional<std::int64_t> size_rw;
    std::optional<std::int64_t> size_root_fs;
    std::vector<MountPoint> mounts;
    ContainerConfig config;
    NetworkSettings network_settings;
};

struct Port {
    std::string ip;
    std::uint16_t private_port = 0;
    std::uint16_t public_port = 0;
    std::string type;
};

struct HostConfigSummary {
    std::string network_mode;
    StringMap annotations;
};

struct NetworkSettingsSummary {
    std::map<std::string, EndpointSettings> networks;
};

struct ContainerSummary {
    std::string id;
    Strings names;
    std::string image;
    std::string image_id;
    std::string command;
    std::int64_t created = 0;  // seconds
    std::vector<Port> ports;
    std::optional<std::int64_t> size_rw;
    std::optional<std::int64_t> size_root_fs;
    StringMap labels;
    std::string state;
    std::string status;
    HostConfigSummary host_config;
    NetworkSettingsSummary network_settings;
    std::vector<MountPoint> mounts;
};

struct TopResponse {
    std::vector<Strings> processes;
    Strings titles;
};

struct WaitExitError {
    std::string message;
};

struct WaitResponse {
    std::optional<WaitExitError> error;
    std::int64_t status_code = 0;
};

struct ContainerUpdateRequest {
    Resources resources;  // embedded; zero leaves a limit as it is
    RestartPolicy restart_policy;
    LogConfig log_config;  // ours: limits of the log, changed by themselves
    // Ours, by themselves too. A port without bindings is taken back from all host ports.
    PortMap publish_add;
    PortMap publish_remove;
    // Ours, by themselves too.
    std::vector<Mount> mount_add;
    Strings mount_remove;  // where
};

struct ContainerUpdateResponse {
    Strings warnings;
};

enum class ChangeKind : std::uint8_t { Modified = 0, Added = 1, Deleted = 2 };
struct ChangeItem {
    std::uint8_t kind = 0;  // a ChangeKind
    std::string path;
};

struct ContainersPruneReport {
    Strings containers_deleted;
    std::uint64_t space_reclaimed = 0;
};

// The X-Docker-Container-Path-Stat header, as base64 of this.
struct PathStat {
    std::string name;
    std::int64_t size = 0;
    std::uint32_t mode = 0;  // Go's os.FileMode bits
    std::string mtime;
    std::string link_target;
};

void describe(json::Fields& f, const ContainerCreateRequest& s);
void describe(json::Fields& f, const ContainerCreateResponse& s);
void describe(json::Fields& f, const HealthLog& s);
void describe(json::Fields& f, const Health& s);
void describe(json::Fields& f, const ContainerState& s);
void describe(json::Fields& f, const GraphDriver& s);
void describe(json::Fields& f, const MountPoint& s);
void describe(json::Fields& f, const Address& s);
void describe(json::Fields& f, const NetworkSettings& s);
void describe(json::Fields& f, const ContainerInspect& s);
void describe(json::Fields& f, const Port& s);
void describe(json::Fields& f, const HostConfigSummary& s);
void describe(json::Fields& f, const NetworkSettingsSummary& s);
void describe(json::Fields& f, const ContainerSummary& s);
void describe(json::Fields& f, const TopResponse& s);
void describe(json::Fields& f, const WaitExitError& s);
void describe(json::Fields& f, const WaitResponse& s);
void describe(json::Fields& f, const ContainerUpdateRequest& s);
void describe(json::Fields& f, const ContainerUpdateResponse& s);
void describe(json::Fields& f, const ChangeItem& s);
void describe(json::Fields& f, const ContainersPruneReport& s);
void describe(json::Fields& f, const PathStat& s);

}  // namespace coffer::api
