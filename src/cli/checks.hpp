#pragma once
// Checks of flag values with the texts that docker's command line has for bad ones. Each returns
// the value in the form that is kept. Pure functions, but for env and path ones, which read the
// environment and the working folder.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::cli {

Result<std::string> check_bool(std::string_view value);
Result<std::string> check_int(std::string_view value);  // Go's base 0: 10, 0x10, 0o7, 0b1
Result<std::string> check_uint16(std::string_view value);
Result<std::string> check_uint64(std::string_view value);
Result<std::string> check_duration(std::string_view value);  // kept as nanoseconds
Result<std::string> check_bytes(std::string_view value);     // kept as bytes
Result<std::string> check_swap(std::string_view value);      // the same, or -1
Result<std::string> check_cpus(std::string_view value);      // kept as nano CPUs

Result<std::string> check_attach(std::string_view value);
Result<std::string> check_env(std::string_view value);
Result<std::string> check_label(std::string_view value);
Result<std::string> check_sysctl(std::string_view value);
Result<std::string> check_ulimit(std::string_view value);  // kept as name=soft:hard
Result<std::string> check_link(std::string_view value);
Result<std::string> check_add_host(std::string_view value);
Result<std::string> check_ip(std::string_view value);
Result<std::string> check_dns(std::string_view value);
Result<std::string> check_dns_search(std::string_view value);
Result<std::string> check_device_rule(std::string_view value);
Result<std::string> check_weight_device(std::string_view value);
Result<std::string> check_bps_device(std::string_view value);  // kept as path:bytes
Result<std::string> check_iops_device(std::string_view value);
Result<std::string> check_filter(std::string_view value);

// An IPv4 or IPv6 address as Go prints it; nullopt when it is none.
std::optional<std::string> normal_ip(std::string_view text);
// Bytes with binary units as go-units reads them, with its error texts.
Result<std::int64_t> ram_in_bytes(std::string_view text);
// strconv.Atoi and ParseInt with base 10, with their error texts.
Result<std::int64_t> decimal(std::string_view text, std::string_view function);

}  // namespace coffer::cli
