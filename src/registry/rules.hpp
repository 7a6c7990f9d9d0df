#pragma once
// Which hosts have the images of a registry: the rules of the registries file, and the two formats
// of others that say the same. Plain data and pure functions, safe from any thread.
//
//   {"registries": [{"prefix": "docker.io/library",         a host, its path, or "*.example.com"
//                    "location": "registry.example/hub",    what takes its place; itself if absent
//                    "mirrors": [{"location": "mirror.example:5000/hub", "capabilities": ["pull"],
//                                 "ca": FILE, "client-cert": FILE, "client-key": FILE,
//                                 "insecure": true, "credentials": FILE}],
//                    "blocked": true, "message": "use the mirror"}],
//    "hosts-toml": [FOLDER], "registries-conf": [FILE]}     what else is read
//
// A location may have the access keys of a mirror beside it. An unknown key is an error.

#include <string>
#include <string_view>
#include <vector>

#include "registry/config.hpp"

namespace coffer::registry {

struct Capabilities {
    bool pull = true;     // content by digest
    bool resolve = true;  // what a tag stands for, and which tags there are
    bool push = true;
};

enum class Scheme { Any, Https, Http };  // Any: https, and plain http if that is insecure

// A host with all or some of the images below a prefix.
struct Host {
    std::string address;            // "mirror.example:5000"; empty: the host of the reference
    std::string path;               // there, in place of the prefix; may be empty
    std::string api_root = "/v2/";  // before the repository
    Scheme scheme = Scheme::Any;
    Capabilities can;
    bool insecure = false;
    bool names_origin = false;  // tells the mirror whose images are meant: "?ns=docker.io"
    TlsFiles tls;
    std::vector<std::string> headers;  // "Name: value"
    // A file of logins in the form of docker's config.json; "client": what the client sent along.
    // Empty: the latter, if the address is the one the login is for.
    std::string credentials;
};

struct Rule {
    std::string prefix;
    std::string source;       // where it stands
    std::vector<Host> hosts;  // in the order to ask them
    bool blocked = false;
    std::string message;  // why
};

struct RulesFile {
    std::vector<Rule> rules;
    std::vector<std::string> hosts_toml;
    std::vector<std::string> registries_conf;
};

// `path` is for the messages.
Result<RulesFile> parse_rules(std::string_view text, const std::string& path);
// containers-registries.conf(5), version 2. Short names are docker.io's here, so what it says of
// them is not read.
Result<RulesFile> parse_registries_conf(std::string_view text, const std::string& path);
// containerd's hosts.toml: one rule, without a prefix, for the registry that its folder is named
// after. Paths in it are relative to the folder.
Result<RulesFile> parse_hosts_toml(std::string_view text, const std::string& path);

// "[http[s]://]HOST[:PORT][/PATH]" as a host.
Result<Host> parse_location(std::string_view text);

// How long the prefix is that matches `name` ("docker.io/library/busybox"); 0: it does not.
std::size_t match_prefix(std::string_view prefix, std::string_view name);
// The repository at a host for `name` below `prefix`.
std::string rewrite(const Host& host, std::string_view prefix, std::string_view name);

}  // namespace coffer::registry
