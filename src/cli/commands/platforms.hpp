#pragma once
// --platform as the API takes it. Pure functions.

#include "cli/api_client.hpp"
#include "cli/flags.hpp"

namespace coffer::cli {

// {"architecture":"arm64","os":"linux"} of "linux/arm64".
Result<std::string> platform_parameter(const std::string& text);
// The parameter `platform`, when the flag of that name is given.
Result<void> add_platform(Query& query, const Values& flags);

}  // namespace coffer::cli
