// The texts of --help, laid out as docker's (cobra's templates and pflag's wrapping).
#include <algorithm>
#include <tuple>

#include "base/text.hpp"
#include "command/command.hpp"

namespace coffer::command {

namespace {

// The first line of `text` with at most `width` bytes, or `slop` more if that ends it.
std::pair<std::string, std::string> first_line(std::string_view text, std::size_t width,
                                               std::size_t slop) {
    auto whole = std::pair{std::string(text), std::string()};
    if (width + slop > text.size()) return whole;
    const std::string_view head = text.substr(0, width);
    const std::size_t blank = head.find_last_of(" \t\n");
    if (blank == std::string_view::npos || blank == 0) return whole;
    const std::size_t newline = head.rfind('\n');
    const std::size_t at =
        newline != std::string_view::npos && newline > 0 && newline < blank ? newline : blank;
    return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::string indent_lines(std::string_view text, std::size_t indent) {
    std::string out;
    for (const char c : text) {
        out += c;
        if (c == '\n') out.append(indent, ' ');
    }
    return out;
}

std::string wrap(std::string_view text, std::size_t indent, std::size_t columns) {
    constexpr std::size_t kSlop = 5;
    constexpr std::size_t kLeast = 24;
    std::string out;
    std::size_t width = columns > indent ? columns - indent : 0;
    if (width < kLeast) {
        indent = 16;
        width = columns > indent ? columns - indent : 0;
        out = "\n" + std::string(indent, ' ');
    }
    if (width < kLeast) return indent_lines(text, indent);
    width -= kSlop;
    auto [line, rest] = first_line(text, width, kSlop);
    out += indent_lines(line, indent);
    while (!rest.empty()) {
        std::tie(line, rest) = first_line(std::string(rest), width, kSlop);
        out += "\n" + std::string(indent, ' ') + indent_lines(line, indent);
    }
    return out;
}

std::string command_list(std::string_view title, const std::vector<const Command*>& commands,
                         std::size_t width) {
    if (commands.empty()) return {};
    std::string out = format("\n\n{}:", title);
    for (const Command* command : commands) {
        out += format("\n  {:<{}} {}", command->name, width, command->summary);
    }
    return out;
}

std::string spellings(const Command& command, std::string_view path) {
    const std::string_view program = path.substr(0, path.find(' '));
    std::vector<std::string> out;
    if (!command.spellings.empty()) {
        for (const std::string& one : split(command.spellings, ',')) {
            out.push_back(format("{} {}", program, trim(one)));
        }
    } else if (!command.other_names.empty()) {
        const std::string_view parent = path.substr(0, path.rfind(' '));
        out.emplace_back(path);
        for (const std::string& other : split(command.other_names, ',')) {
            out.push_back(format("{} {}", parent, other));
        }
    }
    return join(out, ", ");
}

std::string flag_lines(const FlagTable& flags, std::size_t columns) {
    struct Line {
        std::string left;
        std::string right;
    };
    std::vector<Line> lines;
    std::size_t widest = 0;
    for (const Flag* flag : flags.shown()) {
        Line line;
        line.left = flag->shorthand != 0 ? format("  -{}, --{}", flag->shorthand, flag->name)
                                         : format("      --{}", flag->name);
        if (!flag->is_switch()) line.left += format(" {}", flag->type);
        line.right = std::string(flag->help);
        if (!flag->default_shown.empty()) {
            line.right += format(" (default {})", flag->default_shown);
        }
        widest = std::max(widest, line.left.size());
        lines.push_back(std::move(line));
    }
    std::string out;
    for (const Line& line : lines) {
        out += line.left + std::string(widest - line.left.size() + 3, ' ') +
               wrap(line.right, widest + 3, columns) + "\n";
    }
    return out;
}

}  // namespace

std::string help_text(const Command& command, std::string_view path, std::size_t columns) {
    const bool is_root = path.find(' ') == std::string_view::npos;
    const bool is_group = command.is_group();
    const std::string options = flag_lines(command.flags, columns - 1);
    std::string out =
        is_group ? format("Usage:  {}{} COMMAND", path, options.empty() ? "" : " [OPTIONS]")
                 : "Usage:  " + use_line(command, path);
    out += format("\n\n{}", command.summary);
    if (const std::string all = spellings(command, path); !all.empty()) {
        out += format("\n\nAliases:\n  {}", all);
    }
    const auto end_of = [](std::string_view text) {
        return text.substr(0, text.find_last_not_of(" \n") + 1);
    };
    if (!(is_root && is_group) && !options.empty())
        out += format("\n\nOptions:\n{}", end_of(options));
    if (is_group) {
        std::vector<const Command*> common;
        std::vector<const Command*> groups;
        std::vector<const Command*> plain;
        std::size_t width = 11;
        for (const Command* child : visible_children(command)) {
            width = std::max(width, child->name.size());
            (child->common != 0 ? common : child->is_group() ? groups : plain).push_back(child);
        }
        std::stable_sort(common.begin(), common.end(),
                         [](const Command* a, const Command* b) { return a->common < b->common; });
        if (!is_root) plain.insert(plain.begin(), common.begin(), common.end());
        if (!is_root)
            std::sort(plain.begin(), plain.end(),
                      [](const Command* a, const Command* b) { return a->name < b->name; });
        if (is_root) out += command_list("Common Commands", common, width);
        out += command_list("Management Commands", groups, width);
        out += command_list("Commands", plain, width);
        if (is_root) out += format("\n\nGlobal Options:\n{}", end_of(options));
        out += format("\n\nRun '{} COMMAND --help' for more information on a command.", path);
    }
    return out + "\n";
}

}  // namespace coffer::command
