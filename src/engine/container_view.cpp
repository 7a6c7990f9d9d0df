// What list and inspect show of a record.
#include <sys/stat.h>

#include <algorithm>

#include "engine/containers_impl.hpp"
#include "engine/images.hpp"
#include "engine/logging.hpp"
#include "engine/port_ranges.hpp"
#include "network/networks.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::engine {

namespace {

std::map<std::string, api::EndpointSettings> network_view(
    const Record& record, const std::vector<network::Endpoint>& endpoints) {
    auto networks = record.networks;
    for (const network::Endpoint& endpoint : endpoints) {
        api::EndpointSettings& settings = networks[endpoint.network_name];
        settings.network_id = endpoint.network_id;
        settings.endpoint_id = endpoint.id;
        settings.gateway = endpoint.gateway;
        settings.ip_address = endpoint.ip;
        settings.ip_prefix_len = static_cast<std::int32_t>(endpoint.prefix);
        settings.ipv6_gateway = endpoint.gateway6;
        settings.global_ipv6_address = endpoint.ip6;
        settings.global_ipv6_prefix_len = static_cast<std::int32_t>(endpoint.prefix6);
        settings.mac_address = endpoint.mac;
        if (endpoint.network_name != "bridge") {
            settings.dns_names = network::Networks::names_of(endpoint);
        }
    }
    return networks;
}

std::string port_key(const network::PublishedPort& port) {
    return format("{}/{}", port.container_port, network::to_string(port.protocol));
}

api::PortMap port_view(const Record& record, const std::vector<network::Endpoint>& endpoints) {
    api::PortMap ports;
    if (!record.is_running()) return ports;
    for (const auto& [port, nothing] : split_ports(record.config.exposed_ports)) {
        ports[port] = std::nullopt;
    }
    for (const network::Endpoint& endpoint : endpoints) {
        for (const network::PublishedPort& range : endpoint.ports) {
            for (std::uint16_t i = 0; i < range.count; ++i) {
                const network::PublishedPort port = range.at(i);
                auto& bindings = ports[port_key(port)];
                if (!bindings) bindings.emplace();
                bindings->push_back({port.host_ip, std::to_string(port.host_port)});
            }
        }
    }
    return ports;
}

std::vector<api::MountPoint> mount_view(const Record& record) {
    std::vector<api::MountPoint> mounts;
    for (const MountRecord& mount : record.mounts) {
        // --tmpfs is shown where it was asked for alone.
        if (record.host_config.tmpfs.contains(mount.target)) continue;
        api::MountPoint point;
        point.type = mount.type;
        point.name = mount.name;
        point.source = mount.source;
        point.destination = mount.target;
        point.driver = mount.type == "volume" ? "local" : "";
        point.mode = mount.mode;
        point.rw = mount.writable;
        point.propagation =
            mount.type == "bind" && mount.propagation.empty() ? "rprivate" : mount.propagation;
        mounts.push_back(std::move(point));
    }
    return mounts;
}

// "Up 2 minutes", "Exited (0) 3 seconds ago": units.HumanDuration of docker.
std::string human(std::chrono::nanoseconds age) {
    const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
    if (seconds < 1) return "Less than a second";
    if (seconds == 1) return "1 second";
    if (seconds < 60) return format("{} seconds", seconds);
    const std::int64_t minutes = seconds / 60;
    if (minutes == 1) return "About a minute";
    if (minutes < 60) return format("{} minutes", minutes);
    const std::int64_t hours = (seconds + 1800) / 3600;
    if (hours == 1) return "About an hour";
    if (hours < 48) return format("{} hours", hours);
    if (hours < 24 * 7 * 2) return format("{} days", hours / 24);
    if (hours < 24 * 30 * 2) return format("{} weeks", hours / 24 / 7);
    if (hours < 24 * 365 * 2) return format("{} months", hours / 24 / 30);
    return format("{} years", hours / 24 / 365);
}

std::string status_text(const Record& record) {
    const auto since = [](const std::string& text) {
        return human(now() - parse_rfc3339(text).value_or(now()));
    };
    switch (record.state()) {
        case Status::Created:
            return "Created";
        case Status::Running:
            if (!record.health) return "Up " + since(record.started_at);
            return format("Up {} ({}{})", since(record.started_at),
                          record.health->status == "starting" ? "health: " : "",
                          record.health->status);
        case Status::Paused:
            return format("Up {} (Paused)", since(record.started_at));
        case Status::Restarting:
            return format("Restarting ({}) {} ago", record.exit_code, since(record.finished_at));
        case Status::Removing:
            return "Removal In Progress";
        case Status::Exited:
            return format("Exited ({}) {} ago", record.exit_code, since(record.finished_at));
        case Status::Dead:
            return "Dead";
    }
    return "";
}

// docker's form: words with blanks in quotes, which are not escaped.
std::string command_text(const Record& record) {
    std::string text = record.path;
    for (const std::string& arg : record.args) {
        text += arg.find(' ') == std::string::npos ? " " + arg : " '" + arg + "'";
    }
    return text;
}

// As the engine applies it where the container says nothing.
void show_defaults(const Record& record, api::HostConfig& host) {
    if (host.resources.memory_swappiness == -1) host.resources.memory_swappiness.reset();
    if (host.resources.pids_limit == 0) host.resources.pids_limit.reset();
    if (!host.resources.oom_kill_disable) host.resources.oom_kill_disable = false;
    const auto rights =
        rights_of(host, security::parse_level(record.level).value_or(security::Level::Standard));
    if (!rights) return;
    const security::Profile& profile = security::profile(rights->level);
    using Paths = std::vector<std::string>;
    if (!host.masked_paths) host.masked_paths = rights->unmasked ? Paths() : profile.masked_paths;
    if (!host.readonly_paths)
        host.readonly_paths = rights->unmasked ? Paths() : profile.readonly_paths;
}

}  // namespace

api::ContainerInspect Containers::Impl::inspect(const Record& record) const {
    const auto endpoints = endpoints_of(record);
    api::ContainerInspect view;
    view.id = record.id;
    view.created = record.created;
    view.path = record.path;
    view.args = record.args;
    view.state.status = record.status;
    view.state.running = record.is_up();
    view.state.paused = record.status == "paused";
    view.state.restarting = record.status == "restarting";
    view.state.dead = record.status == "dead";
    view.state.oom_killed = record.oom_killed;
    if (record.health) view.state.health = *record.health;
    view.state.oom_kills = record.oom_kills;
    view.state.exit_signal = record.exit_signal;
    view.state.ended_by = record.ended_by;
    view.state.pid = record.pid;
    view.state.exit_code = record.exit_code;
    view.state.error = record.error;
    view.state.started_at = record.started_at;
    view.state.finished_at = record.finished_at;
    view.image = record.image_id;
    const std::string files = folder(record);
    view.resolv_conf_path = files + "/resolv.conf";
    view.hostname_path = files + "/hostname";
    view.hosts_path = files + "/hosts";
    if (record.host_config.log_config.type == "json-file") {
        if (const auto place = log_place(record, files)) view.log_path = place->path;
    }
    view.name = "/" + record.name;
    view.restart_count = record.restart_count;
    view.driver = "overlay2";
    view.platform = "linux";
    view.host_config = record.host_config;
    view.host_config.port_bindings = split_ports(record.host_config.port_bindings);
    show_defaults(record, view.host_config);
    view.host_config.annotations.emplace("coffer.security.level", record.level);
    view.graph_driver.name = "overlay2";
    view.graph_driver.data = {{"UpperDir", files + "/diff"}, {"WorkDir", files + "/work"}};
    if (const auto lower = core.store.layers().lower_dirs(record.chain_id)) {
        view.graph_driver.data["LowerDir"] = join(*lower, ":");
    }
    view.mounts = mount_view(record);
    view.config = record.config;
    view.config.exposed_ports = split_ports(record.config.exposed_ports);
    api::NetworkSettings& net = view.network_settings;
    net.ports = port_view(record, endpoints);
    net.networks = network_view(record, endpoints);
    if (record.is_running()) {
        net.sandbox_id = record.id;
        net.sandbox_key = format("/proc/{}/ns/net", record.pid);
    }
    for (const network::Endpoint& endpoint : endpoints) {
        if (endpoint.network_name != "bridge") continue;
        net.endpoint_id = endpoint.id;
        net.gateway = endpoint.gateway;
        net.ip_address = endpoint.ip;
        net.ip_prefix_len = static_cast<std::int32_t>(endpoint.prefix);
        net.ipv6_gateway = endpoint.gateway6;
        net.global_ipv6_address = endpoint.ip6;
        net.global_ipv6_prefix_len = static_cast<std::int32_t>(endpoint.prefix6);
        net.mac_address = endpoint.mac;
    }
    return view;
}

api::ContainerSummary Containers::Impl::summary(const Record& record) const {
    const auto endpoints = endpoints_of(record);
    api::ContainerSummary view;
    view.id = record.id;
    view.names = {"/" + record.name};
    view.image = record.image_name;
    view.image_id = record.image_id;
    view.command = command_text(record);
    view.created = unix_seconds(parse_rfc3339(record.created).value_or(Time{}));
    for (const auto& [port, bindings] : port_view(record, endpoints)) {
        const auto parts = cut(port, "/");
        if (!parts) continue;
        api::Port entry;
        entry.private_port = static_cast<std::uint16_t>(parse_uint(parts->first).value_or(0));
        entry.type = std::string(parts->second);
        if (!bindings) view.ports.push_back(entry);
        for (const auto& binding : bindings.value_or(std::vector<api::PortBinding>())) {
            entry.ip = binding.host_ip;
            entry.public_port =
                static_cast<std::uint16_t>(parse_uint(binding.host_port).value_or(0));
            view.ports.push_back(entry);
        }
    }
    view.labels = record.config.labels;
    view.state = record.status;
    view.status = status_text(record);
    view.host_config.network_mode = record.host_config.network_mode;
    view.host_config.annotations["coffer.security.level"] = record.level;
    view.network_settings.networks = network_view(record, endpoints);
    view.mounts = mount_view(record);
    return view;
}

Result<api::ContainerInspect> Containers::inspect(const std::string& name, bool with_size) const {
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    api::ContainerInspect view = impl_->inspect(*record);
    if (with_size) {
        const Impl::Sizes sizes = TRY(impl_->sizes(*record, SizeOf::Writable));
        view.size_rw = sizes.own;
        view.size_root_fs = sizes.with_image;
    }
    return view;
}

}  // namespace coffer::engine
