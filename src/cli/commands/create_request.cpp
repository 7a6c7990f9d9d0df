#include "cli/commands/create_request.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

// Later values of a name replace earlier ones, in their place.
std::vector<std::string> last_of_each_name(const std::vector<std::string>& words) {
    std::vector<std::string> out;
    const auto name_of = [](const std::string& word) { return word.substr(0, word.find('=')); };
    for (const std::string& word : words) {
        const auto same = std::find_if(out.begin(), out.end(), [&](const std::string& other) {
            return name_of(other) == name_of(word);
        });
        if (same == out.end()) {
            out.push_back(word);
        } else {
            *same = word;
        }
    }
    return out;
}

Result<json::Value> ports_set(const Values& flags) {
    std::vector<std::string> ports;
    for (const std::string& spec : flags.list("publish")) {
        for (const PortMapping& mapping : TRY(parse_publish(spec))) ports.push_back(mapping.port);
    }
    for (const std::string& spec : flags.list("expose")) {
        for (const std::string& port : TRY(parse_expose(spec))) ports.push_back(port);
    }
    json::Value out;
    for (const std::string& port : ports) out.set(port, json::Object{});
    return out;  // null: none
}

Result<json::Value> healthcheck(const Values& flags) {
    const std::vector<std::pair<std::string, json::Array>> tests = {
        {"health-cmd", {"CMD-SHELL", flags.text("health-cmd")}},
        {"health-http", {"HTTP", flags.text("health-http")}},
        {"health-tcp", {"TCP", flags.text("health-tcp")}},
    };
    const auto given = std::count_if(tests.begin(), tests.end(), [&](const auto& test) {
        return !flags.text(test.first).empty();
    });
    if (given > 1) {
        return fail(Code::InvalidArgument,
                    "--health-cmd, --health-http and --health-tcp exclude each other");
    }
    const bool has_settings =
        given != 0 || flags.number("health-interval") != 0 || flags.number("health-timeout") != 0 ||
        flags.number("health-start-period") != 0 || flags.number("health-retries") != 0 ||
        flags.number("health-start-interval") != 0;
    if (flags.is_set("no-healthcheck")) {
        if (has_settings) {
            return fail(Code::InvalidArgument,
                        "--no-healthcheck conflicts with --health-* options");
        }
        return json::Value(json::Object{{"Test", json::Array{"NONE"}}});
    }
    if (!has_settings) return json::Value();
    json::Value out{json::Object{}};
    for (const auto& [flag, test] : tests) {
        if (!flags.text(flag).empty()) out.set("Test", test);
    }
    struct Setting {
        std::string_view flag;
        std::string_view member;
    };
    for (const Setting& setting :
         {Setting{"health-interval", "Interval"}, Setting{"health-timeout", "Timeout"},
          Setting{"health-retries", "Retries"}, Setting{"health-start-period", "StartPeriod"},
          Setting{"health-start-interval", "StartInterval"}}) {
        const std::int64_t number = flags.number(setting.flag);
        if (number < 0) return fail(Code::InvalidArgument, "--{} cannot be negative", setting.flag);
        if (number != 0) out.set(setting.member, number);
    }
    return out;
}

Result<void> refuse_other_systems(const Values& flags) {
    std::vector<std::string> lines;
    for (const char* flag : {"cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"}) {
        if (!flags.given(flag)) continue;
        lines.push_back(
            format("\"--{}\" is only supported on a Docker daemon running on windows, but "
                   "the Docker daemon is running on linux",
                   flag));
    }
    if (lines.empty()) return {};
    return fail(Code::InvalidArgument, "{}", join(lines, "\n"));
}

Result<json::Value> anonymous_volumes(const Values& flags) {
    json::Value out{json::Object{}};
    for (const std::string& volume : flags.list("volume")) {
        if (!TRY(parse_volume(volume))) out.set(volume, json::Object{});
    }
    return out;
}

}  // namespace

json::Value string_array(const std::vector<std::string>& items) {
    return json::Array(items.begin(), items.end());
}

json::Value string_array_or_null(const std::vector<std::string>& items) {
    return items.empty() ? json::Value() : string_array(items);
}

json::Value string_map(const std::vector<std::string>& items) {
    json::Value out{json::Object{}};
    for (const std::string& item : items) {
        const auto sides = cut(item, "=");
        out.set(sides ? sides->first : std::string_view(item),
                sides ? sides->second : std::string_view());
    }
    return out;
}

Result<std::vector<std::string>> parse_key_value_file(const std::string& path, Lookup lookup) {
    const Result<std::string> content = sys::read_file(path);
    if (!content) {
        return fail(content.error().code, "open {}: {}", path,
                    to_lower(errno_text(content.error().sys_errno)));
    }
    const auto refuse = [&](std::string_view why) {
        return fail(Code::InvalidArgument, "invalid env file ({}): {}", path, why);
    };
    std::vector<std::string> out;
    std::size_t number = 0;
    for (std::string_view line : split(*content, '\n')) {
        ++number;
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
        if (!is_utf8(line)) return refuse(format("invalid utf8 bytes at line {}", number));
        while (!line.empty() && trim(line.substr(0, 1)).empty()) line.remove_prefix(1);
        if (line.empty() || line[0] == '#') continue;
        const std::size_t equals = line.find('=');
        const std::string name(line.substr(0, equals));
        if (name.empty()) return refuse(format("no variable name on line '{}'", line));
        if (name.find_first_of(" \t") != std::string::npos) {
            return refuse(format("variable '{}' contains whitespaces", name));
        }
        if (equals != std::string_view::npos) {
            out.emplace_back(line);
        } else if (lookup == Lookup::Environment) {
            // NOLINTNEXTLINE(concurrency-mt-unsafe): this program never changes its environment
            if (const char* value = ::getenv(name.c_str())) out.push_back(name + "=" + value);
        }
    }
    return out;
}

Result<std::vector<std::string>> environment_of(const Values& flags) {
    std::vector<std::string> out;
    for (const std::string& path : flags.list("env-file")) {
        for (std::string& line : TRY(parse_key_value_file(path, Lookup::Environment))) {
            out.push_back(std::move(line));
        }
    }
    for (std::string& word : last_of_each_name(flags.list("env"))) out.push_back(std::move(word));
    return out;
}

Result<CreateRequest> build_create_request(const Values& flags,
                                           const std::vector<std::string>& args) {
    TRY(refuse_other_systems(flags));
    const std::vector<std::string> attach = flags.list("attach");
    const auto attaches = [&](std::string_view stream) {
        return std::find(attach.begin(), attach.end(), stream) != attach.end();
    };
    CreateRequest out;
    out.image = args[0];
    out.tty = flags.is_set("tty");
    const bool open_stdin = flags.is_set("interactive");
    out.attach_input = attaches("stdin") || open_stdin;
    out.attach_output = attaches("stdout") || attach.empty();
    out.attach_errors = attaches("stderr") || attach.empty();
    out.auto_remove = flags.is_set("rm");
    out.cidfile = flags.text("cidfile");

    const std::int64_t swappiness = flags.number("memory-swappiness");
    if (swappiness < -1 || swappiness > 100) {
        return fail(Code::InvalidArgument,
                    "invalid value: {}. Valid memory swappiness range is 0-100", swappiness);
    }
    json::Value volumes = TRY(anonymous_volumes(flags));
    json::Value ports = TRY(ports_set(flags));
    const std::vector<std::string> environment = TRY(environment_of(flags));
    std::vector<std::string> labels;
    for (const std::string& path : flags.list("label-file")) {
        for (std::string& line : TRY(parse_key_value_file(path, Lookup::No))) {
            labels.push_back(std::move(line));
        }
    }
    for (std::string& label : flags.list("label")) labels.push_back(std::move(label));
    if (const std::string action = flags.text("health-on-failure"); !action.empty()) {
        labels.push_back("coffer.health.on-failure=" + action);
    }

    json::Value entrypoint;
    if (flags.given("entrypoint")) entrypoint = json::Array{flags.text("entrypoint")};

    json::Value& body = out.body;
    body = json::Object{};
    body.set("Hostname", flags.text("hostname"));
    body.set("Domainname", flags.text("domainname"));
    body.set("User", flags.text("user"));
    body.set("AttachStdin", out.attach_input);
    body.set("AttachStdout", out.attach_output);
    body.set("AttachStderr", out.attach_errors);
    if (!ports.is_null()) body.set("ExposedPorts", std::move(ports));
    body.set("Tty", out.tty);
    body.set("OpenStdin", open_stdin);
    body.set("StdinOnce", open_stdin && out.attach_input);
    body.set("Env", string_array_or_null(environment));
    body.set("Cmd", string_array_or_null({args.begin() + 1, args.end()}));
    json::Value health = TRY(healthcheck(flags));
    if (!health.is_null()) body.set("Healthcheck", std::move(health));
    body.set("Image", out.image);
    body.set("Volumes", std::move(volumes));
    body.set("WorkingDir", flags.text("workdir"));
    body.set("Entrypoint", std::move(entrypoint));
    body.set("OnBuild", nullptr);
    body.set("Labels", string_map(labels));
    if (const std::string signal = flags.text("stop-signal"); !signal.empty()) {
        body.set("StopSignal", signal);
    }
    if (flags.given("stop-timeout")) body.set("StopTimeout", flags.number("stop-timeout"));
    body.set("HostConfig", TRY(host_config(flags)));
    auto endpoints = TRY(endpoints_config(flags));
    body.set("NetworkingConfig", json::Object{{"EndpointsConfig", std::move(endpoints)}});
    return out;
}

}  // namespace coffer::cli
