#include "cli/commands/pruning.hpp"

#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

std::string removed_line(const json::Value& item) {
    const std::string untagged = text_of(item, "Untagged");
    return untagged.empty() ? "deleted: " + text_of(item, "Deleted") : "untagged: " + untagged;
}

Result<Pruned> prune_kind(Api& api, const Pruning& pruning,
                          const std::vector<std::string>& filters) {
    Query query;
    add_filters(query, filters);
    const json::Value report = TRY(api.post(format("/{}s/prune", pruning.object), query));
    Pruned pruned;
    for (const json::Value& item : array_of(report, format("{}Deleted", pruning.title)))
        pruned.text += (pruning.line != nullptr ? pruning.line(item) : template_text(item)) + "\n";
    if (!pruned.text.empty()) pruned.text = format("Deleted {}:\n{}\n", pruning.title, pruned.text);
    if (report.find("SpaceReclaimed") != nullptr) pruned.space = int_of(report, "SpaceReclaimed");
    return pruned;
}

Result<int> prune(Invocation& call, const Pruning& pruning,
                  const std::vector<std::string>& filters) {
    if (!call.flags.is_set("force") &&
        !TRY(confirm(format("WARNING! This will remove {}.\nAre you sure you want to continue?",
                            pruning.what)))) {
        return fail(Code::Cancelled, "{} prune has been cancelled", pruning.object);
    }
    const Pruned pruned = TRY(prune_kind(call.api, pruning, filters));
    TRY(print(pruned.text));
    if (pruned.space) {
        TRY(print_line(format("Total reclaimed space: {}",
                              human_size(static_cast<double>(*pruned.space), 4))));
    }
    return 0;
}

}  // namespace coffer::cli
