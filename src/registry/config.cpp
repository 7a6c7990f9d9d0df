#include "registry/config.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

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

std::string without_port(const std::string& host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    const auto colon = host.find(':');
    return host.substr(0, colon);
}

std::vector<Address> addresses_of(const std::string& name) {
    if (const auto literal = parse_address(name)) return {*literal};
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return {};
    std::vector<Address> addresses;
    for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
        if (it->ai_family == AF_INET) {
            sockaddr_in v4{};
            std::memcpy(&v4, it->ai_addr, sizeof v4);
            addresses.push_back(map_v4(v4.sin_addr));
        } else if (it->ai_family == AF_INET6) {
            sockaddr_in6 v6{};
            std::memcpy(&v6, it->ai_addr, sizeof v6);
            Address address{};
            std::memcpy(address.data(), &v6.sin6_addr, address.size());
            addresses.push_back(address);
        }
    }
    ::freeaddrinfo(found);
    return addresses;
}

bool any_in_blocks(const std::string& host, std::span<const std::string> blocks) {
    for (const auto& address : addresses_of(without_port(host))) {
        for (const auto& block : blocks) {
            if (in_block(address, block)) return true;
        }
    }
    return false;
}

const std::array<std::string, 2> kLoopbackBlocks = {"127.0.0.0/8", "::1/128"};

}  // namespace

bool is_loopback(const std::string& host) {
    const std::string name = without_port(host);
    if (name == "localhost") return true;
    const auto literal = parse_address(name);
    return literal &&
           (in_block(*literal, kLoopbackBlocks[0]) || in_block(*literal, kLoopbackBlocks[1]));
}

bool is_insecure(const Config& config, const std::string& host) {
    const auto& listed = config.insecure_registries;
    if (std::find(listed.begin(), listed.end(), host) != listed.end()) return true;
    return any_in_blocks(host, kLoopbackBlocks) || any_in_blocks(host, listed);
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
