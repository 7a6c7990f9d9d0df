#pragma once
// The commands of coffer, and its command line read by their table. Constant data; an Invocation
// belongs to one thread.

#include <memory>

#include "cli/flags.hpp"
#include "command/command.hpp"

namespace coffer {

namespace cli {
class Api;
class UserConfig;
}  // namespace cli

struct command::Invocation {
    const Command& command;
    std::string path;  // "coffer container run"
    cli::Values flags;
    std::vector<std::string> args;
    cli::Api& api;
    cli::UserConfig& config;
};

namespace cli {

using command::Command;
using command::Completes;
using command::Handler;
using command::Interspersed;
using command::Invocation;
using command::kAnyNumber;

// The root of the table: the global flags and all commands.
extern const Command kRoot;  // NOLINT(readability-identifier-naming): a constant

// What a command line asks for.
struct Parsed {
    const Command* command = nullptr;
    std::string path;
    Values globals;
    ParsedFlags flags;
};
// A usage error that is printed as it is; `status` is the exit status.
struct UsageError {
    std::string text;
    int status = 1;
};
struct ParseOutcome {
    std::optional<Parsed> parsed;
    UsageError error;
};
ParseOutcome parse_command_line(const Command& root, std::span<const std::string> args);

}  // namespace cli

}  // namespace coffer
