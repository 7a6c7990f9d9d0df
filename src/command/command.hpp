#pragma once
// A program's table of commands. It alone feeds the parsing of a command line, --help, the
// completion of shells and the manual pages. Constant data, pure functions.

#include "command/flag.hpp"

namespace coffer::command {

// What a command of coffer is called with; it is defined there. coffer-oci calls its own otherwise.
struct Invocation;
// Runs a command and returns the exit status. An error is printed by main, status 1.
using Handler = Result<int> (*)(Invocation& call);

enum class Interspersed { No, Yes };

enum class Completes { Nothing, Containers, RunningContainers, Images, Networks, Volumes, Files };

constexpr int kAnyNumber = -1;

struct Command {
    std::string_view name;
    std::string_view arguments;  // after the name in the usage line
    std::string_view summary;
    Handler run = nullptr;
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
    std::string_view manual_end = {};  // roff, at the end of the manual page
    int manual_section = 1;            // 8 for what an administrator starts

    bool is_group() const { return !children.empty(); }
};

// "coffer run [OPTIONS] IMAGE [COMMAND] [ARG...]"
std::string use_line(const Command& command, std::string_view path);
// The text of --help for a terminal of `columns`.
std::string help_text(const Command& command, std::string_view path, std::size_t columns);
// The commands below a group that are not hidden, sorted by name.
std::vector<const Command*> visible_children(const Command& command);
const Command* find_child(const Command& command, std::string_view name);

// What is to be explained.
struct Topic {
    const Command* command;
    std::string path;  // "coffer container run"
};
Result<Topic> find_topic(const Command& root, std::span<const std::string> words);

}  // namespace coffer::command
