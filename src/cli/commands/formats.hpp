#pragma once
// Words of --help and flags that several commands share. Constants.

#include <string_view>

#include "cli/checks.hpp"
#include "cli/flags.hpp"

namespace coffer::cli {

inline constexpr std::string_view kListFormatHelp =
    "Format output using a custom template:\n"
    "'table':            Print output in table format with column headers (default)\n"
    "'table TEMPLATE':   Print output in table format using the given Go template\n"
    "'json':             Print in JSON format\n"
    "'TEMPLATE':         Print output using the given Go template.\n"
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output "
    "with templates";

inline constexpr std::string_view kInspectFormatHelp =
    "Format output using a custom template:\n"
    "'json':             Print in JSON format\n"
    "'TEMPLATE':         Print output using the given Go template.\n"
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output "
    "with templates";

// The --filter of lists and prunes.
constexpr Flag filter_flag(char shorthand, std::string_view help) {
    return typed("filter", list("filter", shorthand, &check_filter, help));
}

}  // namespace coffer::cli
