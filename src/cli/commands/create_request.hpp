#pragma once
// The flags of run and create, and their translation to the body of POST /containers/create: the
// same JSON that docker's command line sends. Reads env files, label files and seccomp profiles;
// one thread.

#include <array>

#include "cli/flags.hpp"
#include "json/value.hpp"

namespace coffer::cli {

extern const std::span<const Flag> kCreateFlags;

// What else run needs to know of the request.
struct CreateRequest {
    json::Value body;
    std::string image;
    bool tty = false;
    bool attach_input = false;
    bool attach_output = false;
    bool attach_errors = false;
    bool auto_remove = false;
    std::string cidfile;
};
// `args` is the image and its command.
Result<CreateRequest> build_create_request(const Values& flags,
                                           const std::vector<std::string>& args);

// The three parts of it.
Result<json::Value> host_config(const Values& flags);
// "on-failure:3" as an object; an empty text is no change.
Result<json::Value> restart_policy(std::string_view text);
// {"<network>": {...}} of NetworkingConfig.
Result<json::Value> endpoints_config(const Values& flags);
// The name in HostConfig.NetworkMode.
std::string network_mode(const Values& flags);

// "-e" and "--env-file" as docker merges them.
Result<std::vector<std::string>> environment_of(const Values& flags);

// "A=b,c" fields of docker's comma syntax, with "..." quoting.
Result<std::vector<std::string>> split_csv(std::string_view text);
Result<json::Value> parse_mount(std::string_view text);
Result<json::Value> parse_gpu_request(std::string_view text);
Result<std::string> check_mount(std::string_view text);
Result<std::string> check_gpus(std::string_view text);
Result<std::string> check_network(std::string_view text);

// Published ports: [ip:]host:container[/proto], with ranges.
struct PortMapping {
    std::string port;  // "80/tcp"
    std::string host_ip;
    std::string host_port;
};
Result<std::vector<PortMapping>> parse_publish(std::string_view text);
// HostConfig.PortBindings of -p values.
Result<json::Value> port_bindings(const std::vector<std::string>& specs);
// "80-90/udp" of --expose: every port of it.
Result<std::vector<std::string>> parse_expose(std::string_view text);

// A -v value: the bind string to send, or nullopt for an anonymous volume.
Result<std::optional<std::string>> parse_volume(std::string_view text);
// Lines of an env or label file. `from_environment` fills in names without "=".
enum class Lookup { No, Environment };
Result<std::vector<std::string>> parse_key_value_file(const std::string& path, Lookup lookup);

json::Value string_array(const std::vector<std::string>& items);
json::Value string_array_or_null(const std::vector<std::string>& items);
// Of "k=v" words.
json::Value string_map(const std::vector<std::string>& items);

}  // namespace coffer::cli
