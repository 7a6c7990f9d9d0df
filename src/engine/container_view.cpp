// What list, inspect and top show of a record.
#include <sys/stat.h>

#include <algorithm>

#include "engine/containers_impl.hpp"
#include "engine/images.hpp"
#include "network/networks.hpp"
#include "store/store.hpp"
#include "sys/cgroup.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::engine {

namespace {

std::vector<network::Endpoint> endpoints_of(const Record& record) {
    std::vector<network::Endpoint> endpoints;
    for (const std::string& text : record.endpoints) {
        if (auto endpoint = network::decode_endpoint(text))
            endpoints.push_back(std::move(*endpoint));
    }
    return endpoints;
}

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
        settings.mac_address = endpoint.mac;
    }
    return networks;
}

std::string port_key(const network::PublishedPort& port) {
    return format("{}/{}", port.container_port, network::to_string(port.protocol));
}

api::PortMap port_view(const Record& record, const std::vector<network::Endpoint>& endpoints) {
    api::PortMap ports;
    if (!record.is_up()) return ports;
    for (const auto& [port, nothing] : record.config.exposed_ports) ports[port] = std::nullopt;
    for (const network::Endpoint& endpoint : endpoints) {
        for (const network::PublishedPort& port : endpoint.ports) {
            auto& bindings = ports[port_key(port)];
            if (!bindings) bindings.emplace();
            bindings->push_back({port.host_ip, std::to_string(port.host_port)});
        }
    }
    return ports;
}

std::vector<api::MountPoint> mount_view(const Record& record) {
    std::vector<api::MountPoint> mounts;
    for (const MountRecord& mount : record.mounts) {
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
            return "Up " + since(record.started_at);
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

bool is_plain(const std::string& word) {
    return !word.empty() && word.find_first_of(" \t\n\"'\\$`") == std::string::npos;
}

std::string command_text(const Record& record) {
    std::string text = record.path;
    for (const std::string& arg : record.args) {
        text += ' ';
        if (is_plain(arg)) {
            text += arg;
        } else {
            text += '\'';
            for (const char c : arg) {
                if (c == '\'') {
                    text += "'\"'\"'";
                } else {
                    text += c;
                }
            }
            text += '\'';
        }
    }
    return text;
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
    if (record.host_config.log_config.type != "none") view.log_path = log_path(record);
    view.name = "/" + record.name;
    view.restart_count = record.restart_count;
    view.driver = "overlay2";
    view.platform = "linux";
    view.host_config = record.host_config;
    view.host_config.annotations.emplace("coffer.security.level", record.level);
    view.graph_driver.name = "overlay2";
    view.graph_driver.data = {{"UpperDir", files + "/diff"}, {"WorkDir", files + "/work"}};
    if (const auto lower = core.store.layers().lower_dirs(record.chain_id)) {
        view.graph_driver.data["LowerDir"] = join(*lower, ":");
    }
    view.mounts = mount_view(record);
    view.config = record.config;
    api::NetworkSettings& net = view.network_settings;
    net.ports = port_view(record, endpoints);
    net.networks = network_view(record, endpoints);
    if (record.is_up()) {
        net.sandbox_id = record.id;
        net.sandbox_key = format("/proc/{}/ns/net", record.pid);
    }
    for (const network::Endpoint& endpoint : endpoints) {
        if (endpoint.network_name != "bridge") continue;
        net.endpoint_id = endpoint.id;
        net.gateway = endpoint.gateway;
        net.ip_address = endpoint.ip;
        net.ip_prefix_len = static_cast<std::int32_t>(endpoint.prefix);
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
        const auto size = TRY(sys::measure_tree(impl_->folder(*record) + "/diff"));
        view.size_rw = static_cast<std::int64_t>(size.bytes);
        view.size_root_fs = view.size_rw;
        if (const auto chain = impl_->core.store.layers().chain(record->chain_id)) {
            for (const auto& layer : *chain)
                *view.size_root_fs += static_cast<std::int64_t>(layer.size);
        }
    }
    return view;
}

Result<std::vector<api::ContainerSummary>> Containers::list(const ListOptions& options) const {
    const Filters& filters = options.filters;
    TRY(filters.accept({"ancestor", "before", "exited", "expose", "health", "id", "is-task",
                        "isolation", "label", "label!", "name", "network", "publish", "since",
                        "status", "volume"}));
    for (const std::string& status : filters.get("status")) {
        Record probe;
        probe.status = status;
        if (to_string(probe.state()) != status) {
            return fail(Code::InvalidArgument, "invalid filter 'status={}'", status);
        }
    }
    std::vector<std::shared_ptr<const Record>> records;
    for (const auto& container : impl_->all()) records.push_back(container->record());
    std::sort(records.begin(), records.end(),
              [](const auto& a, const auto& b) { return a->created > b->created; });

    const auto bound = [&](const std::string& key) -> Result<std::string> {
        if (!filters.has(key) || filters.get(key).empty()) return std::string();
        return TRY(impl_->find(filters.get(key).front()))->record()->created;
    };
    const std::string before = TRY(bound("before"));
    const std::string since = TRY(bound("since"));
    std::vector<std::string> ancestors;
    for (const std::string& name : filters.get("ancestor")) {
        const auto image = impl_->core.images.resolve(name);
        if (image) ancestors.push_back(image->id);
    }
    std::vector<std::int64_t> exit_codes;
    for (const std::string& text : filters.get("exited")) {
        const auto code = parse_int(text);
        if (!code) return fail(Code::InvalidArgument, "invalid filter 'exited={}'", text);
        exit_codes.push_back(*code);
    }

    const auto any = [&](const std::string& key, const auto& holds) {
        const auto& values = filters.get(key);
        return !filters.has(key) || std::any_of(values.begin(), values.end(), holds);
    };
    std::vector<api::ContainerSummary> out;
    for (const auto& record : records) {
        const bool stopped_wanted = options.all || options.limit > 0 || filters.has("status") ||
                                    filters.has("exited") || !before.empty() || !since.empty();
        if (!record->is_up() && !stopped_wanted) continue;
        if (!before.empty() && record->created >= before) continue;
        if (!since.empty() && record->created <= since) continue;
        if (!filters.matches("status", record->status)) continue;
        if (!filters.match_labels(record->config.labels)) continue;
        if (filters.has("ancestor") &&
            std::find(ancestors.begin(), ancestors.end(), record->image_id) == ancestors.end()) {
            continue;
        }
        if (filters.has("exited") && (record->is_up() || record->status == "created" ||
                                      std::find(exit_codes.begin(), exit_codes.end(),
                                                record->exit_code) == exit_codes.end())) {
            continue;
        }
        if (!any("id", [&](const std::string& id) { return record->id.starts_with(id); })) continue;
        if (!any("name", [&](const std::string& name) {
                const std::string plain = name.starts_with('/') ? name.substr(1) : name;
                return record->name.find(plain) != std::string::npos;
            })) {
            continue;
        }
        if (!any("volume", [&](const std::string& volume) {
                return std::any_of(record->mounts.begin(), record->mounts.end(),
                                   [&](const auto& mount) {
                                       return mount.name == volume || mount.target == volume ||
                                              mount.source == volume;
                                   });
            })) {
            continue;
        }
        if (!any("network", [&](const std::string& network) {
                return std::any_of(
                    record->networks.begin(), record->networks.end(), [&](const auto& entry) {
                        return entry.first == network || entry.second.network_id == network;
                    });
            })) {
            continue;
        }
        if (!any("health", [](const std::string& health) { return health == "none"; })) continue;
        api::ContainerSummary view = impl_->summary(*record);
        const auto has_port = [&](const std::string& text, auto member) {
            const auto parts = cut(text, "/");
            const auto number = parse_uint(parts ? parts->first : text);
            return std::any_of(view.ports.begin(), view.ports.end(), [&](const api::Port& port) {
                return number == port.*member && (!parts || port.type == parts->second);
            });
        };
        if (!any(
                "publish",
                [&](const std::string& text) { return has_port(text, &api::Port::public_port); }) ||
            !any("expose", [&](const std::string& text) {
                return has_port(text, &api::Port::private_port);
            })) {
            continue;
        }
        if (options.size) {
            const auto size = TRY(sys::measure_tree(impl_->folder(*record) + "/diff"));
            view.size_rw = static_cast<std::int64_t>(size.bytes);
            view.size_root_fs = view.size_rw;
        }
        out.push_back(std::move(view));
        if (options.limit > 0 && out.size() == static_cast<std::size_t>(options.limit)) break;
    }
    return out;
}

Result<api::TopResponse> Containers::top(const std::string& name,
                                         const std::string& ps_args) const {
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    if (!record->is_up()) return fail(Code::Conflict, "container {} is not running", record->id);
    const auto cgroup = TRY(sys::cgroup::Cgroup::open(record->cgroup_path));
    const std::vector<int> pids = TRY(cgroup.pids());
    sys::SpawnOptions options;
    options.argv = {"/bin/ps"};
    const auto args = split_fields(ps_args.empty() ? "-ef" : ps_args);
    options.argv.insert(options.argv.end(), args.begin(), args.end());
    options.env = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
    const sys::Output output = TRY(sys::run(options, "", std::chrono::seconds(10)));
    if (output.status != 0) {
        return fail(Code::InvalidArgument, "error running ps: {}", trim(output.err));
    }
    api::TopResponse response;
    std::size_t pid_column = std::string::npos;
    for (const std::string& line : split(output.out, '\n')) {
        std::vector<std::string> fields = split_fields(line);
        if (fields.empty()) continue;
        if (response.titles.empty()) {
            const auto found = std::find(fields.begin(), fields.end(), "PID");
            if (found == fields.end()) {
                return fail(Code::InvalidArgument, "Couldn't find PID field in ps output");
            }
            pid_column = static_cast<std::size_t>(found - fields.begin());
            response.titles = std::move(fields);
            continue;
        }
        if (fields.size() <= pid_column) continue;
        const auto pid = parse_uint(fields[pid_column]);
        if (!pid || std::find(pids.begin(), pids.end(), static_cast<int>(*pid)) == pids.end())
            continue;
        // The last column is a command line: what is left of the fields belongs to it.
        while (fields.size() > response.titles.size()) {
            const std::string last = fields.back();
            fields.pop_back();
            fields.back() += " " + last;
        }
        response.processes.push_back(std::move(fields));
    }
    return response;
}

}  // namespace coffer::engine
