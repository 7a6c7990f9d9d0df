#include "api/config.hpp"

namespace coffer::api {

void describe(json::Fields& f, const HealthConfig& s) {
    f("Test", s.test, json::kOmitEmpty);
    f("Interval", s.interval, json::kOmitEmpty);
    f("Timeout", s.timeout, json::kOmitEmpty);
    f("StartPeriod", s.start_period, json::kOmitEmpty);
    f("StartInterval", s.start_interval, json::kOmitEmpty);
    f("Retries", s.retries, json::kOmitEmpty);
}

void describe(json::Fields& f, const ContainerConfig& s) {
    f("Hostname", s.hostname);
    f("Domainname", s.domainname);
    f("User", s.user);
    f("AttachStdin", s.attach_stdin);
    f("AttachStdout", s.attach_stdout);
    f("AttachStderr", s.attach_stderr);
    f("ExposedPorts", s.exposed_ports, json::kOmitEmpty);
    f("Tty", s.tty);
    f("OpenStdin", s.open_stdin);
    f("StdinOnce", s.stdin_once);
    f("Env", s.env, json::kNullIfEmpty);
    f.words("Cmd", s.cmd, json::kNullIfEmpty);
    f("Healthcheck", s.healthcheck, json::kOmitEmpty);
    f("ArgsEscaped", s.args_escaped, json::kOmitEmpty);
    f("Image", s.image);
    f("Volumes", s.volumes, json::kNullIfEmpty);
    f("WorkingDir", s.working_dir);
    f.words("Entrypoint", s.entrypoint);
    f("NetworkDisabled", s.network_disabled, json::kOmitEmpty);
    f("MacAddress", s.mac_address, json::kOmitEmpty);
    f("OnBuild", s.on_build, json::kNullIfEmpty);
    f("Labels", s.labels);
    f("StopSignal", s.stop_signal, json::kOmitEmpty);
    f("StopTimeout", s.stop_timeout, json::kOmitEmpty);
    f.words("Shell", s.shell, json::kOmitEmpty);
}

void describe(json::Fields& f, const LogConfig& s) {
    f("Type", s.type);
    f("Config", s.config);
}

void describe(json::Fields& f, const RestartPolicy& s) {
    f("Name", s.name);
    f("MaximumRetryCount", s.maximum_retry_count);
}

void describe(json::Fields& f, const WeightDevice& s) {
    f("Path", s.path);
    f("Weight", s.weight);
}

void describe(json::Fields& f, const ThrottleDevice& s) {
    f("Path", s.path);
    f("Rate", s.rate);
}

void describe(json::Fields& f, const DeviceMapping& s) {
    f("PathOnHost", s.path_on_host);
    f("PathInContainer", s.path_in_container);
    f("CgroupPermissions", s.cgroup_permissions);
}

void describe(json::Fields& f, const DeviceRequest& s) {
    f("Driver", s.driver);
    f("Count", s.count);
    f("DeviceIDs", s.device_ids, json::kNullIfEmpty);
    f("Capabilities", s.capabilities, json::kNullIfEmpty);
    f("Options", s.options);
}

void describe(json::Fields& f, const Ulimit& s) {
    f("Name", s.name);
    f("Hard", s.hard);
    f("Soft", s.soft);
}

void describe(json::Fields& f, const Resources& s) {
    f("CpuShares", s.cpu_shares);
    f("Memory", s.memory);
    f("NanoCpus", s.nano_cpus);
    f("CgroupParent", s.cgroup_parent);
    f("BlkioWeight", s.blkio_weight);
    f("BlkioWeightDevice", s.blkio_weight_device);
    f("BlkioDeviceReadBps", s.blkio_device_read_bps);
    f("BlkioDeviceWriteBps", s.blkio_device_write_bps);
    f("BlkioDeviceReadIOps", s.blkio_device_read_iops);
    f("BlkioDeviceWriteIOps", s.blkio_device_write_iops);
    f("CpuPeriod", s.cpu_period);
    f("CpuQuota", s.cpu_quota);
    f("CpuRealtimePeriod", s.cpu_realtime_period);
    f("CpuRealtimeRuntime", s.cpu_realtime_runtime);
    f("CpusetCpus", s.cpuset_cpus);
    f("CpusetMems", s.cpuset_mems);
    f("Devices", s.devices);
    f("DeviceCgroupRules", s.device_cgroup_rules, json::kNullIfEmpty);
    f("DeviceRequests", s.device_requests, json::kNullIfEmpty);
    f("MemoryReservation", s.memory_reservation);
    f("MemorySwap", s.memory_swap);
    f("MemorySwappiness", s.memory_swappiness);
    f("OomKillDisable", s.oom_kill_disable);
    f("PidsLimit", s.pids_limit);
    f("Ulimits", s.ulimits);
    f("CpuCount", s.cpu_count);
    f("CpuPercent", s.cpu_percent);
    f("IOMaximumIOps", s.io_maximum_iops);
    f("IOMaximumBandwidth", s.io_maximum_bandwidth);
}

void describe(json::Fields& f, const BindOptions& s) {
    f("Propagation", s.propagation, json::kOmitEmpty);
    f("NonRecursive", s.non_recursive, json::kOmitEmpty);
    f("CreateMountpoint", s.create_mountpoint, json::kOmitEmpty);
    f("ReadOnlyNonRecursive", s.read_only_non_recursive, json::kOmitEmpty);
    f("ReadOnlyForceRecursive", s.read_only_force_recursive, json::kOmitEmpty);
}

void describe(json::Fields& f, const DriverConfig& s) {
    f("Name", s.name, json::kOmitEmpty);
    f("Options", s.options, json::kOmitEmpty);
}

void describe(json::Fields& f, const VolumeOptions& s) {
    f("NoCopy", s.no_copy, json::kOmitEmpty);
    f("Labels", s.labels, json::kOmitEmpty);
    f("Subpath", s.subpath, json::kOmitEmpty);
    f("DriverConfig", s.driver_config, json::kOmitEmpty);
}

void describe(json::Fields& f, const ImageOptions& s) {
    f("Subpath", s.subpath, json::kOmitEmpty);
}

void describe(json::Fields& f, const TmpfsOptions& s) {
    f("SizeBytes", s.size_bytes, json::kOmitEmpty);
    f("Mode", s.mode, json::kOmitEmpty);
    f("Options", s.options, json::kOmitEmpty);
}

void describe(json::Fields& f, const Mount& s) {
    f("Type", s.type, json::kOmitEmpty);
    f("Source", s.source, json::kOmitEmpty);
    f("Target", s.target, json::kOmitEmpty);
    f("ReadOnly", s.read_only, json::kOmitEmpty);
    f("Consistency", s.consistency, json::kOmitEmpty);
    f("IdMap", s.id_map, json::kOmitEmpty);
    f("BindOptions", s.bind_options, json::kOmitEmpty);
    f("VolumeOptions", s.volume_options, json::kOmitEmpty);
    f("ImageOptions", s.image_options, json::kOmitEmpty);
    f("TmpfsOptions", s.tmpfs_options, json::kOmitEmpty);
}

void describe(json::Fields& f, const HostConfig& s) {
    f("Binds", s.binds, json::kNullIfEmpty);
    f("ContainerIDFile", s.container_id_file);
    f("LogConfig", s.log_config);
    f("NetworkMode", s.network_mode);
    f("PortBindings", s.port_bindings);
    f("RestartPolicy", s.restart_policy);
    f("AutoRemove", s.auto_remove);
    f("VolumeDriver", s.volume_driver);
    f("VolumesFrom", s.volumes_from, json::kNullIfEmpty);
    f("ConsoleSize", s.console_size);
    f("Annotations", s.annotations, json::kOmitEmpty);
    f.words("CapAdd", s.cap_add, json::kNullIfEmpty);
    f.words("CapDrop", s.cap_drop, json::kNullIfEmpty);
    f("CgroupnsMode", s.cgroupns_mode);
    f("Dns", s.dns);
    f("DnsOptions", s.dns_options);
    f("DnsSearch", s.dns_search);
    f("ExtraHosts", s.extra_hosts, json::kNullIfEmpty);
    f("GroupAdd", s.group_add, json::kNullIfEmpty);
    f("IpcMode", s.ipc_mode);
    f("Cgroup", s.cgroup);
    f("Links", s.links, json::kNullIfEmpty);
    f("OomScoreAdj", s.oom_score_adj);
    f("PidMode", s.pid_mode);
    f("Privileged", s.privileged);
    f("PublishAllPorts", s.publish_all_ports);
    f("ReadonlyRootfs", s.readonly_rootfs);
    f("SecurityOpt", s.security_opt, json::kNullIfEmpty);
    f("StorageOpt", s.storage_opt, json::kOmitEmpty);
    f("Tmpfs", s.tmpfs, json::kOmitEmpty);
    f("UTSMode", s.uts_mode);
    f("UsernsMode", s.userns_mode);
    f("ShmSize", s.shm_size);
    f("Sysctls", s.sysctls, json::kOmitEmpty);
    f("Runtime", s.runtime, json::kOmitEmpty);
    f("Isolation", s.isolation);
    describe(f, s.resources);
    f("Mounts", s.mounts, json::kOmitEmpty);
    f("MaskedPaths", s.masked_paths);
    f("ReadonlyPaths", s.readonly_paths);
    f("Init", s.init, json::kOmitEmpty);
}

}  // namespace coffer::api
