#include "logs/options.hpp"

#include <algorithm>
#include <span>

namespace coffer::logs {

namespace {

using std::string_view_literals::operator""sv;

struct Driver {
    std::string_view name;
    std::span<const std::string_view> options;
};
constexpr std::string_view kCommon[] = {"env", "env-regex", "labels", "labels-regex", "tag"};
constexpr std::string_view kJsonFile[] = {"compress", "max-file", "max-size"};
constexpr std::string_view kLocal[] = {"compress", "max-file", "max-size"};
constexpr std::string_view kJournald[] = {"journald-socket"};
constexpr std::string_view kSyslog[] = {
    "syslog-address",  "syslog-facility", "syslog-format",         "syslog-tls-ca-cert",
    "syslog-tls-cert", "syslog-tls-key",  "syslog-tls-skip-verify"};
constexpr std::string_view kGelf[] = {"gelf-address", "gelf-compression-level",
                                      "gelf-compression-type", "gelf-tcp-max-reconnect",
                                      "gelf-tcp-reconnect-delay"};
constexpr std::string_view kFluentd[] = {"fluentd-address",       "fluentd-async",
                                         "fluentd-async-connect", "fluentd-buffer-limit",
                                         "fluentd-max-retries",   "fluentd-request-ack",
                                         "fluentd-retry-wait",    "fluentd-sub-second-precision",
                                         "fluentd-write-timeout"};
// In the order of Info.Plugins.Log.
constexpr Driver kDrivers[] = {{"fluentd", kFluentd},    {"gelf", kGelf},   {"journald", kJournald},
                               {"json-file", kJsonFile}, {"local", kLocal}, {"syslog", kSyslog}};
// Options of what stands around every driver.
constexpr std::string_view kAround[] = {"mode",           "max-buffer-size", "cache-disabled",
                                        "cache-max-size", "cache-max-file",  "cache-compress"};

constexpr std::string_view kFacilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "",       "",       "",       "",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};

bool contains(std::span<const std::string_view> names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_file(const std::string& driver) {
    return driver == "json-file" || driver == "local";
}

const std::string* find(const Options& options, const std::string& name) {
    const auto found = options.find(name);
    return found == options.end() ? nullptr : &found->second;
}

std::string text_of(const Options& options, const std::string& name) {
    const std::string* text = find(options, name);
    return text == nullptr ? std::string() : *text;
}

Result<std::int64_t> size_of(const Options& options, const std::string& name,
                             std::int64_t otherwise) {
    const std::string* text = find(options, name);
    if (text == nullptr) return otherwise;
    if (*text == "-1") return -1;
    const auto size = parse_bytes(*text);
    if (!size) return fail(Code::InvalidArgument, "invalid size: '{}'", *text);
    if (*size <= 0) return fail(Code::InvalidArgument, "{} must be a positive number", name);
    return *size;
}

Result<std::int64_t> number_of(const Options& options, const std::string& name,
                               std::int64_t otherwise) {
    const std::string* text = find(options, name);
    if (text == nullptr) return otherwise;
    const auto number = parse_int(*text);
    if (!number) {
        return fail(Code::InvalidArgument, "strconv.Atoi: parsing \"{}\": invalid syntax", *text);
    }
    return *number;
}

Result<bool> switch_of(const Options& options, const std::string& name, bool otherwise) {
    const std::string* text = find(options, name);
    if (text == nullptr) return otherwise;
    const auto truth = parse_bool(*text);
    if (!truth) {
        return fail(Code::InvalidArgument, "strconv.ParseBool: parsing \"{}\": invalid syntax",
                    *text);
    }
    return *truth;
}

Result<void> check_around(const Options& options) {
    const std::string mode = text_of(options, "mode");
    if (!mode.empty() && mode != "blocking" && mode != "non-blocking") {
        return fail(Code::InvalidArgument, "logger: logging mode not supported: {}", mode);
    }
    if (const std::string* size = find(options, "max-buffer-size")) {
        if (mode != "non-blocking") {
            return fail(Code::InvalidArgument,
                        "logger: max-buffer-size option is only supported with "
                        "'mode=non-blocking'");
        }
        if (!parse_bytes(*size)) {
            return fail(Code::InvalidArgument,
                        "error parsing option max-buffer-size: invalid size: '{}'", *size);
        }
    }
    for (const char* name : {"cache-disabled", "cache-compress"}) {
        if (!switch_of(options, name, false)) {
            return fail(Code::InvalidArgument, "invalid value for option {}: {}", name,
                        text_of(options, name));
        }
    }
    return {};
}

// The options of the copy under the names of the driver `local`.
Options cache_options(const Options& options) {
    constexpr std::string_view kPrefix = "cache-";
    Options own;
    for (const auto& [name, value] : options) {
        if (name.starts_with(kPrefix)) own[name.substr(kPrefix.size())] = value;
    }
    return own;
}

Result<FileLimits> limits_of(const Options& options, FileLimits limits) {
    limits.max_size = TRY(size_of(options, "max-size", limits.max_size));
    limits.max_files = TRY(number_of(options, "max-file", limits.max_files));
    if (limits.max_files < 1) {
        return fail(Code::InvalidArgument, "max-file cannot be less than 1");
    }
    const bool is_given = find(options, "compress") != nullptr;
    limits.compress = TRY(switch_of(options, "compress", limits.compress));
    if (limits.compress && (limits.max_files < 2 || limits.max_size < 0)) {
        if (is_given) {
            return fail(
                Code::InvalidArgument,
                "compress cannot be true when max-file is less than 2 or max-size is not set");
        }
        limits.compress = false;
    }
    return limits;
}

Result<void> check_values(const std::string& driver, const Options& options) {
    TRY(file_limits(driver, options));
    const Subject nobody;
    TRY(find_attributes(options, nobody));
    TRY(expand_tag(text_of(options, "tag"), nobody));
    return {};
}

std::string json_object(const Attributes& attributes) {
    return attributes.empty() ? std::string() : json::encode(attributes);
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
    constexpr std::string_view kTrue[] = {"1", "t", "T", "TRUE", "true", "True"};
    constexpr std::string_view kFalse[] = {"0", "f", "F", "FALSE", "false", "False"};
    if (contains(kTrue, text)) return true;
    if (contains(kFalse, text)) return false;
    return std::nullopt;
}

std::vector<std::string> driver_names() {
    std::vector<std::string> names;
    for (const Driver& driver : kDrivers) names.emplace_back(driver.name);
    return names;
}

Result<void> check_options(const std::string& driver, const Options& options) {
    if (driver == "none") return {};
    const auto* known = std::find_if(std::begin(kDrivers), std::end(kDrivers),
                                     [&](const Driver& one) { return one.name == driver; });
    if (known == std::end(kDrivers)) {
        return fail(Code::InvalidArgument,
                    "error looking up logging plugin {}: plugin \"{}\" not found", driver, driver);
    }
    TRY(check_around(options));
    for (const auto& [name, value] : options) {
        if (contains(kAround, name) || contains(kCommon, name) || contains(known->options, name)) {
            continue;
        }
        if (driver == "local") {
            return fail(Code::InvalidArgument, "unknown log opt '{}' for log driver local", name);
        }
        return fail(Code::InvalidArgument, "unknown log opt '{}' for {} log driver", name, driver);
    }
    if (driver == "syslog") TRY(syslog_options(options));
    if (driver == "gelf") TRY(gelf_options(options));
    if (driver == "fluentd") TRY(fluentd_options(options));
    TRY_CONTEXT(check_values(driver, options), "failed to initialize logging driver");
    return {};
}

Result<FileLimits> file_limits(const std::string& driver, const Options& options) {
    constexpr std::int64_t kMebi = 1024 * 1024;
    if (driver == "json-file") return limits_of(options, {10 * kMebi, 3, false});
    return limits_of(driver == "local" ? options : cache_options(options), {20 * kMebi, 5, true});
}

std::optional<Place> find_place(const std::string& driver, const Options& options,
                                const std::string& folder, const std::string& id) {
    if (driver == "none") return std::nullopt;
    if (driver == "json-file") return Place{format("{}/{}-json.log", folder, id), Format::Json};
    if (driver == "local") return Place{folder + "/local-logs/container.log", Format::Local};
    if (switch_of(options, "cache-disabled", false).value_or(false)) return std::nullopt;
    return Place{folder + "/container-cached.log", Format::Local};
}

Result<Setup> make_setup(const std::string& driver, const Options& options, const Subject& subject,
                         const std::string& folder, const std::string& program) {
    Setup setup;
    const auto place = find_place(driver, options, folder, subject.origin.container_id);
    if (driver == "none") return setup;
    Subject known = subject;
    Attributes attributes = TRY(find_attributes(options, subject));
    const std::string* tag = find(options, "tag");
    const bool has_tag = tag != nullptr && !tag->empty();
    known.origin.tag = TRY(expand_tag(has_tag ? *tag : "{{.ID}}", subject));
    setup.program = program;
    if (place) {
        const FileLimits limits = TRY(file_limits(driver, options));
        setup.path = place->path;
        setup.is_local = place->format == Format::Local;
        setup.max_size = limits.max_size;
        setup.max_files = limits.max_files;
        setup.compress = limits.compress;
    }
    if (is_file(driver)) {
        if (has_tag) attributes["tag"] = known.origin.tag;
        setup.attributes = json_object(attributes);
        return setup;
    }
    known.origin.attributes = std::move(attributes);
    setup.remote = json::encode(Remote{driver, options, known.origin});
    setup.must_connect = true;
    setup.non_blocking = text_of(options, "mode") == "non-blocking";
    setup.buffer = TRY(size_of(options, "max-buffer-size", setup.buffer));
    if (driver == "fluentd") {
        const FluentdOptions fluentd = TRY(fluentd_options(options));
        setup.must_connect = !fluentd.async;
        if (fluentd.async && !setup.non_blocking) {
            setup.non_blocking = true;
            setup.buffer = fluentd.buffer;
        }
    }
    return setup;
}

// ---- of the drivers ----

Result<SyslogOptions> syslog_options(const Options& options) {
    SyslogOptions out;
    const std::string address = text_of(options, "syslog-address");
    const auto sides = cut(address, "://");
    const std::string_view scheme = sides ? sides->first : std::string_view();
    if (address.empty()) {
        out.address.kind = Address::Kind::UnixDatagram;  // with no path: the usual ones
    } else if (scheme == "unix" || scheme == "unixgram") {
        out.address.kind =
            scheme == "unix" ? Address::Kind::UnixStream : Address::Kind::UnixDatagram;
        out.address.path = sides->second;
    } else if (scheme == "udp" || scheme == "tcp" || scheme == "tcp+tls") {
        const auto kind = scheme == "udp"   ? Address::Kind::Udp
                          : scheme == "tcp" ? Address::Kind::Tcp
                                            : Address::Kind::Tls;
        out.address = TRY(parse_host_port(kind, sides->second, "514"));
    } else {
        return fail(Code::InvalidArgument,
                    "syslog-address should be in form proto://address, got {}", address);
    }
    const std::string facility = text_of(options, "syslog-facility");
    if (!facility.empty()) {
        const auto* found = std::find(std::begin(kFacilities), std::end(kFacilities), facility);
        const auto number = parse_uint(facility);
        if (found == std::end(kFacilities) && !(number && *number <= 23)) {
            return fail(Code::InvalidArgument, "invalid syslog facility");
        }
        out.facility =
            static_cast<int>(found == std::end(kFacilities) ? static_cast<std::ptrdiff_t>(*number)
                                                            : found - std::begin(kFacilities));
    }
    out.format = text_of(options, "syslog-format");
    constexpr std::string_view kFormats[] = {"", "rfc3164", "rfc5424", "rfc5424micro"};
    if (!contains(kFormats, out.format)) {
        return fail(Code::InvalidArgument, "Invalid syslog format");
    }
    out.ca = text_of(options, "syslog-tls-ca-cert");
    out.cert = text_of(options, "syslog-tls-cert");
    out.key = text_of(options, "syslog-tls-key");
    // Any value but the empty one, as docker has it.
    out.skip_verify = !text_of(options, "syslog-tls-skip-verify").empty();
    return out;
}

Result<GelfOptions> gelf_options(const Options& options) {
    GelfOptions out;
    const std::string address = text_of(options, "gelf-address");
    if (address.empty()) {
        return fail(Code::InvalidArgument, "gelf-address is a required parameter");
    }
    const auto sides = cut(address, "://");
    if (!sides || (sides->first != "udp" && sides->first != "tcp")) {
        return fail(Code::InvalidArgument, "gelf-address should be in form proto://address, got {}",
                    address);
    }
    const bool is_udp = sides->first == "udp";
    auto parsed =
        parse_host_port(is_udp ? Address::Kind::Udp : Address::Kind::Tcp, sides->second, "");
    if (!parsed) {
        return fail(Code::InvalidArgument,
                    "gelf: please provide gelf-address as proto://host:port");
    }
    out.address = *std::move(parsed);
    const auto unknown = [&](const char* name) {
        return fail(Code::InvalidArgument,
                    "unknown value \"{}\" for log opt \"{}\" for gelf log "
                    "driver",
                    text_of(options, name), name);
    };
    if (const std::string* type = find(options, "gelf-compression-type")) {
        if (!is_udp) return fail(Code::InvalidArgument, "compression is only supported on UDP");
        if (*type != "gzip" && *type != "zlib" && *type != "none") {
            return unknown("gelf-compression-type");
        }
        out.compression = *type;
    }
    if (const std::string* level = find(options, "gelf-compression-level")) {
        if (!is_udp) return fail(Code::InvalidArgument, "compression is only supported on UDP");
        const auto number = parse_int(*level);
        if (!number || *number < -1 || *number > 9) return unknown("gelf-compression-level");
    }
    for (const char* name : {"gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"}) {
        if (find(options, name) == nullptr) continue;
        if (is_udp) return fail(Code::InvalidArgument, "\"{}\" is only valid for TCP", name);
        const auto number = parse_int(text_of(options, name));
        if (!number || *number < 0 || *number > 3600) {
            return fail(Code::InvalidArgument, "\"{}\" must be a positive integer", name);
        }
    }
    out.max_reconnect =
        static_cast<int>(TRY(number_of(options, "gelf-tcp-max-reconnect", out.max_reconnect)));
    out.reconnect_delay =
        static_cast<int>(TRY(number_of(options, "gelf-tcp-reconnect-delay", out.reconnect_delay)));
    return out;
}

Result<FluentdOptions> fluentd_options(const Options& options) {
    FluentdOptions out;
    std::string address = text_of(options, "fluentd-address");
    if (address.empty()) address = "127.0.0.1:24224";
    const auto sides = cut(address, "://");
    if (sides && sides->first == "unix") {
        out.address.kind = Address::Kind::UnixStream;
        out.address.path = sides->second;
    } else {
        const bool is_tcp = sides && sides->first == "tcp";
        out.address = TRY_CONTEXT(
            parse_host_port(Address::Kind::Tcp, is_tcp ? sides->second : std::string_view(address),
                            "24224"),
            "invalid fluentd-address {}", address);
    }
    out.async = TRY(switch_of(options, "fluentd-async", false)) ||
                TRY(switch_of(options, "fluentd-async-connect", false));
    out.request_ack = TRY(switch_of(options, "fluentd-request-ack", false));
    out.sub_second = TRY(switch_of(options, "fluentd-sub-second-precision", false));
    out.buffer = TRY(size_of(options, "fluentd-buffer-limit", out.buffer));
    out.max_retries = TRY(number_of(options, "fluentd-max-retries", out.max_retries));
    for (const char* name : {"fluentd-retry-wait", "fluentd-write-timeout"}) {
        const std::string* text = find(options, name);
        if (text == nullptr || text->empty()) continue;
        const auto time = parse_duration(*text);
        if (!time) return fail(Code::InvalidArgument, "time: invalid duration \"{}\"", *text);
        if (name == "fluentd-retry-wait"sv) {
            out.retry_wait = std::chrono::duration_cast<std::chrono::milliseconds>(*time);
        }
    }
    return out;
}

}  // namespace coffer::logs
