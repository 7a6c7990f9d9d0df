#pragma once
// A container taken back to the options of `run` that make it: what its image says by itself is
// left out. Pure.

#include <string>
#include <vector>

#include "cli/flags.hpp"
#include "json/value.hpp"

namespace coffer::cli {

struct CreateOption {
    std::string flag;   // of create_request.hpp
    std::string value;  // "true" of a switch
};

struct CreateOptions {
    std::vector<CreateOption> flags;
    std::string image;
    std::vector<std::string> command;

    // The image and the command.
    std::vector<std::string> arguments() const;
};

// The engine's own annotation, which no option is for.
constexpr std::string_view kLevelNote = "coffer.security.level";

// From what inspect tells of the container and of its image.
CreateOptions create_options(const json::Value& container, const json::Value& image);

// Words as a shell reads them.
std::string shell_line(const std::vector<std::string>& words);

// As if they had been typed: added to others, or alone.
Result<void> add_options(Values& values, const std::vector<CreateOption>& options);
Result<Values> to_values(const std::vector<CreateOption>& options);

}  // namespace coffer::cli
