#include "api/container.hpp"

namespace coffer::api {

void describe(json::Fields& f, const ContainerCreateRequest& s) {
    describe(f, s.config);
    f("HostConfig", s.host_config);
    f("NetworkingConfig", s.networking_config);
}

void describe(json::Fields& f, const ContainerCreateResponse& s) {
    f("Id", s.id);
    f("Warnings", s.warnings);
}

void describe(json::Fields& f, const HealthLog& s) {
    f("Start", s.start);
    f("End", s.end);
    f("ExitCode", s.exit_code);
    f("Output", s.output);
}

void describe(json::Fields& f, const Health& s) {
    f("Status", s.status);
    f("FailingStreak", s.failing_streak);
    f("Log", s.log);
}

void describe(json::Fields& f, const ContainerState& s) {
    f("Status", s.status);
    f("Running", s.running);
    f("Paused", s.paused);
    f("Restarting", s.restarting);
    f("OOMKilled", s.oom_killed);
    f("Dead", s.dead);
    f("Pid", s.pid);
    f("ExitCode", s.exit_code);
    f("Error", s.error);
    f("StartedAt", s.started_at);
    f("FinishedAt", s.finished_at);
    f("Health", s.health, json::kOmitEmpty);
    f("ExitSignal", s.exit_signal, json::kOmitEmpty);
    f("OOMKills", s.oom_kills, json::kOmitEmpty);
    f("EndedBy", s.ended_by, json::kOmitEmpty);
}

void describe(json::Fields& f, const GraphDriver& s) {
    f("Data", s.data, json::kNullIfEmpty);
    f("Name", s.name);
}

void describe(json::Fields& f, const MountPoint& s) {
    f("Type", s.type, json::kOmitEmpty);
    f("Name", s.name, json::kOmitEmpty);
    f("Source", s.source);
    f("Destination", s.destination);
    f("Driver", s.driver, json::kOmitEmpty);
    f("Mode", s.mode);
    f("RW", s.rw);
    f("Propagation", s.propagation);
}

void describe(json::Fields& f, const Address& s) {
    f("Addr", s.addr);
    f("PrefixLen", s.prefix_len);
}

void describe(json::Fields& f, const NetworkSettings& s) {
    f("Bridge", s.bridge);
    f("SandboxID", s.sandbox_id);
    f("SandboxKey", s.sandbox_key);
    f("Ports", s.ports);
    f("HairpinMode", s.hairpin_mode);
    f("LinkLocalIPv6Address", s.link_local_ipv6_address);
    f("LinkLocalIPv6PrefixLen", s.link_local_ipv6_prefix_len);
    f("SecondaryIPAddresses", s.secondary_ip_addresses, json::kNullIfEmpty);
    f("SecondaryIPv6Addresses", s.secondary_ipv6_addresses, json::kNullIfEmpty);
    f("EndpointID", s.endpoint_id);
    f("Gateway", s.gateway);
    f("GlobalIPv6Address", s.global_ipv6_address);
    f("GlobalIPv6PrefixLen", s.global_ipv6_prefix_len);
    f("IPAddress", s.ip_address);
    f("IPPrefixLen", s.ip_prefix_len);
    f("IPv6Gateway", s.ipv6_gateway);
    f("MacAddress", s.mac_address);
    f("Networks", s.networks);
}

void describe(json::Fields& f, const ContainerInspect& s) {
    f("Id", s.id);
    f("Created", s.created);
    f("Path", s.path);
    f("Args", s.args);
    f("State", s.state);
    f("Image", s.image);
    f("ResolvConfPath", s.resolv_conf_path);
    f("HostnamePath", s.hostname_path);
    f("HostsPath", s.hosts_path);
    f("LogPath", s.log_path);
    f("Name", s.name);
    f("RestartCount", s.restart_count);
    f("Driver", s.driver);
    f("Platform", s.platform);
    f("MountLabel", s.mount_label);
    f("ProcessLabel", s.process_label);
    f("AppArmorProfile", s.app_armor_profile);
    f("ExecIDs", s.exec_ids, json::kNullIfEmpty);
    f("HostConfig", s.host_config);
    f("GraphDriver", s.graph_driver);
    f("SizeRw", s.size_rw, json::kOmitEmpty);
    f("SizeRootFs", s.size_root_fs, json::kOmitEmpty);
    f("Mounts", s.mounts);
    f("Config", s.config);
    f("NetworkSettings", s.network_settings);
}

void describe(json::Fields& f, const Port& s) {
    f("IP", s.ip, json::kOmitEmpty);
    f("PrivatePort", s.private_port);
    f("PublicPort", s.public_port, json::kOmitEmpty);
    f("Type", s.type);
}

void describe(json::Fields& f, const HostConfigSummary& s) {
    f("NetworkMode", s.network_mode, json::kOmitEmpty);
    f("Annotations", s.annotations, json::kOmitEmpty);
}

void describe(json::Fields& f, const NetworkSettingsSummary& s) {
    f("Networks", s.networks);
}

void describe(json::Fields& f, const ContainerSummary& s) {
    f("Id", s.id);
    f("Names", s.names);
    f("Image", s.image);
    f("ImageID", s.image_id);
    f("Command", s.command);
    f("Created", s.created);
    f("Ports", s.ports);
    f("SizeRw", s.size_rw, json::kOmitEmpty);
    f("SizeRootFs", s.size_root_fs, json::kOmitEmpty);
    f("Labels", s.labels);
    f("State", s.state);
    f("Status", s.status);
    f("HostConfig", s.host_config);
    f("NetworkSettings", s.network_settings);
    f("Mounts", s.mounts);
}

void describe(json::Fields& f, const TopResponse& s) {
    f("Processes", s.processes);
    f("Titles", s.titles);
}

void describe(json::Fields& f, const WaitExitError& s) {
    f("Message", s.message, json::kOmitEmpty);
}

void describe(json::Fields& f, const WaitResponse& s) {
    f("Error", s.error, json::kOmitEmpty);
    f("StatusCode", s.status_code);
}

void describe(json::Fields& f, const ContainerUpdateRequest& s) {
    describe(f, s.resources);
    f("RestartPolicy", s.restart_policy);
    f("LogConfig", s.log_config);
    f("PublishAdd", s.publish_add);
    f("PublishRemove", s.publish_remove);
    f("MountAdd", s.mount_add);
    f("MountRemove", s.mount_remove);
}

void describe(json::Fields& f, const ContainerUpdateResponse& s) {
    f("Warnings", s.warnings, json::kNullIfEmpty);
}

void describe(json::Fields& f, const ChangeItem& s) {
    f("Kind", s.kind);
    f("Path", s.path);
}

void describe(json::Fields& f, const ContainersPruneReport& s) {
    f("ContainersDeleted", s.containers_deleted, json::kNullIfEmpty);
    f("SpaceReclaimed", s.space_reclaimed);
}

void describe(json::Fields& f, const PathStat& s) {
    f("name", s.name);
    f("size", s.size);
    f("mode", s.mode);
    f("mtime", s.mtime);
    f("linkTarget", s.link_target);
}

}  // namespace coffer::api
