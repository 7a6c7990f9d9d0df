#include "registry/rules.hpp"

#include <algorithm>

#include "json/reader.hpp"

namespace coffer::registry {

namespace {

constexpr std::string_view kHostCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
constexpr std::string_view kPathCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._-/";

Result<void> read_capabilities(const json::Reader& reader, Host& host) {
    if (!reader.has("capabilities")) return {};
    host.can = {false, false, false};
    for (const std::string& name : TRY(reader.texts("capabilities"))) {
        if (name == "pull") {
            host.can.pull = true;
        } else if (name == "resolve") {
            host.can.resolve = true;
        } else if (name == "push") {
            host.can.push = true;
        } else {
            return fail(Code::InvalidArgument,
                        "{}: unknown capability \"{}\" (pull, resolve or push)", reader.where(),
                        name);
        }
    }
    return {};
}

// A location with the keys beside it that say how it is to be reached.
Result<Host> read_host(const json::Reader& reader) {
    Host host;
    if (const std::string location = TRY(reader.text("location")); !location.empty())
        host = TRY_CONTEXT(parse_location(location), "{}", reader.where());
    TRY(read_capabilities(reader, host));
    host.insecure = TRY(reader.truth("insecure"));
    host.tls.authorities = TRY(reader.texts("ca"));
    host.tls.client_certificate = TRY(reader.text("client-cert"));
    host.tls.client_key = TRY(reader.text("client-key"));
    host.credentials = TRY(reader.text("credentials"));
    if (host.tls.client_certificate.empty() != host.tls.client_key.empty())
        return fail(Code::InvalidArgument, "{}: client-cert and client-key belong together",
                    reader.where());
    return host;
}

Result<Rule> read_rule(const json::Reader& reader) {
    TRY(reader.allow({"prefix", "location", "mirrors", "capabilities", "insecure", "ca",
                      "client-cert", "client-key", "credentials", "blocked", "message"}));
    Rule rule;
    rule.source = reader.where();
    rule.prefix = TRY(reader.text("prefix"));
    if (rule.prefix.empty() || rule.prefix.ends_with('/'))
        return fail(Code::InvalidArgument, "{}: no prefix, or one that ends with a slash",
                    reader.where());
    if (rule.prefix.starts_with("*.") && rule.prefix.find('/') != std::string::npos)
        return fail(Code::InvalidArgument, "{}: \"{}\": what begins with *. is a host alone",
                    reader.where(), rule.prefix);
    rule.blocked = TRY(reader.truth("blocked"));
    rule.message = TRY(reader.text("message"));
    for (const json::Reader& mirror : TRY(reader.objects("mirrors"))) {
        TRY(mirror.allow({"location", "capabilities", "insecure", "ca", "client-cert", "client-key",
                          "credentials"}));
        Host host = TRY(read_host(mirror));
        if (host.address.empty())
            return fail(Code::InvalidArgument, "{}: a mirror without location", mirror.where());
        if (!mirror.has("capabilities")) host.can.push = false;
        rule.hosts.push_back(std::move(host));
    }
    rule.hosts.push_back(TRY(read_host(reader)));
    return rule;
}

}  // namespace

Result<Host> parse_location(std::string_view text) {
    Host host;
    std::string_view rest = text;
    for (const auto& [lead, scheme] :
         {std::pair{"https://", Scheme::Https}, {"http://", Scheme::Http}}) {
        if (!rest.starts_with(lead)) continue;
        rest.remove_prefix(std::string_view(lead).size());
        host.scheme = scheme;
    }
    while (rest.ends_with('/')) rest.remove_suffix(1);
    const auto slash = rest.find('/');
    host.address = rest.substr(0, slash);
    if (slash != std::string_view::npos) host.path = rest.substr(slash + 1);
    if (host.address.empty() || host.address.ends_with(':') ||
        host.address.find_first_not_of(kHostCharacters) != std::string::npos ||
        host.path.find_first_not_of(kPathCharacters) != std::string::npos ||
        host.path.find("..") != std::string::npos || host.path.find("//") != std::string::npos)
        return fail(Code::InvalidArgument, "invalid location \"{}\": not HOST[:PORT][/PATH]", text);
    return host;
}

std::size_t match_prefix(std::string_view prefix, std::string_view name) {
    if (prefix.starts_with("*.")) {
        std::string_view host = name.substr(0, name.find('/'));
        const std::string_view domain = prefix.substr(1);
        if (domain.find(':') == std::string_view::npos) host = host.substr(0, host.find(':'));
        return host.size() > domain.size() && host.ends_with(domain) ? domain.size() : 0;
    }
    if (!name.starts_with(prefix)) return 0;
    const bool whole = name.size() == prefix.size() || name[prefix.size()] == '/';
    return whole ? prefix.size() : 0;
}

std::string rewrite(const Host& host, std::string_view prefix, std::string_view name) {
    if (host.address.empty()) return std::string(name.substr(name.find('/') + 1));
    std::string_view rest = name;
    rest.remove_prefix(prefix.starts_with("*.") ? name.find('/') : prefix.size());
    if (rest.starts_with('/')) rest.remove_prefix(1);
    std::string path = host.path;
    if (!path.empty() && !rest.empty()) path += '/';
    return path.append(rest);
}

Result<RulesFile> parse_rules(std::string_view text, const std::string& path) {
    const json::Value document = TRY_CONTEXT(json::parse(text), "{}", path);
    const json::Reader reader(document, path, ": ");
    TRY(reader.allow({"registries", "hosts-toml", "registries-conf"}));
    RulesFile file;
    for (const json::Reader& one : TRY(reader.objects("registries")))
        file.rules.push_back(TRY(read_rule(one)));
    file.hosts_toml = TRY(reader.texts("hosts-toml"));
    file.registries_conf = TRY(reader.texts("registries-conf"));
    return file;
}

}  // namespace coffer::registry
