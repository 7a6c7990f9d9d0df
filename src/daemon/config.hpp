#pragma once
// cofferd's configuration: flags with dockerd's names, and the same keys in a JSON file. One table
// feeds the parser, --help and the file. Plain data and pure functions.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "http/tls.hpp"
#include "network/ipam.hpp"
#include "security/profiles.hpp"

namespace coffer::daemon {

struct Config {
    std::string data_root = "/var/lib/coffer";
    std::string exec_root = "/run/coffer";
    std::vector<std::string> hosts;  // empty: unix:///run/coffer.sock
    std::string config_file = "/etc/coffer/daemon.json";
    std::string pidfile;
    std::string group = "coffer";
    std::string bridge = "coffer0";
    std::string bip;
    std::vector<network::AddressPool> default_address_pools;
    std::vector<std::string> insecure_registries;
    std::string log_level = "info";
    std::string security_level = "standard";
    std::string log_driver = "json-file";
    std::map<std::string, std::string> log_opts;
    std::vector<std::string> cdi_spec_dirs;  // empty: /etc/cdi and /var/run/cdi
    bool init = false;
    bool live_restore = true;
    bool debug = false;
    bool tls = false;
    bool tls_verify = false;
    http::TlsFiles tls_files{"/etc/coffer/ca.pem", "/etc/coffer/cert.pem", "/etc/coffer/key.pem"};
    bool validate = false;
    bool help = false;
    bool version = false;

    log::Level level() const;
    security::Level security() const;
};

// Reads the flags, then the file; a value given in both is refused, as dockerd does.
Result<Config> load_config(std::span<const std::string> arguments);
// The text of --help.
std::string help_text();

// One entry of --host, taken apart.
struct HostAddress {
    enum class Kind { Unix, Tcp, Inherited };
    Kind kind = Kind::Unix;
    std::string path;  // of a unix socket
    std::string host;
    std::uint16_t port = 0;
};
Result<HostAddress> parse_host(std::string_view text, bool tls);

}  // namespace coffer::daemon
