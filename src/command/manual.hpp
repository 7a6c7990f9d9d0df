#pragma once
// Manual pages in roff, made from the table of commands. Pure.

#include "command/command.hpp"

namespace coffer::command {

// The page of one command; `path` is "coffer container run".
std::string manual_page(const Command& command, std::string_view path);

// Text that roff takes as it is.
std::string roff(std::string_view text);

// Its page and those of all commands below it, as files of a folder man1.
struct Page {
    std::string file;  // "coffer-container-run.1"
    std::string text;
};
std::vector<Page> manual_pages(const Command& command, std::string_view path);

}  // namespace coffer::command
