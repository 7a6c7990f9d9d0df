#include "cli/commands/create_options.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/api_client.hpp"
#include "cli/commands/create_request.hpp"

namespace coffer::cli {

namespace {

enum class Form : std::uint8_t {
    Text,
    Number,    // 0 is no option
    Present,   // any number is one
    Cpus,      // in billionths
    Duration,  // in nanoseconds
    Switch,
    List,
    Map,  // "key=value"
};

struct Field {
    std::string_view path;
    std::string_view flag;
    Form form;
    std::string_view by_default = {};  // what the engine fills in
};

// In the order in which people write them.
constexpr Field kFields[] = {
    {"HostConfig.AutoRemove", "rm", Form::Switch},
    {"Config.Tty", "tty", Form::Switch},
    {"Config.OpenStdin", "interactive", Form::Switch},
    {"Config.Domainname", "domainname", Form::Text},
    {"HostConfig.RestartPolicy.Name", "restart", Form::Text, "no"},
    {"HostConfig.Privileged", "privileged", Form::Switch},
    {"HostConfig.ReadonlyRootfs", "read-only", Form::Switch},
    {"HostConfig.Init", "init", Form::Switch},
    {"HostConfig.SecurityOpt", "security-opt", Form::List},
    {"HostConfig.CapAdd", "cap-add", Form::List},
    {"HostConfig.CapDrop", "cap-drop", Form::List},
    {"HostConfig.GroupAdd", "group-add", Form::List},
    {"HostConfig.UsernsMode", "userns", Form::Text},
    {"HostConfig.PidMode", "pid", Form::Text},
    {"HostConfig.IpcMode", "ipc", Form::Text, "private"},
    {"HostConfig.UTSMode", "uts", Form::Text},
    {"HostConfig.CgroupnsMode", "cgroupns", Form::Text, "private"},
    {"HostConfig.CgroupParent", "cgroup-parent", Form::Text},
    {"HostConfig.Runtime", "runtime", Form::Text, "coffer"},
    {"HostConfig.Binds", "volume", Form::List},
    {"HostConfig.VolumesFrom", "volumes-from", Form::List},
    {"HostConfig.VolumeDriver", "volume-driver", Form::Text},
    {"HostConfig.ShmSize", "shm-size", Form::Number, "67108864"},
    {"HostConfig.StorageOpt", "storage-opt", Form::Map},
    {"HostConfig.PublishAllPorts", "publish-all", Form::Switch},
    {"HostConfig.Links", "link", Form::List},
    {"HostConfig.ExtraHosts", "add-host", Form::List},
    {"HostConfig.Dns", "dns", Form::List},
    {"HostConfig.DnsOptions", "dns-option", Form::List},
    {"HostConfig.DnsSearch", "dns-search", Form::List},
    {"HostConfig.Memory", "memory", Form::Number},
    {"HostConfig.MemoryReservation", "memory-reservation", Form::Number},
    {"HostConfig.MemorySwap", "memory-swap", Form::Number},
    {"HostConfig.MemorySwappiness", "memory-swappiness", Form::Present},
    {"HostConfig.OomKillDisable", "oom-kill-disable", Form::Switch},
    {"HostConfig.OomScoreAdj", "oom-score-adj", Form::Number},
    {"HostConfig.NanoCpus", "cpus", Form::Cpus},
    {"HostConfig.CpuShares", "cpu-shares", Form::Number},
    {"HostConfig.CpuPeriod", "cpu-period", Form::Number},
    {"HostConfig.CpuQuota", "cpu-quota", Form::Number},
    {"HostConfig.CpuRealtimePeriod", "cpu-rt-period", Form::Number},
    {"HostConfig.CpuRealtimeRuntime", "cpu-rt-runtime", Form::Number},
    {"HostConfig.CpusetCpus", "cpuset-cpus", Form::Text},
    {"HostConfig.CpusetMems", "cpuset-mems", Form::Text},
    {"HostConfig.PidsLimit", "pids-limit", Form::Number},
    {"HostConfig.BlkioWeight", "blkio-weight", Form::Number},
    {"HostConfig.DeviceCgroupRules", "device-cgroup-rule", Form::List},
    {"HostConfig.Sysctls", "sysctl", Form::Map},
    {"HostConfig.Annotations", "annotation", Form::Map},
    {"Config.StopTimeout", "stop-timeout", Form::Present},
};
// What an image may say too.
constexpr Field kImageFields[] = {
    {"User", "user", Form::Text},
    {"WorkingDir", "workdir", Form::Text},
    {"StopSignal", "stop-signal", Form::Text},
    {"Env", "env", Form::List},
    {"Labels", "label", Form::Map},
};
constexpr Field kHealthFields[] = {
    {"Interval", "health-interval", Form::Duration},
    {"Timeout", "health-timeout", Form::Duration},
    {"StartPeriod", "health-start-period", Form::Duration},
    {"StartInterval", "health-start-interval", Form::Duration},
    {"Retries", "health-retries", Form::Number},
};
struct DeviceField {
    std::string_view name;
    std::string_view flag;
    std::string_view member;
};
constexpr DeviceField kDeviceFields[] = {
    {"BlkioWeightDevice", "blkio-weight-device", "Weight"},
    {"BlkioDeviceReadBps", "device-read-bps", "Rate"},
    {"BlkioDeviceWriteBps", "device-write-bps", "Rate"},
    {"BlkioDeviceReadIOps", "device-read-iops", "Rate"},
    {"BlkioDeviceWriteIOps", "device-write-iops", "Rate"},
};

std::string decimal_text(std::int64_t billionths) {
    std::string text = format("{}.{:09}", billionths / 1'000'000'000, billionths % 1'000'000'000);
    while (text.ends_with('0')) text.pop_back();
    if (text.ends_with('.')) text.pop_back();
    return text;
}

std::string duration_text(std::int64_t nanoseconds) {
    if (nanoseconds % 1'000'000'000 == 0) return format("{}s", nanoseconds / 1'000'000'000);
    return nanoseconds % 1'000'000 == 0 ? format("{}ms", nanoseconds / 1'000'000)
                                        : format("{}ns", nanoseconds);
}

// A field of docker's comma syntax.
std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

std::string shell_word(const std::string& word) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

// "key=value" of a member.
std::string pair_text(const json::Member& member) {
    return member.key + "=" + text_of(member.value, "");
}

// "--mount" of an entry of HostConfig.Mounts.
std::string mount_text(const json::Value& mount) {
    std::vector<std::string> fields = {"type=" + text_of(mount, "Type")};
    const auto add = [&](std::string_view key, const std::string& value) {
        if (!value.empty()) fields.push_back(csv_field(format("{}={}", key, value)));
    };
    const auto add_switch = [&](std::string_view text, std::string_view path) {
        if (bool_of(mount, path)) fields.emplace_back(text);
    };
    add("source", text_of(mount, "Source"));
    add("target", text_of(mount, "Target"));
    add_switch("readonly", "ReadOnly");
    add("consistency", text_of(mount, "Consistency"));
    add("idmap", text_of(mount, "IdMap"));
    add("bind-propagation", text_of(mount, "BindOptions.Propagation"));
    add_switch("bind-recursive=disabled", "BindOptions.NonRecursive");
    add_switch("bind-recursive=writable", "BindOptions.ReadOnlyNonRecursive");
    add_switch("bind-recursive=readonly", "BindOptions.ReadOnlyForceRecursive");
    add_switch("volume-nocopy", "VolumeOptions.NoCopy");
    add("volume-subpath", text_of(mount, "VolumeOptions.Subpath"));
    for (const json::Member& label : object_of(mount, "VolumeOptions.Labels")) {
        add("volume-label", pair_text(label));
    }
    add("volume-driver", text_of(mount, "VolumeOptions.DriverConfig.Name"));
    for (const json::Member& option : object_of(mount, "VolumeOptions.DriverConfig.Options")) {
        add("volume-opt", pair_text(option));
    }
    if (const auto size = int_of(mount, "TmpfsOptions.SizeBytes"); size != 0) {
        add("tmpfs-size", format("{}", size));
    }
    if (const auto mode = int_of(mount, "TmpfsOptions.Mode"); mode != 0) {
        add("tmpfs-mode", format("{:o}", mode));
    }
    return join(fields, ",");
}

// The address that the engine makes a MAC address from shows in it.
bool is_made_up(const std::string& mac, const std::string& ip) {
    std::string made = "02:42";
    for (const std::string& part : split(ip, '.')) {
        made += format(":{:02x}", parse_uint(part).value_or(0));
    }
    return mac == made;
}

std::string network_text(const std::string& name, const json::Value& settings) {
    std::vector<std::string> fields;
    const auto add = [&](std::string_view key, const std::string& value) {
        if (!value.empty()) fields.push_back(csv_field(format("{}={}", key, value)));
    };
    for (const std::string& alias : words_of(settings, "Aliases")) add("alias", alias);
    add("ip", text_of(settings, "IPAMConfig.IPv4Address"));
    add("ip6", text_of(settings, "IPAMConfig.IPv6Address"));
    const std::string mac = text_of(settings, "MacAddress");
    if (!is_made_up(mac, text_of(settings, "IPAddress"))) add("mac-address", mac);
    for (const json::Member& option : object_of(settings, "DriverOpts")) {
        add("driver-opt", pair_text(option));
    }
    if (const auto priority = int_of(settings, "GwPriority"); priority != 0) {
        add("gw-priority", format("{}", priority));
    }
    if (fields.empty()) return name;
    fields.insert(fields.begin(), "name=" + name);
    return join(fields, ",");
}

class Reader {
  public:
    Reader(const json::Value& container, const json::Value& image)
        : container_(container), image_(image) {}

    CreateOptions read() {
        out_.image = text_of(container_, "Config.Image");
        const std::string full_name = text("Name");
        std::string_view name = trim(full_name);
        if (name.starts_with('/')) name.remove_prefix(1);
        put("name", std::string(name));
        add_hostname();
        for (const Field& field : kFields) {
            add(field, at(container_, field.path), json::Value());
        }
        add_retries();
        for (const Field& field : kImageFields) {
            const std::string path = format("Config.{}", field.path);
            add(field, at(container_, path), at(image_, path));
        }
        add_networks();
        add_ports();
        add_storage();
        add_devices();
        add_health();
        add_log();
        add_command();
        return std::move(out_);
    }

  private:
    static const json::Value& at(const json::Value& value, std::string_view path) {
        static const json::Value none;
        const json::Value* found = value.at_path(path);
        return found != nullptr ? *found : none;
    }
    std::string text(std::string_view path) const { return text_of(container_, path); }
    void put(std::string_view flag, std::string value) {
        if (!value.empty()) out_.flags.push_back({std::string(flag), std::move(value)});
    }

    void add(const Field& field, const json::Value& own, const json::Value& theirs) {
        switch (field.form) {
            case Form::Text:
                if (own == theirs || text_of(own, "") == field.by_default) return;
                return put(field.flag, text_of(own, ""));
            case Form::Number:
            case Form::Present:
            case Form::Cpus:
            case Form::Duration:
                return add_number(field, own, theirs);
            case Form::Switch:
                return put(field.flag, own.to_bool().value_or(false) ? "true" : "");
            case Form::List:
                for (const json::Value& entry : array_of(own, "")) {
                    const json::Array& all = array_of(theirs, "");
                    if (std::find(all.begin(), all.end(), entry) == all.end()) {
                        put(field.flag, text_of(entry, ""));
                    }
                }
                return;
            case Form::Map:
                for (const json::Member& entry : object_of(own, "")) {
                    const json::Value* other = theirs.find(entry.key);
                    if ((other != nullptr && *other == entry.value) || entry.key == kLevelNote) {
                        continue;
                    }
                    put(field.flag, pair_text(entry));
                }
                return;
        }
    }

    void add_number(const Field& field, const json::Value& own, const json::Value& theirs) {
        const auto number = own.to_int();
        if (!number || own == theirs || (*number == 0 && field.form != Form::Present)) return;
        if (format("{}", *number) == field.by_default) return;
        put(field.flag, field.form == Form::Cpus       ? decimal_text(*number)
                        : field.form == Form::Duration ? duration_text(*number)
                                                       : format("{}", *number));
    }

    // "on-failure:3"
    void add_retries() {
        const auto count = int_of(container_, "HostConfig.RestartPolicy.MaximumRetryCount");
        for (CreateOption& option : out_.flags) {
            if (option.flag == "restart" && count != 0) option.value += format(":{}", count);
        }
    }

    void add_hostname() {
        const std::string hostname = text("Config.Hostname");
        const std::string mode = text("HostConfig.NetworkMode");
        if (text("Id").starts_with(hostname) || mode.starts_with("container:")) return;
        put("hostname", hostname);
    }

    void add_networks() {
        const std::string mode = text("HostConfig.NetworkMode");
        const json::Object& networks = object_of(container_, "NetworkSettings.Networks");
        const auto is_main = [&](const json::Member& network) { return network.key == mode; };
        const auto main = std::find_if(networks.begin(), networks.end(), is_main);
        const std::string first = main == networks.end() ? mode : network_text(mode, main->value);
        if (first != "bridge" || networks.size() > 1) put("network", first);
        for (const json::Member& network : networks) {
            if (!is_main(network)) put("network", network_text(network.key, network.value));
        }
    }

    void add_ports() {
        const json::Object& bindings = object_of(container_, "HostConfig.PortBindings");
        for (const json::Member& port : bindings) {
            const std::string inside =
                port.key.ends_with("/tcp") ? port.key.substr(0, port.key.size() - 4) : port.key;
            for (const json::Value& binding : array_of(port.value, "")) {
                std::string ip = text_of(binding, "HostIp");
                if (ip.find(':') != std::string::npos) ip = "[" + ip + "]";
                const std::string outside = text_of(binding, "HostPort");
                const std::string host = ip.empty() ? outside : ip + ":" + outside;
                put("publish", host.empty() ? inside : host + ":" + inside);
            }
        }
        const json::Value& theirs = at(image_, "Config.ExposedPorts");
        for (const json::Member& port : object_of(container_, "Config.ExposedPorts")) {
            const bool bound =
                std::any_of(bindings.begin(), bindings.end(),
                            [&](const json::Member& binding) { return binding.key == port.key; });
            if (!bound && theirs.find(port.key) == nullptr) put("expose", port.key);
        }
    }

    void add_storage() {
        const json::Value& theirs = at(image_, "Config.Volumes");
        for (const json::Member& volume : object_of(container_, "Config.Volumes")) {
            if (theirs.find(volume.key) == nullptr) put("volume", volume.key);
        }
        for (const json::Value& mount : array_of(container_, "HostConfig.Mounts")) {
            put("mount", mount_text(mount));
        }
        for (const json::Member& tmpfs : object_of(container_, "HostConfig.Tmpfs")) {
            const std::string options = text_of(tmpfs.value, "");
            put("tmpfs", options.empty() ? tmpfs.key : tmpfs.key + ":" + options);
        }
    }

    void add_devices() {
        for (const json::Value& device : array_of(container_, "HostConfig.Devices")) {
            const std::string source = text_of(device, "PathOnHost");
            std::string target = text_of(device, "PathInContainer");
            const std::string rights = text_of(device, "CgroupPermissions");
            if (target.empty()) target = source;
            put("device", rights != "rwm"    ? format("{}:{}:{}", source, target, rights)
                          : source != target ? source + ":" + target
                                             : source);
        }
        for (const DeviceField& field : kDeviceFields) {
            for (const json::Value& entry :
                 array_of(container_, format("HostConfig.{}", field.name))) {
                put(field.flag,
                    format("{}:{}", text_of(entry, "Path"), int_of(entry, field.member)));
            }
        }
        for (const json::Value& limit : array_of(container_, "HostConfig.Ulimits")) {
            put("ulimit", format("{}={}:{}", text_of(limit, "Name"), int_of(limit, "Soft"),
                                 int_of(limit, "Hard")));
        }
        const json::Value& masked = at(container_, "HostConfig.MaskedPaths");
        if (masked.is_array() && array_of(masked, "").empty() &&
            !bool_of(container_, "HostConfig.Privileged")) {
            put("security-opt", "systempaths=unconfined");
        }
    }

    void add_health() {
        const json::Value& own = at(container_, "Config.Healthcheck");
        const json::Value& theirs = at(image_, "Config.Healthcheck");
        const std::vector<std::string> test = words_of(own, "Test");
        if (!test.empty() && test[0] == "NONE") return put("no-healthcheck", "true");
        if (test.size() > 1 && at(own, "Test") != at(theirs, "Test")) {
            const std::string flag = test[0] == "TCP"    ? "health-tcp"
                                     : test[0] == "HTTP" ? "health-http"
                                                         : "health-cmd";
            put(flag, test[0] == "CMD" ? shell_line({test.begin() + 1, test.end()}) : test[1]);
        }
        for (const Field& field : kHealthFields) {
            add(field, at(own, field.path), at(theirs, field.path));
        }
    }

    void add_log() {
        const std::string driver = text("HostConfig.LogConfig.Type");
        const json::Object& options = object_of(container_, "HostConfig.LogConfig.Config");
        if (driver != "json-file" || !options.empty()) put("log-driver", driver);
        for (const json::Member& option : options) {
            put("log-opt", pair_text(option));
        }
    }

    void add_command() {
        const std::vector<std::string> own = words_of(container_, "Config.Entrypoint");
        std::vector<std::string> command = words_of(container_, "Config.Cmd");
        if (own == words_of(image_, "Config.Entrypoint")) {
            if (command == words_of(image_, "Config.Cmd")) command.clear();
        } else if (own.empty()) {
            out_.flags.push_back({"entrypoint", ""});
        } else {
            put("entrypoint", own[0]);
            command.insert(command.begin(), own.begin() + 1, own.end());
        }
        out_.command = std::move(command);
    }

    const json::Value& container_;
    const json::Value& image_;
    CreateOptions out_;
};

}  // namespace

std::string shell_line(const std::vector<std::string>& words) {
    std::vector<std::string> quoted_words;
    quoted_words.reserve(words.size());
    for (const std::string& word : words) quoted_words.push_back(shell_word(word));
    return join(quoted_words, " ");
}

std::vector<std::string> CreateOptions::arguments() const {
    std::vector<std::string> all = {image};
    all.insert(all.end(), command.begin(), command.end());
    return all;
}

CreateOptions create_options(const json::Value& container, const json::Value& image) {
    return Reader(container, image).read();
}

Result<void> add_options(Values& values, const std::vector<CreateOption>& options) {
    for (const CreateOption& option : options) {
        const Flag* flag = FlagTable{kCreateFlags}.find(option.flag);
        if (flag == nullptr) return fail(Code::Internal, "no option --{}", option.flag);
        TRY(values.add(*flag, option.value));
    }
    return {};
}

Result<Values> to_values(const std::vector<CreateOption>& options) {
    Values values(FlagTable{kCreateFlags});
    TRY(add_options(values, options));
    return values;
}

}  // namespace coffer::cli
