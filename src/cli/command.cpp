#include "cli/command.hpp"

#include "base/text.hpp"

namespace coffer::cli {

namespace {

ParseOutcome usage_error(std::string text, int status) {
    return ParseOutcome{std::nullopt, UsageError{std::move(text), status}};
}

ParseOutcome flag_error(const Command& command, std::string_view path, const Error& error) {
    return usage_error(format("{}\n\nUsage:  {}\n\nRun '{} --help' for more information",
                              error.message, use_line(command, path), path),
                       125);
}

std::string plural(int count) {
    return count == 1 ? "argument" : "arguments";
}

// nullopt: the number of arguments is right.
std::optional<std::string> arity_error(const Command& command, std::string_view program,
                                       std::string_view path, std::size_t count) {
    const int given = static_cast<int>(count);
    const int least = command.min_args;
    const int most = command.max_args;
    if (given >= least && (most == kAnyNumber || given <= most)) return std::nullopt;
    std::string demand;
    std::string_view see = "Run";
    if (most == 0) {
        demand = "accepts no arguments";
    } else if (most == kAnyNumber) {
        demand = format("requires at least {} {}", least, plural(least));
        see = "See";
    } else if (most == least) {
        demand = format("requires {} {}", least, plural(least));
    } else if (least == 0) {
        demand = format("requires at most {} {}", most, plural(most));
    } else {
        demand = format("requires at least {} and at most {} {}", least, most, plural(most));
    }
    return format("{}: '{}' {}\n\nUsage:  {}\n\n{} '{} --help' for more information", program, path,
                  demand, use_line(command, path), see, path);
}

ParseOutcome unknown_command(std::string_view program, std::string_view path, std::string_view word,
                             bool is_root) {
    const std::string usage = is_root ? "" : format("Usage:  {}\n\n", path);
    return usage_error(
        format("{}: unknown command: {} {}\n\n{}Run '{} --help' for more information", program,
               path, word, usage, path),
        1);
}

}  // namespace

ParseOutcome parse_command_line(const Command& root, std::span<const std::string> args) {
    const std::string program(root.name);
    Result<ParsedFlags> globals = parse_flags(root.flags, args, Interspersed::No);
    if (!globals) return flag_error(root, program, globals.error());

    const Command* command = &root;
    std::string path = program;
    ParsedFlags flags = *globals;
    while (command->is_group() && !flags.help && !flags.args.empty()) {
        const std::string word = flags.args.front();
        const Command* child = find_child(*command, word);
        if (child == nullptr) {
            return unknown_command(program, path, word, command == &root);
        }
        path += " ";
        path += child->name;
        command = child;
        const std::vector<std::string> rest(flags.args.begin() + 1, flags.args.end());
        const Interspersed mode = child->is_group() ? Interspersed::No : child->interspersed;
        Result<ParsedFlags> parsed = parse_flags(child->flags, rest, mode);
        if (!parsed) return flag_error(*child, path, parsed.error());
        flags = *std::move(parsed);
    }
    if (!command->is_group() && !flags.help) {
        if (auto wrong = arity_error(*command, program, path, flags.args.size())) {
            return usage_error(*std::move(wrong), 1);
        }
    }
    return ParseOutcome{Parsed{command, path, globals->values, std::move(flags)}, {}};
}

}  // namespace coffer::cli
