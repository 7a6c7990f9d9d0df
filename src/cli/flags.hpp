#pragma once
// Flags of a command, read from its table the way pflag reads them: bundles of short flags,
// "--name=value", "--name value", "--", and pflag's words for every mistake. A Values object
// belongs to one thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/command.hpp"

namespace coffer::cli {

using command::Check;
using command::Flag;
using command::FlagTable;
using command::Interspersed;
// Short ways to write the rows of a table.
using command::counted;
using command::list;
using command::mapped;
using command::other_spelling;
using command::text;
using command::toggle;
using command::typed;
using command::value;
using command::with_default;

class Values {
  public:
    explicit Values(FlagTable table) : table_(table) {}

    bool given(std::string_view name) const;
    bool is_set(std::string_view name) const;  // of a switch
    std::string text(std::string_view name) const;
    std::int64_t number(std::string_view name) const;
    std::vector<std::string> list(std::string_view name) const;

    Result<void> add(const Flag& flag, std::string_view value);

  private:
    const Flag& flag_of(std::string_view name) const;

    struct Entry {
        const Flag* flag;
        std::vector<std::string> values;
    };
    FlagTable table_;
    std::vector<Entry> entries_;
};

struct ParsedFlags {
    Values values;
    std::vector<std::string> args;
    bool help = false;
    std::string notice;  // for standard error, e.g. about -h
};

Result<ParsedFlags> parse_flags(FlagTable table, std::span<const std::string> args,
                                Interspersed interspersed);

// As Go's %q prints a string.
std::string quoted(std::string_view text);

}  // namespace coffer::cli
