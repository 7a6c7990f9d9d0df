#include "command/manual.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace coffer::command {

// No escapes, no requests at the start of a line.
std::string roff(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (const char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        line_start = c == '\n';
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else {
            out += c;
        }
    }
    return out;
}

namespace {

std::string page_name(std::string_view path) {
    std::string out(path);
    std::replace(out.begin(), out.end(), ' ', '-');
    return out;
}

}  // namespace

std::string manual_page(const Command& command, std::string_view path) {
    const bool is_root = path.find(' ') == std::string_view::npos;
    std::string title = page_name(path);
    std::string upper;
    for (const char c : title) {
        upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    std::string out = format(".TH {} {} \"\" \"Coffer {}\" \"Coffer manual\"\n", roff(upper),
                             command.manual_section, COFFER_VERSION);
    out += format(".SH NAME\n{} \\- {}\n", roff(title), roff(command.summary));
    const std::string usage =
        command.is_group() ? format("{} [OPTIONS] COMMAND", path) : use_line(command, path);
    out += format(".SH SYNOPSIS\n.B {}\n", roff(usage));
    if (!command.spellings.empty()) {
        out += ".SH ALIASES\n";
        const std::string_view program = path.substr(0, path.find(' '));
        for (const std::string& one : split(command.spellings, ',')) {
            out += format("{} {}\n.br\n", program, roff(trim(one)));
        }
    }
    const std::vector<const Flag*> flags = command.flags.shown();
    if (!flags.empty())
        out += is_root && command.is_group() ? ".SH GLOBAL OPTIONS\n" : ".SH OPTIONS\n";
    for (const Flag* flag : flags) {
        out += ".TP\n";
        if (flag->shorthand != 0) out += format("\\fB\\-{}\\fR, ", flag->shorthand);
        out += format("\\fB\\-\\-{}\\fR", roff(flag->name));
        if (!flag->is_switch()) out += format(" \\fI{}\\fR", roff(flag->type));
        out += format("\n{}\n", roff(flag->help));
        if (!flag->default_shown.empty()) {
            out += format("(default {})\n", roff(flag->default_shown));
        }
    }
    const std::vector<const Command*> children = visible_children(command);
    if (!children.empty()) out += ".SH COMMANDS\n";
    for (const Command* child : children) {
        out += format(".TP\n\\fB{}\\fR\n{}\n", roff(child->name), roff(child->summary));
    }
    out += command.manual_end;
    if (!is_root) {
        const std::string_view parent = path.substr(0, path.rfind(' '));
        out += format(".SH SEE ALSO\n.BR {} (1)\n", roff(page_name(parent)));
    }
    return out;
}

std::vector<Page> manual_pages(const Command& command, std::string_view path) {
    std::vector<Page> pages{{page_name(path) + ".1", manual_page(command, path)}};
    for (const Command* child : visible_children(command)) {
        for (Page& page : manual_pages(*child, format("{} {}", path, child->name))) {
            pages.push_back(std::move(page));
        }
    }
    return pages;
}

}  // namespace coffer::command
