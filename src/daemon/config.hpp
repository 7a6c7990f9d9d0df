#pragma once
// cofferd's configuration: flags with dockerd's names, and the same keys in a JSON file. One table
// feeds the parser, --help and the file. Plain data and pure functions.

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "command/flag.hpp"
#include "engine/collection.hpp"
#include "http/tls.hpp"
#include "network/ipam.hpp"
#include "registry/config.hpp"
#include "security/profiles.hpp"

namespace coffer::daemon {

// Of a registry of our own.
struct RegistryConfig {
    std::vector<std::string> addresses;  // unix:///PATH or HOST:PORT; empty: there is none
    std::string name;                    // in the names of its images; empty: of the first address
    std::string htpasswd;
    http::TlsFiles tls_files;
    bool anonymous_read = false;
    bool open = false;  // for all who reach it, without password and TLS
    std::chrono::seconds keep_untagged = std::chrono::hours(7 * 24);
};

struct Config {
    std::string data_root = "/var/lib/coffer";
    std::string exec_root = "/run/coffer";
    std::vector<std::string> hosts;  // empty: unix:///run/coffer.sock
    std::string config_file = "/etc/coffer/daemon.json";
    std::string pidfile;
    std::string group = "coffer";
    std::string bridge = "coffer0";
    std::string bip;
    bool ipv6 = false;
    std::string fixed_cidr_v6;
    std::vector<network::AddressPool> default_address_pools;
    std::vector<std::string> insecure_registries;
    std::vector<std::string> allow_nondistributable;
    std::vector<std::string> registry_mirrors;
    registry::Proxies proxies;  // what is empty is as in the environment
    std::string registries_file = "/etc/coffer/registries.json";
    std::string signature_policy;  // empty: the file that is there, see trust::PolicyFile
    std::string log_level = "info";
    std::string security_level = "standard";
    std::string log_driver = "json-file";
    std::map<std::string, std::string> log_opts;
    std::vector<std::string> cdi_spec_dirs;  // empty: /etc/cdi and /var/run/cdi
    bool init = false;
    bool live_restore = true;
    bool respect_host_firewall = false;
    bool debug = false;
    bool tls = false;
    bool tls_verify = false;
    http::TlsFiles tls_files{"/etc/coffer/ca.pem", "/etc/coffer/cert.pem", "/etc/coffer/key.pem"};
    RegistryConfig registry;
    engine::CollectionRules collection;
    bool validate = false;
    bool help = false;
    bool man = false;
    bool version = false;

    log::Level level() const;
    security::Level security() const;
};

// Reads the flags, then the file; a value given in both is refused, as dockerd does.
Result<Config> load_config(std::span<const std::string> arguments);
// One of its options, and its key in the file; that is empty where it is a flag only.
struct OptionText {
    command::Flag flag;
    std::string_view key;
};
std::vector<OptionText> option_texts();
// The text of --help.
std::string help_text();
// The manual page, in roff.
std::string manual_text();

// One entry of --host, taken apart.
struct HostAddress {
    enum class Kind { Unix, Tcp, Inherited };
    Kind kind = Kind::Unix;
    std::string path;  // of a unix socket
    std::string host;
    std::uint16_t port = 0;
};
Result<HostAddress> parse_host(std::string_view text, bool tls);
// One address of --registry; its default port is 5000.
Result<HostAddress> parse_registry_address(std::string_view text);

}  // namespace coffer::daemon
