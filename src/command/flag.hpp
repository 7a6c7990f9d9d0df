#pragma once
// The flags of a command, described by a table that feeds parsing, --help, completion and manual
// pages. Constant data; any thread.

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::command {

// Checks one value and returns the form to keep.
using Check = Result<std::string> (*)(std::string_view value);

struct Flag {
    std::string_view name;
    char shorthand = 0;     // 0: none
    std::string_view type;  // the word after the name in --help; empty for a switch
    std::string_view help;
    std::string_view default_value = {};
    Check check = nullptr;
    bool repeat = false;                  // keeps every value, else the last
    std::string_view same_as = {};        // another spelling of that flag, hidden
    std::string_view default_shown = {};  // as --help shows it; empty: not shown
    bool hidden = false;

    bool is_switch() const { return type.empty(); }
};

// Short ways to write the rows of a table.
constexpr Flag toggle(std::string_view name, char shorthand, std::string_view help) {
    return Flag{.name = name,
                .shorthand = shorthand,
                .type = {},
                .help = help,
                .default_value = {},
                .check = nullptr,
                .repeat = false,
                .same_as = {},
                .default_shown = {},
                .hidden = false};
}
constexpr Flag text(std::string_view name, char shorthand, std::string_view help) {
    Flag flag = toggle(name, shorthand, help);
    flag.type = "string";
    return flag;
}
constexpr Flag value(std::string_view type, std::string_view name, char shorthand, Check check,
                     std::string_view help) {
    Flag flag = toggle(name, shorthand, help);
    flag.type = type;
    flag.check = check;
    return flag;
}
constexpr Flag list(std::string_view name, char shorthand, Check check, std::string_view help) {
    Flag flag = value("list", name, shorthand, check, help);
    flag.repeat = true;
    return flag;
}
constexpr Flag other_spelling(std::string_view name, Flag of) {
    of.same_as = of.name;
    of.name = name;
    of.shorthand = 0;
    return of;
}
constexpr Flag with_default(Flag flag, std::string_view kept, std::string_view shown) {
    flag.default_value = kept;
    flag.default_shown = shown;
    return flag;
}
// Another word after the name in --help.
constexpr Flag typed(std::string_view type, Flag flag, std::string_view default_shown = {}) {
    flag.type = type;
    flag.default_shown = default_shown;
    return flag;
}
// A number whose default, 0, is not shown.
constexpr Flag counted(Flag flag) {
    return with_default(flag, "0", {});
}
// "key=value" words.
constexpr Flag mapped(Flag flag) {
    return typed("map", flag, "map[]");
}

// Two tables read as one; the second may be shared between commands.
struct FlagTable {
    std::span<const Flag> own;
    const std::span<const Flag>* shared = nullptr;

    // Both, for loops.
    std::array<std::span<const Flag>, 2> parts() const {
        return {own, shared != nullptr ? *shared : std::span<const Flag>()};
    }

    const Flag* find(std::string_view name) const;
    const Flag* find(char shorthand) const;
    // Sorted by name, without the hidden ones.
    std::vector<const Flag*> shown() const;
};

}  // namespace coffer::command
