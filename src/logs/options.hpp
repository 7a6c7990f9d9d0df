#pragma once
// What --log-driver and --log-opt mean: which drivers there are, which options each takes, and what
// becomes of them. Errors have docker's words. Pure functions.

#include <vector>

#include "base/result.hpp"
#include "logs/address.hpp"
#include "logs/format.hpp"
#include "logs/setup.hpp"

namespace coffer::logs {

using Options = std::map<std::string, std::string>;

// As Info.Plugins.Log lists them; "none" is no plugin.
std::vector<std::string> driver_names();

// Every option is known to the driver and has a value that it can use.
Result<void> check_options(const std::string& driver, const Options& options);

// A container as its log's options may refer to it.
struct Subject {
    Origin origin;  // without attributes and tag, which are found here
    std::map<std::string, std::string> labels;
    std::vector<std::string> env;  // "KEY=value"
};

// The labels and variables that the options ask for, by name or by pattern.
Result<Attributes> find_attributes(const Options& options, const Subject& subject);

// "{{.Name}}/{{.ID}}" for that container.
Result<std::string> expand_tag(std::string_view text, const Subject& subject);

// What becomes of the log in the folder of the container. `program` is coffer-logger.
Result<Setup> make_setup(const std::string& driver, const Options& options, const Subject& subject,
                         const std::string& folder, const std::string& program);

// Where the log of that container is read; nullopt when it is nowhere kept.
std::optional<Place> find_place(const std::string& driver, const Options& options,
                                const std::string& folder, const std::string& id);

// The limits of the file that the options say, or the driver's own.
struct FileLimits {
    std::int64_t max_size = 0;
    std::int64_t max_files = 0;
    bool compress = false;
};
Result<FileLimits> file_limits(const std::string& driver, const Options& options);

// strconv.ParseBool of Go; nullopt when it is none.
std::optional<bool> parse_bool(std::string_view text);

// For the drivers, from options that were checked.
struct SyslogOptions {
    Address address;
    int facility = 3;    // daemon
    std::string format;  // "", "rfc3164", "rfc5424", "rfc5424micro"
    std::string ca, cert, key;
    bool skip_verify = false;
};
Result<SyslogOptions> syslog_options(const Options& options);

struct GelfOptions {
    Address address;
    std::string compression = "gzip";  // "zlib", "none"; of datagrams only
    int max_reconnect = 3;
    int reconnect_delay = 1;  // seconds
};
Result<GelfOptions> gelf_options(const Options& options);

struct FluentdOptions {
    Address address;
    bool async = false;
    bool request_ack = false;
    bool sub_second = false;
    std::int64_t buffer = 1024 * 1024;
    std::chrono::milliseconds retry_wait{1000};
    std::int64_t max_retries = 1LL << 31;
};
Result<FluentdOptions> fluentd_options(const Options& options);

}  // namespace coffer::logs
