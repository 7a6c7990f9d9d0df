#include "cli/commands/pruning.hpp"

#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

Result<int> prune(Invocation& call, const Pruning& pruning,
                  const std::vector<std::string>& filters) {
    if (!call.flags.is_set("force") &&
        !TRY(confirm(format("WARNING! This will remove {}.\nAre you sure you want to continue?",
                            pruning.what)))) {
        return fail(Code::Cancelled, "{} prune has been cancelled", pruning.object);
    }
    Query query;
    add_filters(query, filters);
    const json::Value report = TRY(call.api.post(format("/{}s/prune", pruning.object), query));
    std::string out;
    for (const json::Value& item : array_of(report, format("{}Deleted", pruning.title)))
        out += (pruning.line != nullptr ? pruning.line(item) : template_text(item)) + "\n";
    if (!out.empty()) out = format("Deleted {}:\n{}\n", pruning.title, out);
    if (report.find("SpaceReclaimed") != nullptr)
        out += format("Total reclaimed space: {}\n",
                      human_size(static_cast<double>(int_of(report, "SpaceReclaimed")), 4));
    TRY(print(out));
    return 0;
}

}  // namespace coffer::cli
