#pragma once
// How the daemon may talk to which registry: insecure ones and the certificates of certs.d.
// Functions are stateless (is_insecure may ask the resolver), safe from any thread.

#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::registry {

struct Config {
    // "host", "host:port" or a CIDR block. 127.0.0.0/8 and ::1/128 are always in, as in docker.
    std::vector<std::string> insecure_registries;
    // <folder>/<host:port>/{*.crt, *.cert + *.key}; the first folder that has the host counts.
    std::vector<std::string> certs_dirs = {"/etc/coffer/certs.d", "/etc/docker/certs.d"};
};

// Files to use with one host, beside the system's certificate authorities.
struct TlsFiles {
    std::vector<std::string> authorities;
    std::string client_certificate;
    std::string client_key;
};

// `host` is "name", "name:port", "1.2.3.4:port" or "[v6]:port".
bool is_insecure(const Config& config, const std::string& host);
Result<TlsFiles> find_tls_files(const Config& config, const std::string& host);
// True for 127.0.0.0/8, ::1 and localhost: never sent through a proxy.
bool is_loopback(const std::string& host);

}  // namespace coffer::registry
