#include "daemon/config.hpp"

#include <algorithm>
#include <set>

#include "http/address.hpp"
#include "json/value.hpp"
#include "logs/options.hpp"
#include "oci/reference.hpp"
#include "registry/rules.hpp"
#include "sys/file.hpp"
#include "trust/policy_file.hpp"

namespace coffer::daemon {

namespace {

constexpr std::size_t kMaxConfigFile = 1024 * 1024;

enum class Kind { Text, List, Switch };

struct Option {
    std::string_view name;  // of the flag
    std::string_view key;   // in the file; empty: a flag only
    char letter;            // 0: none
    Kind kind;
    std::string_view argument;  // its name in --help
    std::string_view help;
    Result<void> (*set)(Config& config, const std::string& value);
};

// Of a member of the configuration, or of a member of such a member.
template <auto... members>
Result<void> set_text(Config& config, const std::string& value) {
    (config.*....*members) = value;
    return {};
}
template <auto... members>
Result<void> add_to(Config& config, const std::string& value) {
    (config.*....*members).push_back(value);
    return {};
}
template <auto... members>
Result<void> set_switch(Config& config, const std::string& value) {
    if (value != "true" && value != "false" && value != "1" && value != "0") {
        return fail(Code::InvalidArgument, "strconv.ParseBool: parsing \"{}\": invalid syntax",
                    value);
    }
    (config.*....*members) = value == "true" || value == "1";
    return {};
}
Result<void> add_registry(Config& config, const std::string& value) {
    TRY(parse_registry_address(value));
    config.registry.addresses.push_back(value);
    return {};
}
template <auto... members>
Result<void> set_seconds(Config& config, const std::string& value) {
    const auto time = parse_duration(value);
    if (!time || time->count() < 0)
        return fail(Code::InvalidArgument, "invalid duration \"{}\"", value);
    (config.*....*members) = std::chrono::duration_cast<std::chrono::seconds>(*time);
    return {};
}
template <std::optional<engine::Watermark> engine::CollectionRules::*member>
Result<void> set_watermark(Config& config, const std::string& value) {
    config.collection.*member = TRY(engine::parse_watermark(value));
    return {};
}

Result<void> add_pool(Config& config, const std::string& value) {
    config.default_address_pools.push_back(TRY(network::parse_address_pool(value)));
    return {};
}
Result<void> set_log_level(Config& config, const std::string& value) {
    if (!log::parse_level(value)) {
        return fail(Code::InvalidArgument, "invalid logging level: {}", value);
    }
    config.log_level = value;
    return {};
}
Result<void> set_security_level(Config& config, const std::string& value) {
    if (!security::parse_level(value)) {
        return fail(Code::InvalidArgument,
                    "invalid security level: {} (compat, standard or strict)", value);
    }
    config.security_level = value;
    return {};
}
Result<void> add_log_opt(Config& config, const std::string& value) {
    const auto sides = cut(value, "=");
    if (!sides) return fail(Code::InvalidArgument, "bad format for log-opt: {}", value);
    config.log_opts[std::string(sides->first)] = sides->second;
    return {};
}
Result<void> add_host(Config& config, const std::string& value) {
    TRY(parse_host(value, true));
    config.hosts.push_back(value);
    return {};
}
Result<void> add_mirror(Config& config, const std::string& value) {
    const auto mirror = registry::parse_location(value);
    if (!mirror || mirror->scheme == registry::Scheme::Any || !mirror->path.empty()) {
        return fail(Code::InvalidArgument, "invalid mirror: \"{}\": not http[s]://HOST[:PORT]",
                    value);
    }
    config.registry_mirrors.push_back(value);
    return {};
}
// --tlsverify means --tls too.
Result<void> set_tls_verify(Config& config, const std::string& value) {
    TRY(set_switch<&Config::tls_verify>(config, value));
    config.tls = config.tls || config.tls_verify;
    return {};
}

Result<void> set_firewall(Config& config, const std::string& value) {
    if (value != "own" && value != "respect")
        return fail(Code::InvalidArgument, "invalid firewall \"{}\": want own or respect", value);
    config.respect_host_firewall = value == "respect";
    return {};
}

constexpr Option kOptions[] = {
    {"allow-nondistributable-artifacts", "allow-nondistributable-artifacts", 0, Kind::List, "list",
     "Registries that are sent foreign layers too: HOST[:PORT] or a CIDR block",
     &add_to<&Config::allow_nondistributable>},
    {"bip", "bip", 0, Kind::Text, "string", "Address and prefix of the default bridge",
     &set_text<&Config::bip>},
    {"bridge", "bridge", 'b', Kind::Text, "string",
     "Bridge of the default network; 'none' disables it (default \"coffer0\")",
     &set_text<&Config::bridge>},
    {"cdi-spec-dir", "cdi-spec-dirs", 0, Kind::List, "list",
     "Folders of CDI specifications (default \"/etc/cdi\" and \"/var/run/cdi\")",
     &add_to<&Config::cdi_spec_dirs>},
    {"config-file", "", 0, Kind::Text, "string",
     "Configuration file (default \"/etc/coffer/daemon.json\")", &set_text<&Config::config_file>},
    {"data-root", "data-root", 0, Kind::Text, "string",
     "Folder of persistent state (default \"/var/lib/coffer\")", &set_text<&Config::data_root>},
    {"debug", "debug", 'D', Kind::Switch, "", "Log at level debug", &set_switch<&Config::debug>},
    {"default-address-pool", "default-address-pools", 0, Kind::List, "pool",
     "Address pools of networks without a subnet: base=10.0.0.0/8,size=24", &add_pool},
    {"exec-root", "exec-root", 0, Kind::Text, "string",
     "Folder of the state of running containers (default \"/run/coffer\")",
     &set_text<&Config::exec_root>},
    {"firewall", "firewall", 0, Kind::Text, "string",
     "Rules for published ports: \"own\", or \"respect\": the host's too (default \"own\")",
     &set_firewall},
    {"fixed-cidr-v6", "fixed-cidr-v6", 0, Kind::Text, "string",
     "IPv6 subnet of the default bridge (default: of the address pools)",
     &set_text<&Config::fixed_cidr_v6>},
    {"gc-high", "gc-high", 0, Kind::Text, "watermark",
     "Remove the least recently used images above this: 85% of the file system, or 20g of images "
     "(default: never)",
     &set_watermark<&engine::CollectionRules::high>},
    {"gc-keep", "gc-keep", 0, Kind::List, "list",
     "Images that this does not remove: PATTERN or label=KEY[=VALUE]",
     &add_to<&Config::collection, &engine::CollectionRules::keep>},
    {"gc-low", "gc-low", 0, Kind::Text, "watermark",
     "And go on down to this (default: nine tenths of --gc-high)",
     &set_watermark<&engine::CollectionRules::low>},
    {"gc-min-age", "gc-min-age", 0, Kind::Text, "duration",
     "And only those that nobody has used for so long (default 24h)",
     &set_seconds<&Config::collection, &engine::CollectionRules::min_age>},
    {"group", "group", 'G', Kind::Text, "string",
     "Group that may use the unix socket (default \"coffer\", if it exists)",
     &set_text<&Config::group>},
    {"help", "", 0, Kind::Switch, "", "Print usage", &set_switch<&Config::help>},
    {"host", "hosts", 'H', Kind::List, "list",
     "Sockets to listen on: unix://PATH, tcp://HOST:PORT or fd:// (default "
     "unix:///run/coffer.sock)",
     &add_host},
    {"http-proxy", "", 0, Kind::Text, "string",
     "Proxy for registries without TLS (default: HTTP_PROXY)",
     &set_text<&Config::proxies, &registry::Proxies::http>},
    {"https-proxy", "", 0, Kind::Text, "string", "Proxy for registries (default: HTTPS_PROXY)",
     &set_text<&Config::proxies, &registry::Proxies::https>},
    {"init", "init", 0, Kind::Switch, "",
     "Run coffer-init as process 1 of containers that do not say", &set_switch<&Config::init>},
    {"insecure-registry", "insecure-registries", 0, Kind::List, "list",
     "Registries that may be reached without verified TLS: HOST[:PORT] or a CIDR block",
     &add_to<&Config::insecure_registries>},
    {"ipv6", "ipv6", 0, Kind::Switch, "", "Give the default bridge IPv6 as well",
     &set_switch<&Config::ipv6>},
    {"live-restore", "live-restore", 0, Kind::Switch, "",
     "Containers go on without the engine, but not without the machine (default true)",
     &set_switch<&Config::live_restore>},
    {"log-driver", "log-driver", 0, Kind::Text, "string",
     "Log driver of containers that ask for none (default \"json-file\")",
     &set_text<&Config::log_driver>},
    {"log-level", "log-level", 'l', Kind::Text, "string",
     "What to log: debug, info, warn, error or fatal (default \"info\")", &set_log_level},
    {"log-opt", "log-opts", 0, Kind::List, "map", "Options of that log driver: max-size=50m",
     &add_log_opt},
    {"man", "", 0, Kind::Switch, "", "Print the manual page, for man(1)",
     &set_switch<&Config::man>},
    {"no-proxy", "", 0, Kind::Text, "string",
     "Hosts, domains and CIDR blocks to reach without a proxy (default: NO_PROXY)",
     &set_text<&Config::proxies, &registry::Proxies::none>},
    {"pidfile", "pidfile", 'p', Kind::Text, "string", "File to write the process id to",
     &set_text<&Config::pidfile>},
    {"registries-file", "registries-file", 0, Kind::Text, "string",
     "Mirrors, rewrites and blocks of registries (default \"/etc/coffer/registries.json\")",
     &set_text<&Config::registries_file>},
    {"registry", "registry", 0, Kind::List, "list",
     "Serve a registry of our own on HOST:PORT or unix://PATH", &add_registry},
    {"registry-anonymous-read", "registry-anonymous-read", 0, Kind::Switch, "",
     "Let all pull from it; a push needs a user of --registry-htpasswd",
     &set_switch<&Config::registry, &RegistryConfig::anonymous_read>},
    {"registry-client-ca", "registry-client-ca", 0, Kind::Text, "string",
     "Authority that signs the certificates its clients must have",
     &set_text<&Config::registry, &RegistryConfig::tls_files, &http::TlsFiles::ca>},
    {"registry-htpasswd", "registry-htpasswd", 0, Kind::Text, "string",
     "File of its users, with passwords hashed by bcrypt",
     &set_text<&Config::registry, &RegistryConfig::htpasswd>},
    {"registry-keep-untagged", "registry-keep-untagged", 0, Kind::Text, "duration",
     "How long it keeps a manifest that nothing names (default 168h)",
     &set_seconds<&Config::registry, &RegistryConfig::keep_untagged>},
    {"registry-mirror", "registry-mirrors", 0, Kind::List, "list",
     "Mirrors of docker.io: https://HOST[:PORT]", &add_mirror},
    {"registry-name", "registry-name", 0, Kind::Text, "string",
     "Its host in the names of images (default: its first address)",
     &set_text<&Config::registry, &RegistryConfig::name>},
    {"registry-open", "registry-open", 0, Kind::Switch, "",
     "Let all who reach it pull and push, without password and TLS",
     &set_switch<&Config::registry, &RegistryConfig::open>},
    {"registry-tls-cert", "registry-tls-cert", 0, Kind::Text, "string", "Its certificate",
     &set_text<&Config::registry, &RegistryConfig::tls_files, &http::TlsFiles::cert>},
    {"registry-tls-key", "registry-tls-key", 0, Kind::Text, "string", "Key of that certificate",
     &set_text<&Config::registry, &RegistryConfig::tls_files, &http::TlsFiles::key>},
    {"security-level", "security-level", 0, Kind::Text, "string",
     "Posture of containers that ask for none: compat, standard or strict (default \"standard\")",
     &set_security_level},
    {"signature-policy", "signature-policy", 0, Kind::Text, "string",
     "Which images may be used, in the form of containers-policy.json (default "
     "\"/etc/coffer/policy.json\" or \"/etc/containers/policy.json\", if it exists)",
     &set_text<&Config::signature_policy>},
    {"tls", "tls", 0, Kind::Switch, "", "Use TLS on tcp sockets; implied by --tlsverify",
     &set_switch<&Config::tls>},
    {"tlscacert", "tlscacert", 0, Kind::Text, "string",
     "Authority that signs the clients' certificates (default \"/etc/coffer/ca.pem\")",
     &set_text<&Config::tls_files, &http::TlsFiles::ca>},
    {"tlscert", "tlscert", 0, Kind::Text, "string",
     "Certificate of the engine (default \"/etc/coffer/cert.pem\")",
     &set_text<&Config::tls_files, &http::TlsFiles::cert>},
    {"tlskey", "tlskey", 0, Kind::Text, "string",
     "Key of the certificate (default \"/etc/coffer/key.pem\")",
     &set_text<&Config::tls_files, &http::TlsFiles::key>},
    {"tlsverify", "tlsverify", 0, Kind::Switch, "", "Use TLS and verify the client",
     &set_tls_verify},
    {"validate", "", 0, Kind::Switch, "", "Check the configuration and exit",
     &set_switch<&Config::validate>},
    {"version", "", 'v', Kind::Switch, "", "Print version information and quit",
     &set_switch<&Config::version>},
};

const Option* find_option(std::string_view name) {
    const auto* found = std::find_if(std::begin(kOptions), std::end(kOptions),
                                     [&](const Option& option) { return option.name == name; });
    return found == std::end(kOptions) ? nullptr : found;
}

const Option* find_letter(char letter) {
    const auto* found = std::find_if(std::begin(kOptions), std::end(kOptions),
                                     [&](const Option& option) { return option.letter == letter; });
    return found == std::end(kOptions) ? nullptr : found;
}

// What the flags set, by the name of the option: the file must not set it too.
using Given = std::set<std::string_view>;

Result<void> apply(Config& config, Given& given, const Option& option, const std::string& value,
                   std::string_view as_written) {
    given.insert(option.name);
    if (auto set = option.set(config, value); !set) {
        return fail(Code::InvalidArgument, "invalid argument \"{}\" for \"{}\" flag: {}", value,
                    as_written, set.error().message);
    }
    return {};
}

Result<std::string> next_argument(std::span<const std::string>& rest,
                                  const std::string& wanted_by) {
    if (rest.empty()) {
        return fail(Code::InvalidArgument, "flag needs an argument: {}", wanted_by);
    }
    std::string value = rest.front();
    rest = rest.subspan(1);
    return value;
}

Result<void> parse_long(Config& config, Given& given, const std::string& argument,
                        std::span<const std::string>& rest) {
    const auto sides = cut(std::string_view(argument).substr(2), "=");
    const std::string name(sides ? sides->first : std::string_view(argument).substr(2));
    const Option* option = find_option(name);
    if (option == nullptr) return fail(Code::InvalidArgument, "unknown flag: --{}", name);
    std::string value = "true";
    if (sides) {
        value = std::string(sides->second);
    } else if (option->kind != Kind::Switch) {
        value = TRY(next_argument(rest, "--" + name));
    }
    return apply(config, given, *option, value, "--" + name);
}

// "-D", "-H value", "-Hvalue", "-H=value", "-DH value".
Result<void> parse_short(Config& config, Given& given, const std::string& argument,
                         std::span<const std::string>& rest) {
    for (std::size_t i = 1; i < argument.size(); ++i) {
        const Option* option = find_letter(argument[i]);
        if (option == nullptr) {
            return fail(Code::InvalidArgument, "unknown shorthand flag: '{}' in {}", argument[i],
                        argument);
        }
        const std::string written = format("-{}, --{}", argument[i], option->name);
        std::string tail = argument.substr(i + 1);
        if (tail.starts_with('=')) {
            tail.erase(0, 1);
        } else if (option->kind == Kind::Switch) {
            TRY(apply(config, given, *option, "true", written));
            continue;
        } else if (tail.empty()) {
            tail = TRY(next_argument(rest, format("'{}' in {}", argument[i], argument)));
        }
        return apply(config, given, *option, tail, written);
    }
    return {};
}

Result<void> parse_flags(Config& config, Given& given, std::span<const std::string> rest) {
    while (!rest.empty()) {
        const std::string argument = rest.front();
        rest = rest.subspan(1);
        if (argument.starts_with("--") && argument.size() > 2) {
            TRY(parse_long(config, given, argument, rest));
        } else if (argument.starts_with('-') && argument.size() > 1 && argument != "--") {
            TRY(parse_short(config, given, argument, rest));
        } else {
            return fail(Code::InvalidArgument, "\"cofferd\" accepts no arguments.");
        }
    }
    return {};
}

// The values of one key of the file, as the texts that its flag would be given.
Result<std::vector<std::string>> texts_of(const Option& option, const json::Value& value) {
    if (const auto truth = value.to_bool(); truth && option.kind == Kind::Switch) {
        return std::vector<std::string>{*truth ? "true" : "false"};
    }
    if (value.if_string() != nullptr && option.kind == Kind::Text) {
        return std::vector<std::string>{*value.if_string()};
    }
    if (value.is_object() && option.name == "log-opt") {
        std::vector<std::string> texts;
        for (const json::Member& member : *value.if_object()) {
            const std::string* text = member.value.if_string();
            if (text == nullptr) {
                return fail(Code::InvalidArgument, "{}.{}: expected a string, got {}", option.key,
                            member.key, json::kind_name(member.value.kind()));
            }
            texts.push_back(member.key + "=" + *text);
        }
        return texts;
    }
    const json::Array* list = value.if_array();
    if (list == nullptr || option.kind != Kind::List) {
        return fail(Code::InvalidArgument, "{}: unexpected {}", option.key,
                    json::kind_name(value.kind()));
    }
    std::vector<std::string> texts;
    for (const json::Value& entry : *list) {
        if (const std::string* text = entry.if_string()) {
            texts.push_back(*text);
            continue;
        }
        // {"base":"10.0.0.0/8","size":24}
        const json::Value* base = entry.find("base");
        const json::Value* size = entry.find("size");
        if (base == nullptr || base->if_string() == nullptr || size == nullptr || !size->to_int()) {
            return fail(Code::InvalidArgument, "{}: malformed entry", option.key);
        }
        texts.push_back(format("base={},size={}", *base->if_string(), *size->to_int()));
    }
    return texts;
}

// {"http-proxy": ..., "https-proxy": ..., "no-proxy": ...}, each of which is a flag too.
Result<void> apply_proxies(Config& config, const Given& given, const json::Value& value) {
    if (!value.is_object()) return fail(Code::InvalidArgument, "expected an object");
    for (const json::Member& member : *value.if_object()) {
        const Option* option = member.key.ends_with("-proxy") ? find_option(member.key) : nullptr;
        if (option == nullptr) return fail(Code::InvalidArgument, "unknown key \"{}\"", member.key);
        if (given.contains(option->name))
            return fail(Code::InvalidArgument, "{} is given as a flag too", member.key);
        for (const std::string& text : TRY(texts_of(*option, member.value)))
            TRY(option->set(config, text));
    }
    return {};
}

Result<void> apply_file(Config& config, const Given& given, const std::string& text) {
    const json::Value file = TRY(json::parse(text));
    if (!file.is_object()) return fail(Code::InvalidArgument, "not a JSON object");
    std::vector<std::string> unknown;
    std::vector<std::string> conflicts;
    for (const json::Member& member : *file.if_object()) {
        if (member.key == "proxies") {
            TRY_CONTEXT(apply_proxies(config, given, member.value), "proxies");
            continue;
        }
        const auto* option = std::find_if(
            std::begin(kOptions), std::end(kOptions),
            [&](const Option& known) { return !known.key.empty() && known.key == member.key; });
        if (option == std::end(kOptions)) {
            unknown.push_back(member.key);
        } else if (given.contains(option->name)) {
            conflicts.push_back(member.key);
        } else {
            for (const std::string& value : TRY(texts_of(*option, member.value))) {
                TRY_CONTEXT(option->set(config, value), "{}", member.key);
            }
        }
    }
    if (!unknown.empty()) {
        return fail(Code::InvalidArgument,
                    "the following directives don't match any configuration option: {}",
                    join(unknown, ", "));
    }
    if (!conflicts.empty()) {
        return fail(Code::InvalidArgument,
                    "the following directives are specified both as a flag and in the "
                    "configuration file: {}",
                    join(conflicts, ", "));
    }
    return {};
}

// Plain tcp gives root to who reaches it: only this machine may.
Result<void> check_hosts(const Config& config) {
    for (const std::string& text : config.hosts) {
        const HostAddress host = TRY(parse_host(text, config.tls));
        if (host.kind == HostAddress::Kind::Tcp && !config.tls_verify &&
            !http::is_loopback(host.host)) {
            return fail(Code::InvalidArgument,
                        "listening on '{}' without --tlsverify is refused: use a loopback address",
                        text);
        }
    }
    return {};
}

// Who is not asked for a password may push what others will run: only this machine, unless it is
// asked for by name. A password is not sent in the clear to another machine either.
Result<void> check_registry(Config& config) {
    RegistryConfig& registry = config.registry;
    if (registry.addresses.empty()) return {};
    if (registry.tls_files.cert.empty() != registry.tls_files.key.empty())
        return fail(Code::InvalidArgument,
                    "--registry-tls-cert and --registry-tls-key belong together");
    const bool tls = !registry.tls_files.cert.empty();
    if (!registry.tls_files.ca.empty() && !tls)
        return fail(Code::InvalidArgument, "--registry-client-ca needs --registry-tls-cert");
    if (registry.anonymous_read && registry.htpasswd.empty())
        return fail(Code::InvalidArgument,
                    "--registry-anonymous-read needs --registry-htpasswd, for those who push");
    const bool known = !registry.htpasswd.empty() || !registry.tls_files.ca.empty();
    if (registry.open && known)
        return fail(Code::InvalidArgument,
                    "--registry-open lets all in: it goes with neither --registry-htpasswd nor "
                    "--registry-client-ca");
    for (const std::string& text : registry.addresses) {
        const HostAddress address = TRY(parse_registry_address(text));
        const bool local =
            address.kind == HostAddress::Kind::Unix || http::is_loopback(address.host);
        if (!local && !registry.open && !(tls && known))
            return fail(Code::InvalidArgument,
                        "a registry on '{}' needs --registry-tls-cert, and --registry-htpasswd or "
                        "--registry-client-ca: use a loopback address, or say --registry-open",
                        text);
    }
    const HostAddress first = TRY(parse_registry_address(registry.addresses.front()));
    if (registry.name.empty()) {
        const bool all = first.host.empty() || first.host == "0.0.0.0" || first.host == "::";
        const bool v6 = first.host.find(':') != std::string::npos;
        const std::string host = v6 ? format("[{}]", first.host) : first.host;
        registry.name = format("{}:{}", all ? "localhost" : host, first.port);
        if (first.kind == HostAddress::Kind::Unix) registry.name = "localhost";
    }
    const auto sample = oci::parse_reference(registry.name + "/a");
    if (!sample || sample->domain != registry.name)
        return fail(Code::InvalidArgument,
                    "\"{}\" is no name of a registry: it needs a dot or a port", registry.name);
    return {};
}

}  // namespace

log::Level Config::level() const {
    return debug ? log::Level::Debug : *log::parse_level(log_level);
}

security::Level Config::security() const {
    return *security::parse_level(security_level);
}

Result<Config> load_config(std::span<const std::string> arguments) {
    Config config;
    Given given;
    TRY(parse_flags(config, given, arguments));
    if (config.help || config.man || config.version) return config;
    if (given.contains("config-file") || sys::exists(config.config_file)) {
        const std::string text =
            TRY_CONTEXT(sys::read_file(config.config_file, kMaxConfigFile),
                        "unable to configure the engine with file {}", config.config_file);
        TRY_CONTEXT(apply_file(config, given, text), "unable to configure the engine with file {}",
                    config.config_file);
    }
    if (config.hosts.empty()) config.hosts = {"unix:///run/coffer.sock"};
    // Only --tlsverify reads the authority, so that its default file need not exist.
    if (!config.tls_verify) config.tls_files.ca.clear();
    TRY(check_hosts(config));
    // A running engine keeps what a file said that has become wrong; it need not start with one.
    if (config.validate && sys::exists(config.registries_file)) {
        const std::string text = TRY(sys::read_file(config.registries_file, kMaxConfigFile));
        TRY(registry::parse_rules(text, config.registries_file));
    }
    // A running engine refuses images by a policy that is wrong; it need not start with one.
    if (config.validate) TRY(trust::PolicyFile(config.signature_policy).read());
    TRY(check_registry(config));
    if (!config.registry.addresses.empty()) config.collection.own_registry = config.registry.name;
    TRY(engine::settle(config.collection));
    TRY(logs::check_options(config.log_driver, config.log_opts));
    return config;
}

std::vector<OptionText> option_texts() {
    std::vector<OptionText> texts;
    for (const Option& option : kOptions) {
        command::Flag flag = command::toggle(option.name, option.letter, option.help);
        flag.type = option.argument;
        flag.repeat = option.kind == Kind::List;
        texts.push_back({flag, option.key});
    }
    return texts;
}

Result<HostAddress> parse_registry_address(std::string_view text) {
    if (text.starts_with("unix://") || text.starts_with("/")) return parse_host(text, false);
    const http::HostPort host = TRY(http::parse_host_port(text, 5000));
    return HostAddress{HostAddress::Kind::Tcp, {}, host.host, host.port};
}

Result<HostAddress> parse_host(std::string_view text, bool tls) {
    HostAddress address;
    const auto sides = cut(text, "://");
    if (!sides) {
        // "/path" and "host:port", as dockerd takes them.
        if (text.starts_with('/')) return HostAddress{HostAddress::Kind::Unix, std::string(text)};
        return parse_host(format("tcp://{}", text), tls);
    }
    if (sides->first == "unix") {
        if (!sides->second.starts_with('/')) {
            return fail(Code::InvalidArgument, "invalid socket path in '{}'", text);
        }
        address.path = std::string(sides->second);
        return address;
    }
    if (sides->first == "fd") {
        address.kind = HostAddress::Kind::Inherited;
        return address;
    }
    if (sides->first != "tcp") {
        return fail(Code::InvalidArgument, "invalid bind address format: {}", text);
    }
    const http::HostPort host = TRY(http::parse_host_port(sides->second, tls ? 2376 : 2375));
    address.kind = HostAddress::Kind::Tcp;
    address.host = host.host.empty() ? "localhost" : host.host;
    address.port = host.port;
    return address;
}

}  // namespace coffer::daemon
