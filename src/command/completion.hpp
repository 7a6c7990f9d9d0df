#pragma once
// Completion for shells: a script asks the program itself, by its command __complete. Pure.

#include <functional>

#include "command/command.hpp"

namespace coffer::command {

// `shell` is bash, zsh or fish.
Result<std::string> completion_script(std::string_view program, std::string_view shell);

// Names of what a command works on.
using Names = std::function<std::vector<std::string>(Completes what)>;

// "word<tab>description", a line each, for what may follow; the last of `words` is at the cursor.
std::string completions(const Command& root, std::span<const std::string> words,
                        const Names& names);

}  // namespace coffer::command
