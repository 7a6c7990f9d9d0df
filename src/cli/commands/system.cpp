// coffer version, info, events, inspect, and the group "system".
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/inspect_as.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFormatFlags = {text("format", 'f', kInspectFormatHelp)};
constexpr std::array kEventsFlags = {
    filter_flag('f', "Filter output based on conditions provided"),
    text("format", 0, kInspectFormatHelp),
    text("since", 0, "Show all events created since timestamp"),
    text("until", 0, "Stream events until this timestamp"),
};
constexpr std::array kInspectFlags = {
    kAsFlag,
    text("format", 'f', kInspectFormatHelp),
    toggle("size", 's', "Display total file sizes if the type is container"),
    text("type", 0, "Only inspect objects of the given type"),
};

// "Thu Nov 26 21:15:59 2026", in UTC.
std::string to_ansic(Time time) {
    const std::time_t seconds = unix_seconds(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts)};
}

// As docker's client shows them, in templates too.
void rewrite_build_times(json::Value& server) {
    json::Value* components = server.find("Components");
    json::Array* array = components == nullptr ? nullptr : components->if_array();
    if (array == nullptr) return;
    for (json::Value& component : *array) {
        const auto time = parse_rfc3339(text_of(component, "Details.BuildTime"));
        if (time) component.find("Details")->set("BuildTime", to_ansic(*time));
    }
}

std::string_view machine() {
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#else
    return "unknown";
#endif
}

Result<int> version(Invocation& call) {
    json::Value client(json::Object{
        {"Version", COFFER_VERSION}, {"Os", "linux"}, {"Arch", machine()}, {"Context", "default"}});
    Result<json::Value> server = call.api.get("/version");
    if (server) rewrite_build_times(*server);
    std::string pattern = call.flags.text("format");
    if (!pattern.empty()) {
        if (pattern == "json") pattern = "{{json .}}";
        json::Value root(json::Object{{"Client", client}, {"Server", nullptr}});
        if (server) root.set("Server", *server);
        const Result<Template> parsed = Template::parse(pattern);
        if (!parsed) {
            warn_line(parsed.error().message);
            return 64;
        }
        const std::string text = TRY(parsed->execute({.root = root}));
        TRY(print_line(text));
        if (!server) return fail(server.error());
        return 0;
    }
    std::string out =
        format("Client: Coffer\n Version:\t{}\n OS/Arch:\tlinux/{}\n", COFFER_VERSION, machine());
    if (server) {
        const std::string platform = text_of(*server, "Platform.Name");
        out += "\nServer:" + (platform.empty() ? "" : " " + platform) + "\n";
        for (const json::Value& component : array_of(*server, "Components")) {
            const std::string name = text_of(component, "Name");
            out += format(" {}:\n  Version:\t{}\n", name, text_of(component, "Version"));
            const json::Value* found = component.find("Details");
            const json::Value details = found != nullptr ? *found : json::Value();
            if (name == "Engine") {
                out += format("  API version:\t{} (minimum version {})\n",
                              text_of(details, "ApiVersion"), text_of(details, "MinAPIVersion"));
                for (const auto& [label, member] :
                     {std::pair{"Go version", "GoVersion"}, std::pair{"Git commit", "GitCommit"},
                      std::pair{"Built", "BuildTime"}}) {
                    const std::string value = text_of(details, member);
                    if (!value.empty()) out += format("  {}:\t{}\n", label, value);
                }
                out += format("  OS/Arch:\t{}/{}\n  Experimental:\t{}\n", text_of(details, "Os"),
                              text_of(details, "Arch"), text_of(details, "Experimental"));
                continue;
            }
            std::vector<json::Member> sorted = object_of(details, "");
            std::sort(sorted.begin(), sorted.end(),
                      [](const auto& a, const auto& b) { return a.key < b.key; });
            for (const json::Member& detail : sorted) {
                out += format("  {}:\t{}\n", detail.key, template_text(detail.value));
            }
        }
    }
    TRY(print(align_columns(out, {.min_width = 20, .padding = 1})));
    if (!server) return fail(server.error());
    return 0;
}

// Lines "label value" of docker's info; the ones without a value are left out.
class InfoText {
  public:
    explicit InfoText(const json::Value& info) : info_(info) {}

    void text(std::string_view label, std::string_view path) {
        if (const std::string value = text_of(info_, path); !value.empty()) line(label, value);
    }
    void number(std::string_view label, std::string_view path) {
        line(label, format("{}", int_of(info_, path)));
    }
    void flag(std::string_view label, std::string_view path) {
        line(label, bool_of(info_, path) ? "true" : "false");
    }
    void words(std::string_view label, std::string_view path) {
        std::vector<std::string> all;
        for (const json::Value& item : array_of(info_, path)) all.push_back(template_text(item));
        line(label, join(all, " "));
    }
    // One a line; nothing when there are none.
    void lines(std::string_view label, std::string_view path) {
        const json::Array& items = array_of(info_, path);
        if (!items.empty()) out_ += format("{}:\n", label);
        for (const json::Value& item : items) out_ += format("  {}\n", template_text(item));
    }
    void line(std::string_view label, std::string_view value) {
        out_ += format("{}: {}\n", label, value);
    }
    void add(std::string_view text) { out_ += text; }
    std::string take() { return std::move(out_); }

  private:
    const json::Value& info_;
    std::string out_;
};

std::string security_lines(const json::Value& info) {
    const json::Array& options = array_of(info, "SecurityOptions");
    if (options.empty()) return {};
    std::string out = " Security Options:\n";
    for (const json::Value& option : options) {
        const std::string text = template_text(option);
        if (!text.starts_with("name=")) {
            out += "  " + text + "\n";
            continue;
        }
        for (const std::string& part : split(text, ',')) {
            const auto sides = cut(part, "=");
            if (!sides) continue;
            if (sides->first == "name") out += format("  {}\n", sides->second);
            if (sides->first == "profile") out += format("   Profile: {}\n", sides->second);
        }
    }
    return out;
}

std::string info_text(const json::Value& info) {
    InfoText text(info);
    text.number(" Containers", "Containers");
    text.number("  Running", "ContainersRunning");
    text.number("  Paused", "ContainersPaused");
    text.number("  Stopped", "ContainersStopped");
    text.number(" Images", "Images");
    text.text(" Server Version", "ServerVersion");
    text.text(" Storage Driver", "Driver");
    for (const json::Value& pair : array_of(info, "DriverStatus")) {
        const json::Array& cells = array_of(pair, "");
        if (cells.size() == 2) {
            text.add(format("  {}: {}\n", template_text(cells[0]), template_text(cells[1])));
        }
    }
    text.text(" Logging Driver", "LoggingDriver");
    text.text(" Cgroup Driver", "CgroupDriver");
    text.text(" Cgroup Version", "CgroupVersion");
    text.add(" Plugins:\n");
    text.words("  Volume", "Plugins.Volume");
    text.words("  Network", "Plugins.Network");
    text.words("  Log", "Plugins.Log");
    text.lines(" CDI spec directories", "CDISpecDirs");
    text.text(" Swarm", "Swarm.LocalNodeState");
    std::vector<std::string> runtimes;
    if (const json::Value* all = info.find("Runtimes")) {
        for (const json::Member& runtime : object_of(*all, "")) runtimes.push_back(runtime.key);
    }
    if (!runtimes.empty()) {
        text.line(" Runtimes", join(runtimes, " "));
        text.text(" Default Runtime", "DefaultRuntime");
    }
    text.text(" Init Binary", "InitBinary");
    text.text(" containerd version", "ContainerdCommit.ID");
    text.text(" runc version", "RuncCommit.ID");
    text.text(" init version", "InitCommit.ID");
    text.add(security_lines(info));
    text.text(" Kernel Version", "KernelVersion");
    text.text(" Operating System", "OperatingSystem");
    text.text(" OSType", "OSType");
    text.text(" Architecture", "Architecture");
    text.number(" CPUs", "NCPU");
    text.line(" Total Memory", binary_size(static_cast<double>(int_of(info, "MemTotal"))));
    text.text(" Name", "Name");
    text.text(" ID", "ID");
    text.text(" Docker Root Dir", "DockerRootDir");
    text.flag(" Debug Mode", "Debug");
    text.text(" HTTP Proxy", "HttpProxy");
    text.text(" HTTPS Proxy", "HttpsProxy");
    text.text(" No Proxy", "NoProxy");
    text.flag(" Experimental", "ExperimentalBuild");
    std::string registries;
    if (const json::Value* config = info.find("RegistryConfig")) {
        if (const json::Value* hosts = config->find("IndexConfigs")) {
            for (const json::Member& host : object_of(*hosts, "")) {
                if (!bool_of(host.value, "Secure")) registries += "  " + host.key + "\n";
            }
        }
        for (const json::Value& net : array_of(*config, "InsecureRegistryCIDRs")) {
            registries += "  " + template_text(net) + "\n";
        }
    }
    if (!registries.empty()) text.add(" Insecure Registries:\n" + registries);
    text.flag(" Live Restore Enabled", "LiveRestoreEnabled");
    text.text(" Firewall Backend", "FirewallBackend.Driver");
    return text.take() + "\n";
}

Result<int> info(Invocation& call) {
    const Result<json::Value> server = call.api.get("/info");
    std::string pattern = call.flags.text("format");
    if (!pattern.empty()) {
        if (!server) return fail(server.error());
        if (pattern == "json") pattern = "{{json .}}";
        const Result<Template> parsed = Template::parse(pattern);
        if (!parsed) {
            warn_line(parsed.error().message);
            return 64;
        }
        json::Value root = *server;
        root.set("ClientInfo", json::Object{{"Version", COFFER_VERSION}, {"Context", "default"}});
        const std::string text = TRY(parsed->execute({.root = root}));
        TRY(print_line(text));
        return 0;
    }
    TRY(
        print(format("Client: Coffer\n Version:    {}\n Context:    default\n Debug Mode: false\n\n"
                     "Server:\n",
                     COFFER_VERSION)));
    if (!server) {
        warn_line("ERROR: " + server.error().message);
        return fail(Code::Unavailable, "errors pretty printing info");
    }
    TRY(print(info_text(*server)));
    for (const json::Value& warning : array_of(*server, "Warnings")) {
        warn_line(template_text(warning));
    }
    return 0;
}

std::string event_line(const json::Value& event) {
    const std::int64_t nano = int_of(event, "timeNano");
    const Time time = nano != 0 ? Time(std::chrono::nanoseconds(nano))
                                : Time(std::chrono::seconds(int_of(event, "time")));
    std::string out = format("{} {} {} {}", to_rfc3339(time), text_of(event, "Type"),
                             text_of(event, "Action"), text_of(event, "Actor.ID"));
    const json::Value* attributes = event.at_path("Actor.Attributes");
    if (attributes != nullptr && !object_of(*attributes, "").empty()) {
        std::vector<std::string> words;
        for (const json::Member& member : object_of(*attributes, "")) {
            words.push_back(member.key + "=" + template_text(member.value));
        }
        std::sort(words.begin(), words.end());
        out += format(" ({})", join(words, ", "));
    }
    return out;
}

Result<std::string> event_time(const std::string& text) {
    if (text.empty()) return text;
    const auto time = parse_timestamp(text, now());
    if (!time) {
        return fail(Code::InvalidArgument, "failed to parse value as time or duration: {}",
                    quoted(text));
    }
    const auto nanoseconds = time->time_since_epoch().count();
    return format("{}.{:09}", nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000);
}

Result<int> events(Invocation& call) {
    const Values& flags = call.flags;
    std::optional<Template> pattern;
    std::string given = flags.text("format");
    if (given == "json") given = "{{json .}}";
    if (!given.empty()) {
        Result<Template> parsed = Template::parse(given);
        if (!parsed) {
            warn_line("Error parsing format: " + parsed.error().message);
            return 64;
        }
        pattern = *std::move(parsed);
    }
    Query query;
    for (const std::string_view name : {"since", "until"}) {
        const std::string time = TRY(event_time(flags.text(name)));
        if (!time.empty()) query.emplace(name, time);
    }
    add_filters(query, flags.list("filter"));
    http::Response response = TRY(call.api.open(ApiCall{.path = "/events", .query = query}));
    JsonLines lines(response);
    for (;;) {
        const std::optional<json::Value> event = TRY(lines.next());
        if (!event) return 0;
        const std::string text =
            pattern ? TRY(pattern->execute({.root = *event})) : event_line(*event);
        TRY(print_line(text));
    }
}

struct Kind {
    std::string_view name;
    std::string (*path)(const std::string& name);
};

constexpr std::array kKinds = {
    Kind{"container",
         [](const std::string& name) {
             return format("/containers/{}/json", http::percent_encode(name));
         }},
    Kind{"image", [](const std::string& name) { return image_path(name, "/json"); }},
    Kind{
        "network",
        [](const std::string& name) { return format("/networks/{}", http::percent_encode(name)); }},
    Kind{"volume",
         [](const std::string& name) { return format("/volumes/{}", http::percent_encode(name)); }},
};

Result<int> inspect(Invocation& call) {
    if (call.flags.given("as")) return inspect_as(call);
    const std::string type = call.flags.text("type");
    const bool known = std::any_of(kKinds.begin(), kKinds.end(),
                                   [&](const Kind& kind) { return kind.name == type; });
    if (!type.empty() && !known) {
        return fail(Code::InvalidArgument, "{} is not a valid value for --type", quoted(type));
    }
    const bool size = call.flags.is_set("size");
    return print_inspected(
        call.args, call.flags.text("format"), [&](const std::string& name) -> Result<std::string> {
            for (const Kind& kind : kKinds) {
                if (!type.empty() && kind.name != type) continue;
                Query query;
                if (size && kind.name == "container") query.emplace("size", "1");
                Result<std::string> found =
                    call.api.text(ApiCall{.path = kind.path(name), .query = query});
                const bool absent = !found && (found.error().code == Code::NotFound ||
                                               found.error().code == Code::NotImplemented);
                if (!absent || !type.empty()) return found;
            }
            return fail(Code::NotFound, "Error: No such object: {}", name);
        });
}

}  // namespace

namespace commands {

constinit const Command kVersion{
    .name = "version",
    .arguments = "[OPTIONS]",
    .summary = "Show the Coffer version information",
    .run = &version,
    .flags = {kFormatFlags},
    .common = 11,
};
constinit const Command kInfo{
    .name = "info",
    .arguments = "[OPTIONS]",
    .summary = "Display system-wide information",
    .run = &info,
    .flags = {kFormatFlags},
    .spellings = "system info, info",
    .common = 12,
};
constinit const Command kEvents{
    .name = "events",
    .arguments = "[OPTIONS]",
    .summary = "Get real time events from the server",
    .run = &events,
    .flags = {kEventsFlags},
    .spellings = "system events, events",
};
constinit const Command kInspect{
    .name = "inspect",
    .arguments = "[OPTIONS] NAME|ID [NAME|ID...]",
    .summary = "Return low-level information on Docker objects",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
};

static constinit const std::array<const Command*, 6> kSystemCommands = {
    &kSystemCheck, &kSystemDf, &kEvents, &kSystemGc, &kInfo, &kSystemPrune};
constinit const Command kSystem{
    .name = "system",
    .arguments = {},
    .summary = "Manage Coffer",
    .children = kSystemCommands,
};

}  // namespace commands

}  // namespace coffer::cli
