#pragma once
// Manual pages in roff, made from the table of commands. Pure.

#include "cli/command.hpp"

namespace coffer::cli {

// The page of one command; `path` is "coffer container run".
std::string manual_page(const Command& command, std::string_view path);

// "coffer-container-run"
std::string page_name(std::string_view path);

}  // namespace coffer::cli
