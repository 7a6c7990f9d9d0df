#include "registry/config.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/text.hpp"
#include "http/address.hpp"
#include "sys/file.hpp"

namespace coffer::registry {

namespace {

// An address as the 16 bytes of IPv6 (IPv4 mapped), so that one comparison serves both.
using Address = std::array<unsigned char, 16>;

Address map_v4(const in_addr& v4) {
    Address address{};
    address[10] = address[11] = 0xff;
    std::memcpy(&address[12], &v4, sizeof v4);
    return address;
}

std::optional<Address> parse_address(const std::string& text) {
    in_addr v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return map_v4(v4);
    Address address{};
    if (::inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
    return std::nullopt;
}

bool in_block(const Address& address, const std::string& block) {
    const auto parts = cut(block, "/");
    if (!parts) return false;
    const auto network = parse_address(std::string(parts->first));
    auto bits = parse_uint(parts->second);
    if (!network || !bits) return false;
    if (parts->first.find(':') == std::string_view::npos) *bits += 96;
    if (*bits > 128) return false;
    const std::size_t whole = *bits / 8;
    if (!std::equal(address.begin(), address.begin() + static_cast<long>(whole), network->begin()))
        return false;
    const unsigned rest = *bits % 8;
    if (rest == 0) return true;
    const unsigned mask = 0xffU << (8 - rest) & 0xffU;
    return (address[whole] & mask) == ((*network)[whole] & mask);
}

// Of a family that getaddrinfo(3) gives: IPv4 or IPv6.
Address to_address(const sockaddr& from) {
    if (from.sa_family == AF_INET)
        return map_v4(reinterpret_cast<const sockaddr_in&>(from).sin_addr);
    Address address{};
    std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6&>(from).sin6_addr,
                address.size());
    return address;
}

std::vector<Address> addresses_of(const std::string& name) {
    if (const auto literal = parse_address(name)) return {*literal};
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return {};
    std::vector<Address> addresses;
    for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
        if (it->ai_family == AF_INET || it->ai_family == AF_INET6)
            addresses.push_back(to_address(*it->ai_addr));
    }
    ::freeaddrinfo(found);
    return addresses;
}

bool in_any(const Address& address, std::span<const std::string> blocks) {
    return std::any_of(blocks.begin(), blocks.end(),
                       [&](const std::string& block) { return in_block(address, block); });
}

bool any_in_blocks(const std::string& host, std::span<const std::string> blocks) {
    const auto addresses = addresses_of(without_port(host));
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const Address& address) { return in_any(address, blocks); });
}

const std::array<std::string, 2> kLoopbackBlocks = {"127.0.0.0/8", "::1/128"};
const std::array<std::string, 3> kMachineBlocks = {"127.0.0.0/8", "0.0.0.0/8", "::/120"};
const std::array<std::string, 2> kLinkBlocks = {"169.254.0.0/16", "fe80::/10"};
const std::array<std::string, 5> kPrivateBlocks = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                                   "100.64.0.0/10", "fc00::/7"};

Distance distance_of(const Address& address) {
    if (in_any(address, kMachineBlocks)) return Distance::Machine;
    if (in_any(address, kLinkBlocks)) return Distance::Links;
    return in_any(address, kPrivateBlocks) ? Distance::Private : Distance::World;
}

// Whether an entry of NO_PROXY is about a host.
bool is_named_by(std::string_view entry, const std::string& host) {
    const std::string name = without_port(host);
    if (entry == "*" || entry == host || entry == name) return true;
    if (const auto address = parse_address(name))
        return entry.find('/') != std::string_view::npos && in_block(*address, std::string(entry));
    const bool has_port = entry.find(':') != std::string_view::npos;
    std::string domain(entry.starts_with("*.") ? entry.substr(1) : entry);
    if (!domain.starts_with('.')) domain.insert(domain.begin(), '.');
    return (has_port ? host : name).ends_with(domain);
}

bool is_listed(const std::string& host, const std::vector<std::string>& listed) {
    return std::find(listed.begin(), listed.end(), host) != listed.end() ||
           any_in_blocks(host, listed);
}

}  // namespace

std::string proxy_for(const Proxies& proxies, std::string_view scheme, const std::string& host) {
    const std::string name = without_port(host);
    if (http::is_loopback(name)) return {};
    for (const std::string& part : split(to_lower(proxies.none), ',')) {
        const std::string_view entry = trim(part);
        if (!entry.empty() && is_named_by(entry, host)) return {};
    }
    return scheme == "https" ? proxies.https : proxies.http;
}

std::string without_port(const std::string& host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.find(':'));
}

Distance distance_of(const sockaddr& address) {
    return distance_of(to_address(address));
}

std::optional<Distance> distance_of(const std::string& host) {
    std::string name = to_lower(host);
    if (name.ends_with('.')) name.pop_back();
    if (name == "localhost" || name.ends_with(".localhost")) return Distance::Machine;
    const auto address = parse_address(name);
    return address ? std::optional(distance_of(*address)) : std::nullopt;
}

Proxies proxies_of_environment() {
    const auto first = [](std::initializer_list<const char*> names) -> std::string {
        for (const char* name : names) {
            // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets the environment
            const char* value = ::getenv(name);
            if (value != nullptr && *value != '\0') return value;
        }
        return {};
    };
    return {first({"HTTP_PROXY", "http_proxy"}), first({"HTTPS_PROXY", "https_proxy"}),
            first({"NO_PROXY", "no_proxy"})};
}

bool is_insecure(const Config& config, const std::string& host) {
    return any_in_blocks(host, kLoopbackBlocks) || is_listed(host, config.insecure_registries);
}

bool takes_foreign_layers(const Config& config, const std::string& host) {
    return is_listed(host, config.allow_nondistributable);
}

Result<TlsFiles> find_tls_files(const Config& config, const std::string& host) {
    TlsFiles files;
    // A host from a redirect or a realm: must stay one folder name.
    if (host.find('/') != std::string::npos || host == "." || host == "..") return files;
    for (const auto& folder : config.certs_dirs) {
        const std::string path = folder + "/" + host;
        auto names = sys::list_dir(path);
        if (!names) continue;
        std::sort(names->begin(), names->end());
        for (const auto& name : *names) {
            if (name.ends_with(".crt")) files.authorities.push_back(path + "/" + name);
            if (!name.ends_with(".cert")) continue;
            const std::string key = name.substr(0, name.size() - 5) + ".key";
            if (std::find(names->begin(), names->end(), key) == names->end())
                return fail(Code::Internal,
                            "missing key {} for client certificate {}. CA certificates must use "
                            "the extension .crt",
                            key, name);
            files.client_certificate = path + "/" + name;
            files.client_key = path + "/" + key;
        }
        return files;
    }
    return files;
}

}  // namespace coffer::registry
