#pragma once
// What the prune commands have in common: ask first, prune, tell what is gone. One thread.

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "json/value.hpp"

namespace coffer::cli {

struct Pruning {
    std::string_view object;  // "network"
    std::string_view title;   // "Networks": of the list, and of "NetworksDeleted" in the report
    std::string what;         // "all stopped containers": completes "This will remove ..."
    std::string (*line)(const json::Value& item) = nullptr;  // of the list; the item's text if none
};

// The command's flags have "force".
Result<int> prune(Invocation& call, const Pruning& pruning,
                  const std::vector<std::string>& filters);

}  // namespace coffer::cli
