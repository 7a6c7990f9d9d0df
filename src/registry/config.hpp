#pragma once
// How the daemon may talk to which registry: insecure ones and the certificates of certs.d.
// Functions are stateless (is_insecure may ask the resolver), safe from any thread.

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

struct sockaddr;

namespace coffer::registry {

// "[http[s]://]HOST[:PORT]" for what is asked over http and https, and the hosts, domains and CIDR
// blocks that are asked without: "localhost,.corp.example,10.0.0.0/8".
struct Proxies {
    std::string http;
    std::string https;
    std::string none;
};
// HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or the same in lower case.
Proxies proxies_of_environment();
// Through which proxy a host is asked; empty: through none. By the rules of Go's clients, a
// loopback address never.
std::string proxy_for(const Proxies& proxies, std::string_view scheme, const std::string& host);

struct Config {
    // "host", "host:port" or a CIDR block. 127.0.0.0/8 and ::1/128 are always in, as in docker.
    std::vector<std::string> insecure_registries;
    // The same, of registries that are sent layers which their makers distribute themselves.
    std::vector<std::string> allow_nondistributable;
    // <folder>/<host:port>/{*.crt, *.cert + *.key}; the first folder that has the host counts.
    std::vector<std::string> certs_dirs = {"/etc/coffer/certs.d", "/etc/docker/certs.d"};
    Proxies proxies;
    // Mirrors of docker.io: "https://HOST[:PORT]".
    std::vector<std::string> mirrors;
    // The registries file (registry/rules.hpp). Without it, what others have: <folder>/<host>/
    // hosts.toml of the first folder that has it, and registries.conf with its .d folder.
    std::string registries_file = "/etc/coffer/registries.json";
    std::vector<std::string> hosts_toml_dirs = {"/etc/coffer/certs.d", "/etc/docker/certs.d",
                                                "/etc/containerd/certs.d"};
    std::vector<std::string> registries_confs = {"/etc/containers/registries.conf"};
};

// Files to use with one host, beside the system's certificate authorities.
struct TlsFiles {
    std::vector<std::string> authorities;
    std::string client_certificate;
    std::string client_key;
};

// `host` is "name", "name:port", "1.2.3.4:port" or "[v6]:port".
bool is_insecure(const Config& config, const std::string& host);
bool takes_foreign_layers(const Config& config, const std::string& host);
// What an address is of: this machine, what is on its links alone (169.254.0.0/16: the cloud's
// metadata), a private network (10.0.0.0/8 and the like), or anything else.
enum class Distance { Machine, Links, Private, World };
Distance distance_of(const sockaddr& address);
// Of an address in words, or of a name that always stands for this machine; nullopt: another name.
std::optional<Distance> distance_of(const std::string& host);
// Without the port, and without the brackets of an IPv6 address.
std::string without_port(const std::string& host);
Result<TlsFiles> find_tls_files(const Config& config, const std::string& host);

}  // namespace coffer::registry
