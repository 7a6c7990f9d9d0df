#include "network/resolv.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "network/resolver.hpp"
#include "sys/file.hpp"

namespace coffer::network {
namespace {

bool is_ip(const std::string& text, int family) {
    in6_addr address{};  // large enough for both
    return ::inet_pton(family, text.c_str(), &address) == 1;
}

bool is_loopback(std::string_view server) {
    return server.starts_with("127.") || server == "::1";
}

// One word of a file: no blank, no control character.
bool is_word(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
    });
}

DnsOptions parse(std::string_view text) {
    DnsOptions found;
    for (const std::string& line : split(text, '\n')) {
        auto words = split_fields(line);
        if (words.size() < 2 || words[0][0] == '#' || words[0][0] == ';') continue;
        const std::string key = words[0];
        words.erase(words.begin());
        if (key == "nameserver")
            found.servers.push_back(words[0]);
        else if (key == "search" || key == "domain")
            found.search = words;  // the last one counts, as for the resolver itself
        else if (key == "options")
            found.options.insert(found.options.end(), words.begin(), words.end());
    }
    return found;
}

std::string write(const DnsOptions& dns) {
    std::string text;
    for (const std::string& server : dns.servers) text += "nameserver " + server + "\n";
    if (!dns.search.empty() && dns.search != std::vector<std::string>{"."})
        text += "search " + join(dns.search, " ") + "\n";
    if (!dns.options.empty()) text += "options " + join(dns.options, " ") + "\n";
    return text;
}

DnsOptions merge(DnsOptions host, const DnsOptions& wanted) {
    if (!wanted.servers.empty()) host.servers = wanted.servers;
    if (!wanted.search.empty()) host.search = wanted.search;
    if (!wanted.options.empty()) host.options = wanted.options;
    return host;
}

}  // namespace

Result<void> check(const DnsOptions& dns) {
    for (const std::string& server : dns.servers)
        if (!is_ip(server, AF_INET) && !is_ip(server, AF_INET6))
            return fail(Code::InvalidArgument, "bad nameserver address \"{}\"", server);
    for (const auto* list : {&dns.search, &dns.options})
        for (const std::string& word : *list)
            if (!is_word(word)) return fail(Code::InvalidArgument, "bad DNS option \"{}\"", word);
    return {};
}

std::string resolv_conf(std::string_view host_text, const DnsOptions& dns) {
    DnsOptions host = parse(host_text);
    // A loopback server would be the container's own loopback, and IPv6 does not lead out of it.
    std::erase_if(host.servers, [](const std::string& server) {
        return is_loopback(server) || !is_ip(server, AF_INET);
    });
    DnsOptions merged = merge(std::move(host), dns);
    if (merged.servers.empty()) merged.servers = {"8.8.8.8", "8.8.4.4"};
    return write(merged);
}

std::string host_network_resolv_conf(std::string_view host_text, const DnsOptions& dns) {
    if (dns.servers.empty() && dns.search.empty() && dns.options.empty())
        return std::string(host_text);
    return write(merge(parse(host_text), dns));
}

std::string embedded_resolv_conf(std::string_view host_text, const DnsOptions& dns) {
    DnsOptions merged = merge(parse(host_text), dns);
    merged.servers = {kResolverAddress};
    const bool has_dots =
        std::any_of(merged.options.begin(), merged.options.end(),
                    [](const std::string& option) { return option.starts_with("ndots:"); });
    if (!has_dots) merged.options.emplace_back("ndots:0");
    return write(merged);
}

std::vector<std::string> host_name_servers() {
    const auto text = sys::read_file("/etc/resolv.conf", 64 << 10);
    return text ? parse(*text).servers : std::vector<std::string>();
}

Result<std::string> read_host_resolv_conf() {
    const std::string main = "/etc/resolv.conf";
    if (!sys::exists(main)) return std::string();
    std::string text = TRY(sys::read_file(main, 64 << 10));
    const std::string resolved = "/run/systemd/resolve/resolv.conf";
    if (parse(text).servers == std::vector<std::string>{"127.0.0.53"} && sys::exists(resolved))
        return sys::read_file(resolved, 64 << 10);
    return text;
}

Result<std::pair<std::string, std::string>> parse_extra_host(std::string_view text) {
    // "name=address" is the newer form: with a colon, an IPv6 address needs no brackets either way.
    auto sides = cut(text, "=");
    if (!sides) sides = cut(text, ":");
    if (!sides || !is_word(sides->first))
        return fail(Code::InvalidArgument, "bad format for add-host: \"{}\"", text);
    std::string address(sides->second);
    if (address.size() > 2 && address.front() == '[' && address.back() == ']')
        address = address.substr(1, address.size() - 2);
    if (address != "host-gateway" && !is_ip(address, AF_INET) && !is_ip(address, AF_INET6))
        return fail(Code::InvalidArgument, "invalid IP address in add-host: \"{}\"", sides->second);
    return std::pair{std::string(sides->first), std::move(address)};
}

Result<std::string> hosts_file(const HostsOptions& options) {
    std::string text =
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n";
    for (const std::string& extra : options.extra_hosts) {
        const auto [name, given] = TRY(parse_extra_host(extra));
        if (given == "host-gateway" && options.host_gateway.empty())
            return fail(
                Code::InvalidArgument,
                "unable to derive the IP value for host-gateway: there is no default bridge");
        const std::string& address = given == "host-gateway" ? options.host_gateway : given;
        text += address + "\t" + name + "\n";
    }
    for (const HostsEntry& entry : options.entries)
        text += entry.address + "\t" + join(entry.names, " ") + "\n";
    std::string names = options.hostname;
    if (!options.domainname.empty()) names += "." + options.domainname;
    if (const auto dot = names.find('.'); dot != std::string::npos)
        names += " " + names.substr(0, dot);
    for (const std::string& address : options.addresses) text += address + "\t" + names + "\n";
    return text;
}

std::string hostname_file(std::string_view hostname) {
    return std::string(hostname) + "\n";
}

}  // namespace coffer::network
