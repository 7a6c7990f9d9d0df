#pragma once
// What a container is asked to be: ContainerConfig and HostConfig of the Engine API 1.50. Plain
// data. A member is the snake case of its wire name; std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/network.hpp"
#include "json/codec.hpp"

namespace coffer::api {

using Strings = std::vector<std::string>;
using StringMap = std::map<std::string, std::string>;

struct HealthConfig {
    Strings test;               // empty: the image's; {"NONE"}: off
    std::int64_t interval = 0;  // nanoseconds, as the others; 0 inherits
    std::int64_t timeout = 0;
    std::int64_t start_period = 0;
    std::int64_t start_interval = 0;
    std::int64_t retries = 0;
};

struct ContainerConfig {
    std::string hostname;
    std::string domainname;
    std::string user;
    bool attach_stdin = false;
    bool attach_stdout = false;
    bool attach_stderr = false;
    std::map<std::string, json::Empty> exposed_ports;
    bool tty = false;
    bool open_stdin = false;
    bool stdin_once = false;
    Strings env;
    std::optional<Strings> cmd;
    std::optional<HealthConfig> healthcheck;
    bool args_escaped = false;
    std::string image;
    std::map<std::string, json::Empty> volumes;
    std::string working_dir;
    std::optional<Strings> entrypoint;  // absent inherits; {""} or {} clears
    bool network_disabled = false;
    std::string mac_address;  // deprecated: of the main endpoint
    Strings on_build;
    StringMap labels;
    std::string stop_signal;
    std::optional<std::int64_t> stop_timeout;  // seconds
    std::optional<Strings> shell;
};

struct LogConfig {
    std::string type;
    StringMap config;
};

struct RestartPolicy {
    std::string name;  // "", no, always, unless-stopped, on-failure
    std::int64_t maximum_retry_count = 0;
};

struct WeightDevice {
    std::string path;
    std::uint16_t weight = 0;
};

struct ThrottleDevice {
    std::string path;
    std::uint64_t rate = 0;
};

struct DeviceMapping {
    std::string path_on_host;
    std::string path_in_container;
    std::string cgroup_permissions;
};

struct DeviceRequest {
    std::string driver;
    std::int64_t count = 0;
    Strings device_ids;
    std::vector<Strings> capabilities;
    StringMap options;
};

struct Ulimit {
    std::string name;
    std::int64_t hard = 0;
    std::int64_t soft = 0;
};

struct Resources {
    std::int64_t cpu_shares = 0;
    std::int64_t memory = 0;
    std::int64_t nano_cpus = 0;
    std::string cgroup_parent;
    std::uint16_t blkio_weight = 0;
    std::vector<WeightDevice> blkio_weight_device;
    std::vector<ThrottleDevice> blkio_device_read_bps;
    std::vector<ThrottleDevice> blkio_device_write_bps;
    std::vector<ThrottleDevice> blkio_device_read_iops;
    std::vector<ThrottleDevice> blkio_device_write_iops;
    std::int64_t cpu_period = 0;
    std::int64_t cpu_quota = 0;
    std::int64_t cpu_realtime_period = 0;
    std::int64_t cpu_realtime_runtime = 0;
    std::string cpuset_cpus;
    std::string cpuset_mems;
    std::vector<DeviceMapping> devices;
    Strings device_cgroup_rules;
    std::vector<DeviceRequest> device_requests;
    std::int64_t memory_reservation = 0;
    std::int64_t memory_swap = 0;
    std::optional<std::int64_t> memory_swappiness;
    std::optional<bool> oom_kill_disable;
    std::optional<std::int64_t> pids_limit;
    std::vector<Ulimit> ulimits;
    std::int64_t cpu_count = 0;
    std::int64_t cpu_percent = 0;
    std::uint64_t io_maximum_iops = 0;
    std::uint64_t io_maximum_bandwidth = 0;
};

struct BindOptions {
    std::string propagation;
    bool non_recursive = false;
    bool create_mountpoint = false;
    bool read_only_non_recursive = false;
    bool read_only_force_recursive = false;
};

struct DriverConfig {
    std::string name;
    StringMap options;
};

struct VolumeOptions {
    bool no_copy = false;
    StringMap labels;
    std::string subpath;
    std::optional<DriverConfig> driver_config;
};

struct ImageOptions {
    std::string subpath;
};

struct TmpfsOptions {
    std::int64_t size_bytes = 0;
    std::uint32_t mode = 0;
    std::vector<Strings> options;
};

struct Mount {
    std::string type;  // bind volume tmpfs image ...
    std::string source;
    std::string target;
    bool read_only = false;
    std::string consistency;
    std::string id_map;  // ours, of binds and volumes: what `idmap=` of a -v says
    std::optional<BindOptions> bind_options;
    std::optional<VolumeOptions> volume_options;
    std::optional<ImageOptions> image_options;
    std::optional<TmpfsOptions> tmpfs_options;
};

struct HostConfig {
    Strings binds;
    std::string container_id_file;
    LogConfig log_config;
    std::string network_mode;
    PortMap port_bindings;
    RestartPolicy restart_policy;
    bool auto_remove = false;
    std::string volume_driver;
    Strings volumes_from;
    std::vector<std::uint32_t> console_size = {0, 0};  // height, width
    StringMap annotations;
    Strings cap_add;
    Strings cap_drop;
    std::string cgroupns_mode;
    Strings dns;
    Strings dns_options;
    Strings dns_search;
    Strings extra_hosts;
    Strings group_add;
    std::string ipc_mode;
    std::string cgroup;
    Strings links;
    std::int64_t oom_score_adj = 0;
    std::string pid_mode;
    bool privileged = false;
    bool publish_all_ports = false;
    bool readonly_rootfs = false;
    Strings security_opt;
    StringMap storage_opt;
    StringMap tmpfs;
    std::string uts_mode;
    std::string userns_mode;
    std::int64_t shm_size = 0;
    StringMap sysctls;
    std::string runtime;
    std::string isolation;
    Resources resources;  // embedded: its fields stand among these
    std::vector<Mount> mounts;
    std::optional<Strings> masked_paths;  // absent: the engine's; {}: none
    std::optional<Strings> readonly_paths;
    std::optional<bool> init;
};

void describe(json::Fields& f, const HealthConfig& s);
void describe(json::Fields& f, const ContainerConfig& s);
void describe(json::Fields& f, const LogConfig& s);
void describe(json::Fields& f, const RestartPolicy& s);
void describe(json::Fields& f, const WeightDevice& s);
void describe(json::Fields& f, const ThrottleDevice& s);
void describe(json::Fields& f, const DeviceMapping& s);
void describe(json::Fields& f, const DeviceRequest& s);
void describe(json::Fields& f, const Ulimit& s);
void describe(json::Fields& f, const Resources& s);
void describe(json::Fields& f, const BindOptions& s);
void describe(json::Fields& f, const DriverConfig& s);
void describe(json::Fields& f, const VolumeOptions& s);
void describe(json::Fields& f, const ImageOptions& s);
void describe(json::Fields& f, const TmpfsOptions& s);
void describe(json::Fields& f, const Mount& s);
void describe(json::Fields& f, const HostConfig& s);

}  // namespace coffer::api
