// coffer system prune: containers, networks, volumes and images that nobody uses.
#include <algorithm>

#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/pruning.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("all", 'a', "Remove all unused images not just dangling ones"),
    typed("filter",
          list("filter", 0, &check_filter, "Provide filter values (e.g. \"label=<key>=<value>\")")),
    toggle("force", 'f', "Do not prompt for confirmation"),
    toggle("volumes", 0, "Prune anonymous volumes"),
};

Result<int> prune_all(Invocation& call) {
    const bool all = call.flags.is_set("all");
    const bool volumes = call.flags.is_set("volumes");
    const std::vector<std::string> filters = call.flags.list("filter");
    const bool by_time = std::any_of(filters.begin(), filters.end(), [](const std::string& filter) {
        return filter.starts_with("until=");
    });
    if (volumes && by_time) {
        return fail(Code::InvalidArgument,
                    "ERROR: The \"until\" filter is not supported with \"--volumes\"");
    }
    std::vector<Pruning> kinds = {
        {.object = "container", .title = "Containers", .what = "all stopped containers"},
        {.object = "network",
         .title = "Networks",
         .what = "all networks not used by at least one container"}};
    if (volumes) {
        kinds.push_back({.object = "volume",
                         .title = "Volumes",
                         .what = "all anonymous volumes not used by at least one container"});
    }
    kinds.push_back({.object = "image",
                     .title = "Images",
                     .what = all ? "all images without at least one container associated to them"
                                 : "all dangling images",
                     .line = &removed_line});
    std::string question = "WARNING! This will remove:\n";
    for (const Pruning& kind : kinds) question += format("  - {}\n", kind.what);
    if (!filters.empty()) {
        question += "\n  Items to be pruned will be filtered with:\n";
        for (const std::string& filter : filters) question += format("  - {}\n", filter);
    }
    question += "\nAre you sure you want to continue?";
    if (!call.flags.is_set("force") && !TRY(confirm(question))) return 0;
    std::int64_t space = 0;
    for (const Pruning& kind : kinds) {
        std::vector<std::string> wanted = filters;
        if (kind.object == "image") wanted.push_back(format("dangling={}", !all));
        const Pruned pruned = TRY(prune_kind(call.api, kind, wanted));
        TRY(print(pruned.text));
        space += pruned.space.value_or(0);
    }
    TRY(print_line(format("Total reclaimed space: {}", human_size(static_cast<double>(space), 4))));
    return 0;
}

}  // namespace

constinit const Command commands::kSystemPrune{
    .name = "prune",
    .arguments = "[OPTIONS]",
    .summary = "Remove unused data",
    .run = &prune_all,
    .flags = {kFlags},
};

}  // namespace coffer::cli
