#include "registry/registries.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "json/value.hpp"
#include "sys/file.hpp"

namespace coffer::registry {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxFile = 1U << 20U;
constexpr std::chrono::seconds kPassedOver{60};

// The folder names under which containerd keeps what it has for a host.
std::vector<std::string> folders_of(const std::string& registry) {
    std::vector<std::string> names = {registry};
    if (const auto colon = registry.rfind(':'); colon != std::string::npos)
        names.push_back(registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_");
    names.emplace_back("_default");
    return names;
}

// The rule with the longest prefix that matches; of equal ones the last.
const Rule* best_match(const std::vector<Rule>& rules, const std::string& name) {
    const Rule* best = nullptr;
    std::size_t length = 0;
    for (const Rule& rule : rules) {
        const std::size_t matched = match_prefix(rule.prefix, name);
        if (matched == 0 || matched < length) continue;
        best = &rule;
        length = matched;
    }
    return best;
}

}  // namespace

std::string address_of(const std::string& registry) {
    return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

Result<RulesFile> Registries::load(const std::string& path, const Parse& parse, Route& route) {
    const std::string stamp = sys::stamp_of(path);
    auto files = files_.lock();
    if (stamp.empty()) {
        files->erase(path);
        return RulesFile();
    }
    Loaded& loaded = (*files)[path];
    if (loaded.stamp != stamp) {
        const auto text = sys::read_file(path, kMaxFile);
        auto file = text ? parse(*text) : fail(text.error());
        loaded.stamp = stamp;
        loaded.problem.clear();
        if (file) {
            loaded.file = std::move(*file);
        } else {
            loaded.problem = file.error().message;
            LOG_WARN("{}{}", loaded.problem, loaded.file ? "; what it said before stays" : "");
        }
    }
    if (!loaded.file) return fail(Code::InvalidArgument, "{}", loaded.problem);
    if (!loaded.problem.empty()) route.problems.push_back(loaded.problem);
    return *loaded.file;
}

Result<std::optional<Rule>> Registries::find_hosts_toml(const std::string& folder,
                                                        const std::string& registry, Route& route) {
    for (const std::string& name : folders_of(registry)) {
        const std::string path = folder + "/" + name + "/hosts.toml";
        const auto parse = [&](const std::string& text) { return parse_hosts_toml(text, path); };
        RulesFile file = TRY(load(path, parse, route));
        if (file.rules.empty()) continue;
        file.rules.front().prefix = registry;
        return std::optional(std::move(file.rules.front()));
    }
    return std::optional<Rule>();
}

// With the files of its .d folder; of equal prefixes the last counts.
Result<std::vector<Rule>> Registries::load_registries_conf(const std::string& path, Route& route) {
    std::vector<std::string> paths = {path};
    if (auto more = sys::list_dir(path + ".d")) {
        std::sort(more->begin(), more->end());
        for (const std::string& name : *more) {
            if (name.ends_with(".conf")) paths.push_back(path + ".d/" + name);
        }
    }
    std::vector<Rule> rules;
    for (const std::string& one : paths) {
        const auto parse = [&](const std::string& text) {
            return parse_registries_conf(text, one);
        };
        RulesFile file = TRY(load(one, parse, route));
        std::move(file.rules.begin(), file.rules.end(), std::back_inserter(rules));
    }
    return rules;
}

Result<std::optional<Rule>> Registries::find_rule(const oci::Reference& reference, Route& route) {
    const std::string name = reference.name();
    const std::string& path = config_.registries_file;
    const bool is_there = sys::exists(path);
    const auto parse = [&](const std::string& text) { return parse_rules(text, path); };
    const RulesFile own = TRY(load(path, parse, route));
    if (const Rule* rule = best_match(own.rules, name)) return std::optional(*rule);
    if (reference.domain == "docker.io" && !config_.mirrors.empty()) {
        Rule rule{.prefix = "docker.io", .source = "registry-mirrors", .hosts = {}, .message = {}};
        for (const std::string& mirror : config_.mirrors) {
            rule.hosts.push_back(TRY(parse_location(mirror)));
            rule.hosts.back().can.push = false;
        }
        rule.hosts.emplace_back();
        return std::optional(std::move(rule));
    }
    for (const auto& folder : is_there ? own.hosts_toml : config_.hosts_toml_dirs) {
        auto rule = TRY(find_hosts_toml(folder, reference.domain, route));
        if (rule) return rule;
    }
    for (const auto& conf : is_there ? own.registries_conf : config_.registries_confs) {
        const auto rules = TRY(load_registries_conf(conf, route));
        if (const Rule* rule = best_match(rules, name)) return std::optional(*rule);
    }
    return std::optional<Rule>();
}

Result<Route> Registries::explain(const oci::Reference& reference) {
    Route route;
    const std::string name = reference.name();
    const Rule none{.prefix = reference.domain, .source = {}, .hosts = {Host()}, .message = {}};
    const Rule rule = TRY(find_rule(reference, route)).value_or(none);
    if (rule.blocked) {
        route.blocked_by = rule.source;
        route.message = rule.message;
        return route;
    }
    for (const Host& host : rule.hosts) {
        RouteHost one{host, rewrite(host, rule.prefix, name), rule.source};
        if (one.repository.empty())
            return fail(Code::InvalidArgument, "{}: no repository is left of {} at {}", rule.source,
                        name, host.address);
        one.host.address = address_of(host.address.empty() ? reference.domain : host.address);
        route.hosts.push_back(std::move(one));
    }
    return route;
}

Result<Route> Registries::route(const oci::Reference& reference) {
    Route route = TRY(explain(reference));
    if (route.blocked_by.empty()) return route;
    return fail(Code::Forbidden, "{} is blocked by {}{}{}", reference.familiar_name(),
                route.blocked_by, route.message.empty() ? "" : ": ", route.message);
}

void Registries::note_failure(const std::string& address) {
    const auto now = Clock::now();
    auto failed = failed_.lock();
    std::erase_if(*failed, [&](const auto& one) { return one.second <= now; });
    (*failed)[address] = now + kPassedOver;
}

bool Registries::has_failed(const std::string& address) {
    auto failed = failed_.lock();
    const auto found = failed->find(address);
    return found != failed->end() && found->second > Clock::now();
}

std::string login_of(const Host& host, const std::string& registry) {
    const bool same = host.address == address_of(registry);
    return host.credentials.empty() && same ? "client" : host.credentials;
}

Result<Credentials> credentials_for(const Host& host, const std::string& registry,
                                    const Credentials& of_client) {
    const std::string file = login_of(host, registry);
    if (file == "client") return of_client;
    if (file.empty()) return Credentials();
    const auto text = TRY_CONTEXT(sys::read_file(file, kMaxFile),
                                  "read the logins of registry '{}'", host.address);
    const auto document = TRY_CONTEXT(json::parse(text), "{}", file);
    const json::Value* logins = document.find("auths");
    for (const std::string& key : {host.address, "https://" + host.address}) {
        const json::Value* login = logins == nullptr ? nullptr : logins->find(key);
        if (login != nullptr) return decode_login(*login);
    }
    return fail(Code::NotFound, "no login for registry '{}' in {}", host.address, file);
}

}  // namespace coffer::registry
