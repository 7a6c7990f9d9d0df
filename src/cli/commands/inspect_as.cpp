#include "cli/commands/inspect_as.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/api_client.hpp"
#include "cli/commands/create_options.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

enum class Shape : std::uint8_t { Text, Number, Switch, List };

// What an option is called elsewhere; empty: it has no name of its own there.
struct Names {
    std::string_view flag;
    std::string_view compose;
    Shape shape;
    std::string_view quadlet;
};

constexpr Names kNames[] = {
    {"add-host", "extra_hosts", Shape::List, "AddHost"},
    {"annotation", "annotations", Shape::List, "Annotation"},
    {"cap-add", "cap_add", Shape::List, "AddCapability"},
    {"cap-drop", "cap_drop", Shape::List, "DropCapability"},
    {"cgroup-parent", "cgroup_parent", Shape::Text, ""},
    {"cgroupns", "cgroup", Shape::Text, ""},
    {"cpu-period", "cpu_period", Shape::Number, ""},
    {"cpu-quota", "cpu_quota", Shape::Number, ""},
    {"cpu-rt-period", "cpu_rt_period", Shape::Number, ""},
    {"cpu-rt-runtime", "cpu_rt_runtime", Shape::Number, ""},
    {"cpu-shares", "cpu_shares", Shape::Number, ""},
    {"cpus", "cpus", Shape::Number, ""},
    {"cpuset-cpus", "cpuset", Shape::Text, ""},
    {"device", "devices", Shape::List, "AddDevice"},
    {"device-cgroup-rule", "device_cgroup_rules", Shape::List, ""},
    {"dns", "dns", Shape::List, "DNS"},
    {"dns-option", "dns_opt", Shape::List, "DNSOption"},
    {"dns-search", "dns_search", Shape::List, "DNSSearch"},
    {"domainname", "domainname", Shape::Text, ""},
    {"entrypoint", "entrypoint", Shape::List, "Entrypoint"},
    {"env", "environment", Shape::List, "Environment"},
    {"expose", "expose", Shape::List, "ExposeHostPort"},
    {"group-add", "group_add", Shape::List, "GroupAdd"},
    {"health-cmd", "", Shape::Text, "HealthCmd"},
    {"health-interval", "", Shape::Text, "HealthInterval"},
    {"health-retries", "", Shape::Text, "HealthRetries"},
    {"health-start-period", "", Shape::Text, "HealthStartPeriod"},
    {"health-timeout", "", Shape::Text, "HealthTimeout"},
    {"hostname", "hostname", Shape::Text, "HostName"},
    {"init", "init", Shape::Switch, "RunInit"},
    {"interactive", "stdin_open", Shape::Switch, ""},
    {"ipc", "ipc", Shape::Text, ""},
    {"label", "labels", Shape::List, "Label"},
    {"link", "external_links", Shape::List, ""},
    {"log-driver", "", Shape::Text, "LogDriver"},
    {"log-opt", "", Shape::Text, "LogOpt"},
    {"memory", "mem_limit", Shape::Number, "Memory"},
    {"memory-reservation", "mem_reservation", Shape::Number, ""},
    {"memory-swap", "memswap_limit", Shape::Number, ""},
    {"memory-swappiness", "mem_swappiness", Shape::Number, ""},
    {"mount", "", Shape::List, "Mount"},
    {"name", "container_name", Shape::Text, "ContainerName"},
    {"oom-kill-disable", "oom_kill_disable", Shape::Switch, ""},
    {"oom-score-adj", "oom_score_adj", Shape::Number, ""},
    {"pid", "pid", Shape::Text, ""},
    {"pids-limit", "pids_limit", Shape::Number, "PidsLimit"},
    {"privileged", "privileged", Shape::Switch, ""},
    {"publish", "ports", Shape::List, "PublishPort"},
    {"read-only", "read_only", Shape::Switch, "ReadOnly"},
    {"restart", "restart", Shape::Text, ""},
    {"runtime", "runtime", Shape::Text, ""},
    {"security-opt", "security_opt", Shape::List, ""},
    {"shm-size", "shm_size", Shape::Number, "ShmSize"},
    {"stop-signal", "stop_signal", Shape::Text, "StopSignal"},
    {"sysctl", "sysctls", Shape::List, "Sysctl"},
    {"tmpfs", "tmpfs", Shape::List, "Tmpfs"},
    {"tty", "tty", Shape::Switch, ""},
    {"user", "user", Shape::Text, "User"},
    {"userns", "userns_mode", Shape::Text, "UserNS"},
    {"uts", "uts", Shape::Text, ""},
    {"volume", "volumes", Shape::List, "Volume"},
    {"workdir", "working_dir", Shape::Text, "WorkingDir"},
};

const Names* names_of(std::string_view flag) {
    const auto* found = std::find_if(std::begin(kNames), std::end(kNames),
                                     [&](const Names& names) { return names.flag == flag; });
    return found == std::end(kNames) ? nullptr : found;
}

bool is_switch(const CreateOption& option) {
    const Flag* flag = FlagTable{kCreateFlags}.find(option.flag);
    return flag != nullptr && flag->is_switch();
}

std::string option_text(const CreateOption& option) {
    return is_switch(option) ? format("--{}", option.flag)
                             : format("--{}={}", option.flag, option.value);
}

// ---- run ----

std::string as_run(const CreateOptions& options, const json::Value& container) {
    std::vector<std::string> words = {"coffer", "run"};
    const bool attached =
        bool_of(container, "Config.AttachStdout") || bool_of(container, "Config.AttachStderr");
    if (!attached) words.emplace_back("-d");
    for (const CreateOption& option : options.flags) words.push_back(option_text(option));
    for (const std::string& word : options.arguments()) words.push_back(word);
    return shell_line(words) + "\n";
}

// ---- compose ----

// In block style, with strings as JSON writes them.
void write_yaml(const json::Value& value, const std::string& indent, std::string& out) {
    const auto write_member = [&](const std::string& lead, const json::Value& member) {
        const bool nested = (member.is_object() && !object_of(member, "").empty()) ||
                            (member.is_array() && !array_of(member, "").empty());
        out += indent + lead;
        if (nested) {
            out += "\n";
            write_yaml(member, indent + "  ", out);
        } else {
            out += " " + json::write(member, {.escape = json::Escape::Plain}) + "\n";
        }
    };
    for (const json::Member& member : object_of(value, "")) {
        write_member(member.key + ":", member.value);
    }
    for (const json::Value& entry : array_of(value, "")) write_member("-", entry);
}

// A dollar begins a variable in a compose file.
std::string compose_text(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '$' ? "$$" : std::string(1, c);
    return out;
}

class ComposeWriter {
  public:
    Result<std::string> write(const CreateOptions& options) {
        const Values values = TRY(to_values(options.flags));
        service_.set("image", options.image);
        if (!options.command.empty()) {
            json::Array command;
            for (const std::string& word : options.command) command.push_back(compose_text(word));
            service_.set("command", std::move(command));
        }
        for (const CreateOption& option : options.flags) TRY(add(option));
        TRY(add_networks(values));
        for (const std::string& volume : values.list("volume")) add_volume(volume);

        std::string name = values.text("name");
        std::string out = "services:\n";
        json::Value services(json::Object{{name, service_}});
        write_yaml(services, "  ", out);
        for (const auto& [title, names] :
             {std::pair{"networks", &networks_}, {"volumes", &volumes_}}) {
            if (names->is_null()) continue;
            out += format("{}:\n", title);
            write_yaml(*names, "  ", out);
        }
        for (const std::string& flag : missing_) out += format("# not in compose: {}\n", flag);
        return out;
    }

  private:
    void append(json::Value& parent, std::string_view key, json::Value entry) {
        json::Value* list = parent.find(key);
        if (list == nullptr) list = &parent.set(key, json::Array{});
        list->if_array()->push_back(std::move(entry));
    }

    json::Value& part(std::string_view key) {
        json::Value* found = service_.find(key);
        return found != nullptr ? *found : service_.set(key, json::Object{});
    }

    Result<void> add(const CreateOption& option) {
        const Names* names = names_of(option.flag);
        const std::string text = compose_text(option.value);
        if (option.flag.starts_with("health-") || option.flag == "no-healthcheck") {
            return add_health(option.flag, text);
        }
        if (option.flag == "log-driver") {
            part("logging").set("driver", text);
        } else if (option.flag == "log-opt") {
            const auto sides = cut(text, "=");
            json::Value& logging = part("logging");
            if (logging.find("options") == nullptr) logging.set("options", json::Object{});
            if (sides) logging.find("options")->set(sides->first, sides->second);
        } else if (option.flag == "ulimit") {
            const auto sides = cut(text, "=");
            const auto limits = sides ? cut(sides->second, ":") : std::nullopt;
            if (limits) {
                part("ulimits").set(sides->first,
                                    json::Object{{"soft", parse_int(limits->first).value_or(-1)},
                                                 {"hard", parse_int(limits->second).value_or(-1)}});
            }
        } else if (option.flag == "blkio-weight") {
            part("blkio_config").set("weight", TRY(json::parse(option.value)));
        } else if (option.flag == "blkio-weight-device" ||
                   option.flag.starts_with("device-read-") ||
                   option.flag.starts_with("device-write-")) {
            TRY(add_device_rate(option));
        } else if (option.flag == "stop-timeout") {
            service_.set("stop_grace_period", text + "s");
        } else if (option.flag == "volumes-from") {
            append(service_, "volumes_from", "container:" + text);
        } else if (option.flag == "mount") {
            TRY(add_mount(option.value));
        } else if (option.flag == "network") {
            return {};
        } else if (names == nullptr || names->compose.empty()) {
            missing_.push_back(option_text(option));
        } else if (names->shape == Shape::List) {
            // An empty entrypoint is an empty list.
            if (text.empty()) {
                service_.set(names->compose, json::Array{});
            } else {
                append(service_, names->compose, text);
            }
        } else if (names->shape == Shape::Text) {
            service_.set(names->compose, text);
        } else {
            // Numbers and truths are written as they are.
            service_.set(names->compose, TRY(json::parse(option.value)));
        }
        return {};
    }

    Result<void> add_device_rate(const CreateOption& option) {
        const bool is_weight = option.flag == "blkio-weight-device";
        std::string key = is_weight ? "weight_device" : option.flag;
        std::replace(key.begin(), key.end(), '-', '_');
        const auto sides = cut(option.value, ":");
        if (!sides) return {};
        auto value = TRY(json::parse(sides->second));
        append(part("blkio_config"), key,
               json::Object{{"path", sides->first},
                            {is_weight ? "weight" : "rate", std::move(value)}});
        return {};
    }

    Result<void> add_health(const std::string& flag, const std::string& text) {
        json::Value& health = part("healthcheck");
        if (flag == "no-healthcheck") {
            health.set("disable", true);
        } else if (flag == "health-cmd") {
            health.set("test", json::Array{"CMD-SHELL", text});
        } else if (flag == "health-tcp" || flag == "health-http") {
            health.set("test", json::Array{flag == "health-tcp" ? "TCP" : "HTTP", text});
        } else if (flag == "health-retries") {
            health.set("retries", TRY(json::parse(text)));
        } else {
            std::string key = flag.substr(std::string_view("health-").size());
            std::replace(key.begin(), key.end(), '-', '_');
            health.set(key, text);
        }
        return {};
    }

    Result<void> add_mount(const std::string& text) {
        const json::Value mount = TRY(parse_mount(text));
        json::Value entry(
            json::Object{{"type", text_of(mount, "Type")}, {"target", text_of(mount, "Target")}});
        const std::string source = text_of(mount, "Source");
        if (!source.empty()) entry.set("source", source);
        if (bool_of(mount, "ReadOnly")) entry.set("read_only", true);
        if (const auto how = text_of(mount, "BindOptions.Propagation"); !how.empty()) {
            entry.set("bind", json::Object{{"propagation", how}});
        }
        if (bool_of(mount, "VolumeOptions.NoCopy")) {
            entry.set("volume", json::Object{{"nocopy", true}});
        }
        if (const auto size = int_of(mount, "TmpfsOptions.SizeBytes"); size != 0) {
            entry.set("tmpfs", json::Object{{"size", size}});
        }
        if (text_of(mount, "Type") == "volume" && !source.empty()) add_external(volumes_, source);
        append(service_, "volumes", std::move(entry));
        return {};
    }

    static void add_external(json::Value& names, const std::string& name) {
        names.set(name, json::Object{{"external", true}});
    }

    void add_volume(const std::string& volume) {
        const auto sides = cut(volume, ":");
        if (sides && !sides->first.starts_with("/")) {
            add_external(volumes_, std::string(sides->first));
        }
    }

    Result<void> add_networks(const Values& values) {
        const std::string mode = network_mode(values);
        const json::Value endpoints = TRY(endpoints_config(values));
        if (mode == "default" || mode == "bridge" || mode == "host" || mode == "none" ||
            mode.starts_with("container:")) {
            service_.set("network_mode", mode == "default" ? "bridge" : mode);
            return {};
        }
        for (const json::Member& network : object_of(endpoints, "")) {
            json::Value settings{json::Object{}};
            const json::Array& aliases = array_of(network.value, "Aliases");
            if (!aliases.empty()) settings.set("aliases", aliases);
            const std::pair<const char*, const char*> texts[] = {
                {"ipv4_address", "IPAMConfig.IPv4Address"},
                {"ipv6_address", "IPAMConfig.IPv6Address"},
                {"mac_address", "MacAddress"}};
            for (const auto& [key, path] : texts) {
                const std::string text = text_of(network.value, path);
                if (!text.empty()) settings.set(key, text);
            }
            if (const auto priority = int_of(network.value, "GwPriority"); priority != 0) {
                settings.set("gw_priority", priority);
            }
            part("networks").set(network.key, std::move(settings));
            add_external(networks_, network.key);
        }
        return {};
    }

    json::Value service_;
    json::Value networks_;
    json::Value volumes_;
    std::vector<std::string> missing_;
};

// ---- quadlet ----

// As systemd.syntax(7) reads it: specifiers escaped, and one word.
std::string unit_word(const std::string& text) {
    std::string out;
    bool plain = !text.empty();
    for (const char c : text) {
        if (c == '%') out += '%';
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
        plain = plain && c != ' ' && c != '\t' && c != '"' && c != '\'' && c != '\\' && c != '\n';
    }
    return plain ? out : "\"" + out + "\"";
}

// "name=n1,alias=a,ip=1.2.3.4" is podman's "n1:alias=a,ip=1.2.3.4".
std::string podman_network(const std::string& text) {
    if (!text.starts_with("name=")) return text;
    const auto sides = cut(std::string_view(text).substr(std::string_view("name=").size()), ",");
    std::string rest(sides->second);
    if (const auto mac = rest.find("mac-address="); mac != std::string::npos) {
        rest.replace(mac, std::string_view("mac-address=").size(), "mac=");
    }
    return format("{}:{}", sides->first, rest);
}

std::string as_quadlet(const CreateOptions& options) {
    std::string restart = "no";
    std::string out = "[Container]\n";
    out += format("Image={}\n", options.image);
    for (const CreateOption& option : options.flags) {
        const Names* names = names_of(option.flag);
        if (option.flag == "restart") {
            restart = option.value.starts_with("on-failure") ? "on-failure" : "always";
        } else if (option.flag == "network") {
            out += format("Network={}\n", unit_word(podman_network(option.value)));
        } else if (option.flag == "ulimit") {
            out += format("Ulimit={}\n", unit_word(option.value));
        } else if (option.flag == "stop-timeout") {
            out += format("StopTimeout={}\n", unit_word(option.value));
        } else if (option.flag == "rm") {
            continue;  // podman's units remove theirs always
        } else if (names == nullptr || names->quadlet.empty()) {
            out += format("PodmanArgs={}\n", unit_word(option_text(option)));
        } else {
            out += format("{}={}\n", names->quadlet, unit_word(option.value));
        }
    }
    if (!options.command.empty()) {
        std::vector<std::string> words;
        words.reserve(options.command.size());
        for (const std::string& word : options.command) words.push_back(unit_word(word));
        out += format("Exec={}\n", join(words, " "));
    }
    out += format("\n[Service]\nRestart={}\n\n[Install]\nWantedBy=default.target\n", restart);
    return out;
}

Result<std::string> written(const std::string& form, const json::Value& container,
                            const json::Value& image) {
    const CreateOptions options = create_options(container, image);
    if (form == "run") return as_run(options, container);
    if (form == "compose") return ComposeWriter().write(options);
    if (form == "quadlet") return as_quadlet(options);
    return fail(Code::InvalidArgument, "{} is not a valid value for --as", quoted(form));
}

}  // namespace

Result<int> inspect_as(Invocation& call) {
    const std::string form = call.flags.text("as");
    std::vector<std::string> errors;
    for (const std::string& name : call.args) {
        const auto print_one = [&]() -> Result<void> {
            const json::Value container = TRY(call.api.get(container_path(name, "/json")));
            // An image that is gone says nothing: all is the container's own.
            const auto image = call.api.get(image_path(text_of(container, "Image"), "/json"));
            const std::string text = TRY(written(form, container, image ? *image : json::Value()));
            return print(text);
        };
        if (const auto printed = print_one(); !printed) errors.push_back(printed.error().message);
    }
    if (errors.empty()) return 0;
    return fail(Code::Internal, "{}", join(errors, "\n"));
}

}  // namespace coffer::cli
