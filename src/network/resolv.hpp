#pragma once
// The text of the files that make names work in a container: resolv.conf, hosts, hostname. Pure
// functions, safe from any thread.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace coffer::network {

// What a container asks for; an empty list means as the host has it.
struct DnsOptions {
    std::vector<std::string> servers;
    std::vector<std::string> search;  // {"."} means none
    std::vector<std::string> options;
};

// Servers must be addresses, and nothing may hold blanks or control characters (it would become a
// line of the file).
Result<void> check(const DnsOptions& dns);

// docker's rules: the host's name servers without loopback ones (those are not reachable from the
// container), 8.8.8.8 and 8.8.4.4 when none is left, search domains and options carried over.
std::string resolv_conf(std::string_view host_text, const DnsOptions& dns);
// For a container in the host's network: as the host has it, with the overrides.
std::string host_network_resolv_conf(std::string_view host_text, const DnsOptions& dns);
// For a container that has the engine's resolver: its address, the search domains and options of
// the host or the container's own, and names without a dot asked as they are.
std::string embedded_resolv_conf(std::string_view host_text, const DnsOptions& dns);
// The servers of the host's /etc/resolv.conf, loopback ones too: read anew each time.
std::vector<std::string> host_name_servers();
// The host's file to start from: /etc/resolv.conf, or systemd-resolved's list of real servers
// where the former names nothing but its stub.
Result<std::string> read_host_resolv_conf();

struct HostsEntry {
    std::string address;
    std::vector<std::string> names;
};
struct HostsOptions {
    std::string hostname;
    std::string domainname;
    std::vector<std::string> addresses;    // the container's own, one per network
    std::vector<std::string> extra_hosts;  // "name:address", "name=address", "name:host-gateway"
    std::string host_gateway;              // what host-gateway stands for
    std::vector<HostsEntry> entries;       // further lines, e.g. links
};
// Fails with docker's text on a bad extra host.
Result<std::string> hosts_file(const HostsOptions& options);
// "name:address" or "name=address" cut in two; the address is checked ("host-gateway" passes).
Result<std::pair<std::string, std::string>> parse_extra_host(std::string_view text);

std::string hostname_file(std::string_view hostname);

}  // namespace coffer::network
