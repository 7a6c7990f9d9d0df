#include "network/egress_table.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/log.hpp"
#include "json/value.hpp"
#include "sys/nft.hpp"
#include "sys/nft_set.hpp"

namespace coffer::network {
namespace {

constexpr std::size_t kMostNames = 256;  // kept of those that were refused
// Programs keep an address longer than it should live.
constexpr std::chrono::seconds kGrace{300};

// Neighbours are looked for whatever the policy: without that nothing can be allowed.
constexpr const char* kChains = R"(
    map coffer_networks { type ifname : verdict; }
    map coffer_interfaces { type ifname . ether_addr : verdict; }
    chain coffer_check {
        ct state established,related return
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } return
        iifname vmap @coffer_networks
        iifname . ether saddr vmap @coffer_interfaces
    }
    set coffer_inside { type ifname . ifname; }
    chain coffer_forward {
        type filter hook forward priority -10; policy accept;
        iifname . oifname @coffer_inside return
        jump coffer_check
    }
    chain coffer_input {
        type filter hook input priority -10; policy accept;
        jump coffer_check
    }
}
)";

struct Policy {
    EgressSubject subject;
    std::string text;
    EgressPolicy rules;
    std::map<std::string, std::uint64_t> refused_names;
};

std::string chain_of(const std::string& key) {
    return "coffer_" + key.substr(0, 16);
}

std::string set_of(const std::string& key, std::size_t rule, Family family) {
    return format("{}_{}_{}", chain_of(key), rule, family == Family::V4 ? "v4" : "v6");
}

std::string port_match(const EgressRule& rule) {
    if (rule.protocol == "icmp") return "meta l4proto { icmp, ipv6-icmp } ";
    std::string match;
    if (!rule.protocol.empty())
        match = format("meta l4proto {} ", rule.protocol);
    else if (!rule.ports.empty())
        match = "meta l4proto { tcp, udp, sctp } ";
    if (!rule.ports.empty()) match += format("th dport {{ {} }} ", rule.ports);
    return match;
}

// The rule once for each family that it is about.
std::vector<std::string> address_matches(const std::string& key, std::size_t number,
                                         const EgressRule& rule) {
    if (!rule.name.empty())
        return {format("ip daddr @{} ", set_of(key, number, Family::V4)),
                format("ip6 daddr @{} ", set_of(key, number, Family::V6))};
    if (rule.prefixes.empty()) return {""};
    std::vector<std::string> matches;
    for (const Family family : {Family::V4, Family::V6}) {
        std::vector<std::string> texts;
        for (const Prefix& prefix : rule.prefixes)
            if (prefix.family() == family) texts.push_back(to_string(prefix));
        if (!texts.empty())
            matches.push_back(format("{} daddr {{ {} }} ", family == Family::V4 ? "ip" : "ip6",
                                     join(texts, ", ")));
    }
    return matches;
}

// The map that leads to a policy's chain, and the key there.
std::string element_of(const EgressSubject& subject, const std::string& verdict) {
    if (subject.mac.empty())
        return format("coffer_networks {{ \"{}\"{} }}", subject.bridge, verdict);
    return format("coffer_interfaces {{ \"{}\" . {}{} }}", subject.bridge, subject.mac, verdict);
}

std::string add_commands(const std::string& table, const Policy& policy) {
    const std::string& key = policy.subject.key;
    const std::string chain = chain_of(key);
    const auto verdict = [&](bool allow) {
        return allow || policy.rules.audit ? "return" : "reject with icmpx type admin-prohibited";
    };
    std::string text = format("add chain inet {} {}\n", table, chain);
    for (std::size_t i = 0; i < policy.rules.rules.size(); ++i) {
        const EgressRule& rule = policy.rules.rules[i];
        if (!rule.name.empty())
            for (const Family family : {Family::V4, Family::V6})
                text += format("add set inet {} {} {{ type {}; flags timeout; }}\n", table,
                               set_of(key, i, family),
                               family == Family::V4 ? "ipv4_addr" : "ipv6_addr");
        for (const std::string& match : address_matches(key, i, rule))
            text += format("add rule inet {} {} {}{}counter {} comment \"{}\"\n", table, chain,
                           match, port_match(rule), verdict(rule.allow), i);
    }
    text += format("add rule inet {} {} counter {} comment \"{}\"\n", table, chain,
                   verdict(policy.rules.allow), policy.rules.rules.size());
    // Stays when the policy goes: it says nothing without one.
    text += format("add element inet {} coffer_inside {{ \"{}\" . \"{}\" }}\n", table,
                   policy.subject.bridge, policy.subject.bridge);
    return text + format("add element inet {} {}\n", table,
                         element_of(policy.subject, " : jump " + chain));
}

std::string remove_commands(const std::string& table, const Policy& policy) {
    const std::string& key = policy.subject.key;
    const std::string chain = chain_of(key);
    std::string text = format("delete element inet {} {}\n", table, element_of(policy.subject, ""));
    text += format("flush chain inet {0} {1}\ndelete chain inet {0} {1}\n", table, chain);
    for (std::size_t i = 0; i < policy.rules.rules.size(); ++i)
        if (!policy.rules.rules[i].name.empty())
            for (const Family family : {Family::V4, Family::V6})
                text += format("delete set inet {} {}\n", table, set_of(key, i, family));
    return text;
}

// The counters of a chain in nft's JSON, added up by the number in the rule's comment.
Result<void> add_counts(const std::string& listing, EgressReport& report) {
    const auto document = TRY_CONTEXT(json::parse(listing), "read the counters of nftables");
    const json::Value* const objects = document.find("nftables");
    const json::Array* const all = objects == nullptr ? nullptr : objects->if_array();
    if (all == nullptr) return fail(Code::Internal, "nftables lists no rules");
    for (const json::Value& object : *all) {
        const json::Value* const comment = object.at_path("rule.comment");
        const json::Value* const parts = object.at_path("rule.expr");
        if (comment == nullptr || parts == nullptr) continue;
        const auto number = parse_uint(comment->if_string() ? *comment->if_string() : "");
        if (!number || *number >= report.counts.size() || !parts->if_array()) continue;
        for (const json::Value& part : *parts->if_array()) {
            const auto count = [&](const char* path) {
                const json::Value* const value = part.at_path(path);
                return value == nullptr ? 0 : value->to_uint().value_or(0);
            };
            report.counts[*number].packets += count("counter.packets");
            report.counts[*number].bytes += count("counter.bytes");
        }
    }
    return {};
}

}  // namespace

struct EgressTable::Impl {
    explicit Impl(std::string name) : table(std::move(name)) {}

    // All with the lock held.
    Result<void> rebuild();
    Result<void> change(const std::string& commands);
    Result<std::string> list() const { return sys::nft::run("list table inet " + table); }

    const std::string table;
    std::mutex mutex;  // held while the kernel's table is changed: one writer at a time
    std::map<std::string, Policy> policies;
    std::atomic<bool> is_empty = true;  // no policies; read without the lock
    bool started = false;
    std::string expected;  // what list() gave after the last change
};

Result<void> EgressTable::Impl::rebuild() {
    std::string text = format("add table inet {0}\ndelete table inet {0}\n", table);
    if (policies.empty()) {
        TRY(sys::nft::run(text));
        return {};
    }
    text += format("table inet {} {{{}", table, kChains);
    for (const auto& [key, policy] : policies) text += add_commands(table, policy);
    TRY(sys::nft::run(text));
    expected = TRY(list());
    return {};
}

Result<void> EgressTable::Impl::change(const std::string& commands) {
    const auto changed = sys::nft::run(commands);
    if (!changed) return rebuild();
    expected = TRY(list());
    return {};
}

EgressTable::EgressTable(std::string table) : impl_(std::make_unique<Impl>(std::move(table))) {}
EgressTable::~EgressTable() = default;

Result<void> EgressTable::start() {
    const std::lock_guard lock(impl_->mutex);
    impl_->started = true;
    TRY_CONTEXT(impl_->rebuild(), "put egress policies in force");
    return {};
}

Result<void> EgressTable::set(const EgressSubject& subject, const std::string& policy) {
    if (policy.empty()) {
        remove(subject.key);
        return {};
    }
    Policy made{subject, policy, TRY(parse_egress(policy)), {}};
    const std::lock_guard lock(impl_->mutex);
    const auto old = impl_->policies.find(subject.key);
    const bool is_first = impl_->policies.empty();
    std::string commands;
    if (old != impl_->policies.end()) commands = remove_commands(impl_->table, old->second);
    commands += add_commands(impl_->table, made);
    std::optional<Policy> before;
    if (old != impl_->policies.end()) before = std::move(old->second);
    impl_->policies.insert_or_assign(subject.key, std::move(made));
    impl_->is_empty = false;
    if (!impl_->started) return {};
    auto done = is_first ? impl_->rebuild() : impl_->change(commands);
    if (done) return {};
    impl_->policies.erase(subject.key);
    impl_->is_empty = impl_->policies.empty();
    if (before) impl_->policies.emplace(subject.key, *std::move(before));
    return wrap(std::move(done).error(), "put an egress policy in force");
}

void EgressTable::remove(const std::string& key) {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->policies.find(key);
    if (found == impl_->policies.end()) return;
    const std::string commands = remove_commands(impl_->table, found->second);
    impl_->policies.erase(found);
    impl_->is_empty = impl_->policies.empty();
    if (!impl_->started) return;
    const auto done = impl_->policies.empty() ? impl_->rebuild() : impl_->change(commands);
    if (!done) LOG_WARN("take an egress policy back: {}", done.error().message);
}

Result<void> EgressTable::check() {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->started || impl_->policies.empty()) return {};
    const auto present = impl_->list();
    if (present && *present == impl_->expected) return {};
    LOG_WARN("somebody changed the table of egress policies; making it again");
    return impl_->rebuild();
}

bool EgressTable::is_empty() const {
    return impl_->is_empty;
}

bool EgressTable::may_ask(const std::vector<std::string>& keys, std::string_view name) {
    const std::lock_guard lock(impl_->mutex);
    bool allowed = true;
    for (const std::string& key : keys) {
        const auto found = impl_->policies.find(key);
        if (found == impl_->policies.end()) continue;
        Policy& policy = found->second;
        if (network::may_ask(policy.rules, name)) continue;
        allowed = allowed && policy.rules.audit;
        auto& names = policy.refused_names;
        const auto known = names.find(std::string(name));
        if (known != names.end())
            ++known->second;
        else if (names.size() < kMostNames)
            names.emplace(name, 1);
    }
    return allowed;
}

void EgressTable::learn(const std::vector<std::string>& keys, std::string_view name,
                        const std::vector<Address>& addresses, std::uint32_t ttl) {
    const std::lock_guard lock(impl_->mutex);
    std::vector<sys::nft::Element> elements;
    for (const std::string& key : keys) {
        const auto found = impl_->policies.find(key);
        if (found == impl_->policies.end()) continue;
        const auto& rules = found->second.rules.rules;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!is_named_by(rules[i], name)) continue;
            for (const Address& address : addresses)
                elements.push_back({.family = sys::nft::Family::Inet,
                                    .table = impl_->table,
                                    .set = set_of(key, i, address.family),
                                    .key = address.bytes(),
                                    .timeout = std::chrono::seconds(ttl) + kGrace});
        }
    }
    // An element that is there keeps its time on older kernels: it is replaced.
    const auto done = sys::nft::replace_elements(elements, elements);
    if (!done) LOG_WARN("addresses of {}: {}", name, done.error().message);
}

Result<std::optional<EgressReport>> EgressTable::report(const std::string& key) {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->policies.find(key);
    if (found == impl_->policies.end()) return std::optional<EgressReport>();
    const Policy& policy = found->second;
    EgressReport report{policy.text, {}, policy.refused_names};
    for (const EgressRule& rule : policy.rules.rules) report.counts.push_back({rule.text, 0, 0});
    report.counts.push_back({policy.rules.allow ? "allow" : "deny", 0, 0});
    if (impl_->started) {
        const std::string listing =
            TRY(sys::nft::list_json(format("list chain inet {} {}", impl_->table, chain_of(key))));
        TRY(add_counts(listing, report));
    }
    return std::optional(std::move(report));
}

}  // namespace coffer::network
