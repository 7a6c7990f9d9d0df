#pragma once
// What the prune commands have in common: ask first, prune, tell what is gone. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/api_client.hpp"
#include "cli/command.hpp"
#include "json/value.hpp"

namespace coffer::cli {

struct Pruning {
    std::string_view object;  // "network"
    std::string_view title;   // "Networks": of the list, and of "NetworksDeleted" in the report
    std::string what;         // "all stopped containers": completes "This will remove ..."
    std::string (*line)(const json::Value& item) = nullptr;  // of the list; the item's text if none
};

// "untagged: busybox:latest" of an image's report.
std::string removed_line(const json::Value& item);

// Without a question. What is told, and how many bytes are free again; nullopt where none is said.
struct Pruned {
    std::string text;
    std::optional<std::int64_t> space;
};
Result<Pruned> prune_kind(Api& api, const Pruning& pruning,
                          const std::vector<std::string>& filters);

// The command's flags have "force".
Result<int> prune(Invocation& call, const Pruning& pruning,
                  const std::vector<std::string>& filters);

}  // namespace coffer::cli
