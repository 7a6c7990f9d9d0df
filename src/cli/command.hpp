#pragma once
// The table of commands. It alone feeds the parsing of a command line, --help, the completion of
// shells and the manual pages. Constant data; an Invocation belongs to one thread.

#include <memory>

#include "cli/flags.hpp"

namespace coffer::cli {

class Api;
class UserConfig;
struct Invocation;

// Runs a command and returns the exit status. An error is printed by main, status 1.
using Handler = Result<int> (*)(Invocation& call);

enum class Completes { Nothing, Containers, RunningContainers, Images, Networks, Volumes, Files };

constexpr int kAnyNumber = -1;

struct Command {
    std::string_view name;
    std::string_view arguments;  // after the name in the usage line
    std::string_view summary;
    Handler run = nullptr;  // null: a group
    FlagTable flags = {};
    int min_args = 0;
    int max_args = 0;
    Completes completes = Completes::Nothing;
    Interspersed interspersed = Interspersed::Yes;
    // Every way to call it, without the program: "container run, run".
    std::string_view spellings = {};
    std::string_view other_names = {};  // "list,ps" of ls
    std::span<const Command* const> children = {};
    int common = 0;  // place among the common commands of the top level; 0: not one
    bool hidden = false;
};

struct Invocation {
    const Command& command;
    std::string path;  // "coffer container run"
    Values flags;
    std::vector<std::string> args;
    Api& api;
    UserConfig& config;
};

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

// "coffer run [OPTIONS] IMAGE [COMMAND] [ARG...]"
std::string use_line(const Command& command, std::string_view path);
// The text of --help for a terminal of `columns`.
std::string help_text(const Command& command, std::string_view path, std::size_t columns);
// The block of flags in it.
std::string flag_lines(const FlagTable& flags, std::size_t columns);
// The commands below a group that are not hidden, sorted by name.
std::vector<const Command*> visible_children(const Command& command);
const Command* find_child(const Command& command, std::string_view name);

}  // namespace coffer::cli
