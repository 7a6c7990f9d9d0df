#pragma once
// Command lines in runc's grammar: flags before the first argument, "--name value" or
// "--name=value", one or two dashes, "--" ends them. Pure.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "command/flag.hpp"

namespace coffer::runtime {

struct Args {
    std::map<std::string, std::vector<std::string>, std::less<>> flags;  // by long name
    std::vector<std::string> rest;

    bool has(std::string_view name) const { return flags.find(name) != flags.end(); }
    // The last value given; "" when absent.
    std::string get(std::string_view name) const;
    const std::vector<std::string>& all(std::string_view name) const;
};

// -h and --help are known to all.
Result<Args> parse_args(std::span<const std::string> words, const command::FlagTable& known);

}  // namespace coffer::runtime
