// HostConfig of a new container from the flags of run and create.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/text.hpp"
#include "cli/api_client.hpp"
#include "cli/checks.hpp"
#include "cli/commands/create_request.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

std::string clean_path(std::string_view path) {
    std::vector<std::string> parts;
    const bool rooted = path.starts_with('/');
    for (const std::string& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == ".." && !parts.empty() && parts.back() != "..") {
            parts.pop_back();
        } else if (part != ".." || !rooted) {
            parts.push_back(part);
        }
    }
    const std::string joined = join(parts, "/");
    if (rooted) return "/" + joined;
    return joined.empty() ? "." : joined;
}

bool is_device_mode(std::string_view mode) {
    if (mode.empty() || mode.size() > 3) return false;
    for (std::size_t i = 0; i < mode.size(); ++i) {
        if (std::string_view("rwm").find(mode[i]) == std::string_view::npos) return false;
        if (mode.substr(0, i).find(mode[i]) != std::string_view::npos) return false;
    }
    return true;
}

// "vendor.com/class=name" of the Container Device Interface.
bool is_cdi_name(std::string_view text) {
    const auto sides = cut(text, "=");
    const auto kind = sides ? cut(sides->first, "/") : std::nullopt;
    if (!kind || kind->first.empty() || kind->second.empty() || sides->second.empty()) return false;
    const auto is_word = [](std::string_view word, std::string_view also) {
        return std::all_of(word.begin(), word.end(), [&](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   also.find(c) != std::string_view::npos;
        });
    };
    return is_word(kind->first, "_-.") && is_word(kind->second, "_-") &&
           is_word(sides->second, "_-.:");
}

Result<json::Value> parse_device(std::string_view text) {
    const std::vector<std::string> parts = split(text, ':');
    if (parts.size() > 3 || parts[0].empty()) {
        return fail(Code::InvalidArgument, "bad format for path: {}", text);
    }
    std::string source = parts[0];
    std::string target = parts[0];
    std::string mode = "rwm";
    if (parts.size() == 1) {
        source = target = clean_path(parts[0]);
    } else if (parts.size() == 2 && is_device_mode(parts[1])) {
        source = target = clean_path(parts[0]);
        mode = parts[1];
    } else {
        target = parts.size() == 2 ? clean_path(parts[1]) : parts[1];
        if (parts.size() == 3) {
            if (!is_device_mode(parts[2])) {
                return fail(Code::InvalidArgument, "bad mode specified: {}", parts[2]);
            }
            mode = parts[2];
        }
    }
    if (!target.starts_with('/')) {
        const std::string_view given = parts.size() == 1 || is_device_mode(parts[1])
                                           ? std::string_view(parts[0])
                                           : std::string_view(parts[1]);
        return fail(Code::InvalidArgument, "{} is not an absolute path", given);
    }
    return json::Value(json::Object{
        {"PathOnHost", source}, {"PathInContainer", target}, {"CgroupPermissions", mode}});
}

// CAP_X in capitals, each once, sorted.
std::vector<std::string> capabilities(const std::vector<std::string>& words) {
    std::set<std::string> out;
    for (const std::string& word : words) {
        std::string name;
        for (const char c : word) {
            name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        }
        out.insert(name == "ALL" || name.starts_with("CAP_") ? name : "CAP_" + name);
    }
    return {out.begin(), out.end()};
}

struct SecurityOptions {
    std::vector<std::string> options;
    bool system_paths = true;  // masked and read-only paths stay
};

Result<SecurityOptions> security_options(const Values& flags) {
    SecurityOptions out;
    for (const std::string& option : flags.list("security-opt")) {
        auto sides = cut(option, "=");
        const bool bare = (sides ? sides->first : std::string_view(option)) == "no-new-privileges";
        if (!sides && !bare) sides = cut(option, ":");
        if (!bare && (!sides || sides->second.empty())) {
            return fail(Code::InvalidArgument, "Invalid --security-opt: {}", quoted(option));
        }
        if (option == "systempaths=unconfined") {
            out.system_paths = false;
            continue;
        }
        const bool is_profile = sides && sides->first == "seccomp" && sides->second != "builtin" &&
                                sides->second != "unconfined";
        if (!is_profile) {
            out.options.push_back(option);
            continue;
        }
        // A path, or the profile itself, as inspect shows it.
        const std::string path(sides->second);
        const Result<std::string> profile =
            path.starts_with('{') ? Result<std::string>(path) : sys::read_file(path);
        if (!profile) {
            return fail(Code::InvalidArgument, "opening seccomp profile ({}) failed: open {}: {}",
                        path, path, to_lower(errno_text(profile.error().sys_errno)));
        }
        const json::Value parsed = TRY_CONTEXT(
            json::parse(*profile), "compacting json for seccomp profile ({}) failed", path);
        out.options.push_back("seccomp=" + json::write(parsed, {.escape = json::Escape::Plain}));
    }
    return out;
}

json::Value device_rates(const Values& flags, std::string_view flag, std::string_view member) {
    json::Array out;
    for (const std::string& word : flags.list(flag)) {
        const auto sides = cut(word, ":");
        out.push_back(json::Object{{"Path", sides->first},
                                   {std::string(member), parse_uint(sides->second).value_or(0)}});
    }
    return out;
}

json::Value ulimits(const Values& flags) {
    std::map<std::string, json::Value> by_name;
    for (const std::string& word : flags.list("ulimit")) {
        const auto sides = cut(word, "=");
        const auto limits = cut(sides->second, ":");
        by_name[std::string(sides->first)] =
            json::Object{{"Name", sides->first},
                         {"Hard", parse_int(limits->second).value_or(0)},
                         {"Soft", parse_int(limits->first).value_or(0)}};
    }
    json::Array out;
    for (auto& [name, limit] : by_name) out.push_back(std::move(limit));
    return out;
}

Result<void> check_namespace_modes(const Values& flags) {
    const auto is_container = [](std::string_view mode) {
        return mode.starts_with("container:") &&
               mode.size() > std::string_view("container:").size();
    };
    const std::string pid = flags.text("pid");
    if (!pid.empty() && pid != "host" && !is_container(pid)) {
        return fail(Code::InvalidArgument, "--pid: invalid PID mode");
    }
    const std::string uts = flags.text("uts");
    if (!uts.empty() && uts != "host") {
        return fail(Code::InvalidArgument, "--uts: invalid UTS mode");
    }
    const std::string userns = flags.text("userns");
    if (!userns.empty() && userns != "host") {
        return fail(Code::InvalidArgument, "--userns: invalid USER mode");
    }
    const std::string cgroupns = flags.text("cgroupns");
    if (!cgroupns.empty() && cgroupns != "host" && cgroupns != "private") {
        return fail(Code::InvalidArgument, "--cgroupns: invalid CGROUP mode");
    }
    return {};
}

}  // namespace

Result<json::Value> port_bindings(const std::vector<std::string>& specs) {
    std::map<std::string, json::Array> ports;
    for (const std::string& spec : specs) {
        for (const PortMapping& mapping : TRY(parse_publish(spec))) {
            ports[mapping.port].push_back(
                json::Object{{"HostIp", mapping.host_ip}, {"HostPort", mapping.host_port}});
        }
    }
    json::Value out{json::Object{}};
    for (auto& [port, bindings] : ports) out.set(port, std::move(bindings));
    return out;
}

namespace {

Result<json::Value> log_config(const Values& flags) {
    const std::string driver = flags.text("log-driver");
    const std::vector<std::string> options = flags.list("log-opt");
    if (driver == "none" && !options.empty()) {
        return fail(Code::InvalidArgument, "invalid logging opts for driver {}", driver);
    }
    return json::Value(json::Object{{"Type", driver}, {"Config", string_map(options)}});
}

// The fields that docker calls Resources.
Result<void> set_resources(json::Value& host, const Values& flags) {
    json::Array devices;
    std::vector<std::string> cdi_names;
    for (const std::string& device : flags.list("device")) {
        if (is_cdi_name(device)) {
            cdi_names.push_back(device);
        } else {
            devices.push_back(TRY(parse_device(device)));
        }
    }
    json::Array requests;
    for (const std::string& gpus : flags.list("gpus")) {
        requests.push_back(TRY(parse_gpu_request(gpus)));
    }
    if (!cdi_names.empty()) {
        requests.push_back(json::Object{{"Driver", "cdi"},
                                        {"Count", 0},
                                        {"DeviceIDs", string_array(cdi_names)},
                                        {"Capabilities", nullptr},
                                        {"Options", nullptr}});
    }
    host.set("CpuShares", flags.number("cpu-shares"));
    host.set("Memory", flags.number("memory"));
    host.set("NanoCpus", flags.number("cpus"));
    host.set("CgroupParent", flags.text("cgroup-parent"));
    host.set("BlkioWeight", flags.number("blkio-weight"));
    host.set("BlkioWeightDevice", device_rates(flags, "blkio-weight-device", "Weight"));
    host.set("BlkioDeviceReadBps", device_rates(flags, "device-read-bps", "Rate"));
    host.set("BlkioDeviceWriteBps", device_rates(flags, "device-write-bps", "Rate"));
    host.set("BlkioDeviceReadIOps", device_rates(flags, "device-read-iops", "Rate"));
    host.set("BlkioDeviceWriteIOps", device_rates(flags, "device-write-iops", "Rate"));
    host.set("CpuPeriod", flags.number("cpu-period"));
    host.set("CpuQuota", flags.number("cpu-quota"));
    host.set("CpuRealtimePeriod", flags.number("cpu-rt-period"));
    host.set("CpuRealtimeRuntime", flags.number("cpu-rt-runtime"));
    host.set("CpusetCpus", flags.text("cpuset-cpus"));
    host.set("CpusetMems", flags.text("cpuset-mems"));
    host.set("Devices", std::move(devices));
    host.set("DeviceCgroupRules", string_array_or_null(flags.list("device-cgroup-rule")));
    host.set("DeviceRequests", requests.empty() ? json::Value() : json::Value(requests));
    host.set("MemoryReservation", flags.number("memory-reservation"));
    host.set("MemorySwap", flags.number("memory-swap"));
    host.set("MemorySwappiness", flags.number("memory-swappiness"));
    host.set("OomKillDisable", flags.is_set("oom-kill-disable"));
    host.set("PidsLimit", flags.number("pids-limit"));
    host.set("Ulimits", ulimits(flags));
    host.set("CpuCount", flags.number("cpu-count"));
    host.set("CpuPercent", flags.number("cpu-percent"));
    host.set("IOMaximumIOps", parse_uint(flags.text("io-maxiops")).value_or(0));
    host.set("IOMaximumBandwidth", flags.number("io-maxbandwidth"));
    return {};
}

Result<void> set_storage(json::Value& host, const Values& flags) {
    json::Value tmpfs{json::Object{}};
    for (const std::string& word : flags.list("tmpfs")) {
        const auto sides = cut(word, ":");
        tmpfs.set(sides ? sides->first : std::string_view(word),
                  sides ? sides->second : std::string_view());
    }
    if (!tmpfs.if_object()->empty()) host.set("Tmpfs", std::move(tmpfs));
    for (const std::string& option : flags.list("storage-opt")) {
        if (option.find('=') == std::string::npos) {
            return fail(Code::InvalidArgument, "invalid storage option");
        }
    }
    if (flags.given("storage-opt")) {
        host.set("StorageOpt", string_map(flags.list("storage-opt")));
    }
    json::Array mounts;
    for (const std::string& mount : flags.list("mount")) {
        mounts.push_back(TRY(parse_mount(mount)));
    }
    if (!mounts.empty()) host.set("Mounts", std::move(mounts));
    return {};
}

}  // namespace

Result<json::Value> restart_policy(std::string_view text) {
    json::Value out(json::Object{{"Name", ""}, {"MaximumRetryCount", 0}});
    if (text.empty()) return out;
    const auto sides = cut(text, ":");
    if (sides && sides->first.empty()) {
        return fail(Code::InvalidArgument,
                    "invalid restart policy format: no policy provided before colon");
    }
    if (sides && !sides->second.empty()) {
        const auto count = decimal(sides->second, "Atoi");
        if (!count) {
            return fail(Code::InvalidArgument,
                        "invalid restart policy format: maximum retry count must be an integer");
        }
        out.set("MaximumRetryCount", *count);
    }
    out.set("Name", sides ? sides->first : text);
    return out;
}

Result<json::Value> host_config(const Values& flags) {
    TRY(check_namespace_modes(flags));
    std::vector<std::string> binds;
    for (const std::string& volume : flags.list("volume")) {
        auto bind = TRY(parse_volume(volume));
        if (bind && std::find(binds.begin(), binds.end(), *bind) == binds.end()) {
            binds.push_back(*std::move(bind));
        }
    }
    json::Value restart = TRY(restart_policy(flags.text("restart")));
    const SecurityOptions security = TRY(security_options(flags));
    const json::Value no_paths = security.system_paths ? json::Value() : json::Value(json::Array{});

    json::Value host{json::Object{}};
    host.set("Binds", string_array_or_null(binds));
    host.set("ContainerIDFile", flags.text("cidfile"));
    host.set("LogConfig", TRY(log_config(flags)));
    host.set("NetworkMode", network_mode(flags));
    host.set("PortBindings", TRY(port_bindings(flags.list("publish"))));
    const std::string policy = text_of(restart, "Name");
    if (flags.is_set("rm") && !policy.empty() && policy != "no") {
        return fail(Code::InvalidArgument,
                    "conflicting options: cannot specify both --restart and --rm");
    }
    host.set("RestartPolicy", std::move(restart));
    host.set("AutoRemove", flags.is_set("rm"));
    host.set("VolumeDriver", flags.text("volume-driver"));
    host.set("VolumesFrom", string_array_or_null(flags.list("volumes-from")));
    host.set("ConsoleSize", json::Array{0, 0});
    std::vector<std::string> annotations = flags.list("annotation");
    if (flags.given("egress"))
        annotations.push_back("coffer.egress=" + join(flags.list("egress"), " "));
    for (const char* kind : {"secret", "config"}) {
        const auto& uses = flags.list(kind);
        if (!uses.empty()) annotations.push_back(format("coffer.{}s={}", kind, join(uses, ";")));
    }
    if (flags.given("rate")) annotations.push_back("coffer.rate=" + flags.text("rate"));
    if (!annotations.empty()) host.set("Annotations", string_map(annotations));
    host.set("CapAdd", string_array_or_null(capabilities(flags.list("cap-add"))));
    host.set("CapDrop", string_array_or_null(capabilities(flags.list("cap-drop"))));
    host.set("CgroupnsMode", flags.text("cgroupns"));
    host.set("Dns", string_array(flags.list("dns")));
    host.set("DnsOptions", string_array(flags.list("dns-option")));
    host.set("DnsSearch", string_array(flags.list("dns-search")));
    host.set("ExtraHosts", string_array_or_null(flags.list("add-host")));
    host.set("GroupAdd", string_array_or_null(flags.list("group-add")));
    host.set("IpcMode", flags.text("ipc"));
    host.set("Cgroup", "");
    host.set("Links", string_array_or_null(flags.list("link")));
    host.set("OomScoreAdj", flags.number("oom-score-adj"));
    host.set("PidMode", flags.text("pid"));
    host.set("Privileged", flags.is_set("privileged"));
    host.set("PublishAllPorts", flags.is_set("publish-all"));
    host.set("ReadonlyRootfs", flags.is_set("read-only"));
    host.set("SecurityOpt", string_array_or_null(security.options));
    if (flags.given("security-opt") && security.options.empty()) {
        host.set("SecurityOpt", json::Array{});
    }
    TRY(set_storage(host, flags));
    host.set("UTSMode", flags.text("uts"));
    host.set("UsernsMode", flags.text("userns"));
    host.set("ShmSize", flags.number("shm-size"));
    if (flags.given("sysctl")) host.set("Sysctls", string_map(flags.list("sysctl")));
    if (const std::string runtime = flags.text("runtime"); !runtime.empty()) {
        host.set("Runtime", runtime);
    }
    host.set("Isolation", flags.text("isolation"));
    TRY(set_resources(host, flags));
    host.set("MaskedPaths", no_paths);
    host.set("ReadonlyPaths", no_paths);
    if (flags.given("init")) host.set("Init", flags.is_set("init"));
    return host;
}

}  // namespace coffer::cli
