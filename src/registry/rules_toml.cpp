// The formats of containerd and of podman's family, both in TOML.
#include <algorithm>
#include <exception>
#include <map>
#include <stdexcept>

namespace {
// The one way out of the middle of the library.
[[noreturn]] void refuse_toml() {
    std::rethrow_exception(std::make_exception_ptr(std::invalid_argument("malformed document")));
}
}  // namespace

// What toml++ only assumes of a file is checked, in every build: "[," would end the program.
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : refuse_toml())
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/text.hpp"
#include "registry/rules.hpp"

namespace coffer::registry {

namespace {

// Without the comments that are not ASCII; what else is not ASCII toml++ cannot be trusted with.
Result<std::string> ascii_of(std::string_view text, const std::string& path) {
    std::string out;
    std::size_t number = 0;
    for (std::string line : split(text, '\n')) {
        ++number;
        const auto strange = std::find_if(
            line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
        if (strange != line.end()) {
            const auto comment = std::find(line.begin(), strange, '#');
            if (comment == strange)
                return fail(Code::InvalidArgument, "{}: line {}: a character that is not ASCII",
                            path, number);
            line.erase(comment, line.end());
        }
        out += line + "\n";
    }
    return out;
}

Result<toml::table> parse(std::string_view text, const std::string& path) {
    const std::string ascii = TRY(ascii_of(text, path));
    try {
        auto parsed = toml::parse(ascii, path);
        if (parsed) return std::move(parsed).table();
        return fail(Code::InvalidArgument, "{}: line {}: {}", path,
                    parsed.error().source().begin.line, parsed.error().description());
    } catch (const std::invalid_argument& error) {
        return fail(Code::InvalidArgument, "{}: {}", path, error.what());
    }
}

std::string at_line(const std::string& path, const toml::node& node) {
    return format("{}:{}", path, node.source().begin.line);
}

Failure wrong(const std::string& path, const toml::node& node, std::string_view key) {
    return fail(Code::InvalidArgument, "{}: unexpected value of \"{}\"", at_line(path, node), key);
}

Result<std::string> text(const toml::table& table, std::string_view key, const std::string& path) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return std::string();
    if (!node->is_string()) return wrong(path, *node, key);
    return node->as_string()->get();
}

Result<bool> truth(const toml::table& table, std::string_view key, const std::string& path) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return false;
    if (!node->is_boolean()) return wrong(path, *node, key);
    return node->as_boolean()->get();
}

// A string or a list of them.
Result<std::vector<std::string>> texts(const toml::node& node, std::string_view key,
                                       const std::string& path) {
    if (node.is_string()) return std::vector<std::string>{node.as_string()->get()};
    if (!node.is_array()) return wrong(path, node, key);
    std::vector<std::string> list;
    for (const toml::node& one : *node.as_array()) {
        if (!one.is_string()) return wrong(path, one, key);
        list.push_back(one.as_string()->get());
    }
    return list;
}

// ---- hosts.toml ----

// Reads the settings that the file has for the registry itself and for each host.
class HostsToml {
  public:
    explicit HostsToml(const std::string& path)
        : path_(path), folder_(path.substr(0, path.rfind('/') + 1)) {}

    Result<RulesFile> read(const toml::table& document) const {
        Rule rule{.prefix = {}, .source = path_, .hosts = {}, .message = {}};
        // A table keeps no order; where the keys stand does, and it counts.
        std::map<std::pair<unsigned, unsigned>, std::pair<std::string, const toml::table*>> hosts;
        if (const toml::node* list = document.get("host")) {
            if (!list->is_table()) return wrong(path_, *list, "host");
            for (const auto& [key, value] : *list->as_table()) {
                if (!value.is_table()) return wrong(path_, value, key.str());
                const auto& begin = key.source().begin;
                hosts[{begin.line, begin.column}] = {std::string(key.str()), value.as_table()};
            }
        }
        for (const auto& [place, host] : hosts)
            rule.hosts.push_back(TRY(read_host(host.first, *host.second)));
        const std::string server = TRY(text(document, "server", path_));
        Host upstream = TRY(read_host(server, document));
        upstream.names_origin = false;
        rule.hosts.push_back(std::move(upstream));
        RulesFile file;
        file.rules.push_back(std::move(rule));
        return file;
    }

  private:
    Result<Host> read_host(const std::string& url, const toml::table& table) const {
        Host host;
        if (!url.empty()) {
            host = TRY_CONTEXT(parse_location(url), "{}", at_line(path_, table));
            if (host.scheme == Scheme::Any) host.scheme = Scheme::Https;
            // The path is of the API, not of the repository.
            std::string root = host.path.empty() ? "" : "/" + host.path;
            host.path.clear();
            if (!TRY(truth(table, "override_path", path_)) && !root.ends_with("/v2")) root += "/v2";
            host.api_root = root + "/";
            host.names_origin = true;
        }
        host.insecure = TRY(truth(table, "skip_verify", path_));
        if (const toml::node* node = table.get("capabilities")) {
            const auto names = TRY(texts(*node, "capabilities", path_));
            const auto has = [&](const char* name) {
                return std::find(names.begin(), names.end(), name) != names.end();
            };
            host.can = {has("pull"), has("resolve"), has("push")};
        }
        if (const toml::node* node = table.get("ca")) {
            for (const std::string& file : TRY(texts(*node, "ca", path_)))
                host.tls.authorities.push_back(absolute(file));
        }
        if (const toml::node* node = table.get("client")) TRY(read_client(*node, host.tls));
        if (const toml::node* node = table.get("header")) {
            if (!node->is_table()) return wrong(path_, *node, "header");
            for (const auto& [name, value] : *node->as_table()) {
                for (const std::string& one : TRY(texts(value, name.str(), path_))) {
                    std::string line = format("{}: {}", name.str(), one);
                    if (line.find_first_of("\r\n") != std::string::npos)
                        return wrong(path_, value, name.str());
                    host.headers.push_back(std::move(line));
                }
            }
        }
        return host;
    }

    // "both.pem", ["cert.pem", "key.pem"] or [["cert.pem", "key.pem"]]; of several the first.
    Result<void> read_client(const toml::node& node, TlsFiles& tls) const {
        const toml::node* pair = &node;
        if (node.is_array() && !node.as_array()->empty() && node.as_array()->front().is_array())
            pair = &node.as_array()->front();
        const auto files = TRY(texts(*pair, "client", path_));
        if (files.empty() || files.size() > 2) return wrong(path_, node, "client");
        tls.client_certificate = absolute(files.front());
        tls.client_key = files.back().empty() ? tls.client_certificate : absolute(files.back());
        return {};
    }

    std::string absolute(const std::string& file) const {
        return file.starts_with('/') ? file : folder_ + file;
    }

    const std::string& path_;
    std::string folder_;
};

// ---- registries.conf ----

Result<Host> read_conf_host(const toml::table& table, const std::string& path) {
    Host host;
    if (const std::string location = TRY(text(table, "location", path)); !location.empty())
        host = TRY_CONTEXT(parse_location(location), "{}", at_line(path, table));
    host.insecure = TRY(truth(table, "insecure", path));
    return host;
}

Result<Rule> read_conf_rule(const toml::table& table, const std::string& path) {
    Rule rule;
    rule.source = at_line(path, table);
    const Host own = TRY(read_conf_host(table, path));
    rule.prefix = TRY(text(table, "prefix", path));
    if (rule.prefix.empty()) rule.prefix = TRY(text(table, "location", path));
    if (rule.prefix.empty())
        return fail(Code::InvalidArgument, "{}: a registry without prefix and location",
                    rule.source);
    rule.blocked = TRY(truth(table, "blocked", path));
    const bool by_digest = TRY(truth(table, "mirror-by-digest-only", path));
    if (const toml::node* mirrors = table.get("mirror")) {
        if (!mirrors->is_array()) return wrong(path, *mirrors, "mirror");
        for (const toml::node& one : *mirrors->as_array()) {
            if (!one.is_table()) return wrong(path, one, "mirror");
            Host host = TRY(read_conf_host(*one.as_table(), path));
            if (host.address.empty())
                return fail(Code::InvalidArgument, "{}: a mirror without location",
                            at_line(path, one));
            const std::string what = TRY(text(*one.as_table(), "pull-from-mirror", path));
            host.can.push = false;
            host.can.resolve = !by_digest && what != "digest-only";
            rule.hosts.push_back(std::move(host));
        }
    }
    rule.hosts.push_back(own);
    return rule;
}

}  // namespace

Result<RulesFile> parse_hosts_toml(std::string_view text, const std::string& path) {
    return HostsToml(path).read(TRY(parse(text, path)));
}

Result<RulesFile> parse_registries_conf(std::string_view text, const std::string& path) {
    const toml::table document = TRY(parse(text, path));
    RulesFile file;
    const toml::node* list = document.get("registry");
    if (list == nullptr) return file;
    if (!list->is_array()) return wrong(path, *list, "registry");
    for (const toml::node& one : *list->as_array()) {
        if (!one.is_table()) return wrong(path, one, "registry");
        file.rules.push_back(TRY(read_conf_rule(*one.as_table(), path)));
    }
    return file;
}

}  // namespace coffer::registry
