// coffer system check: what on the engine's disk, and of its runs, belongs to nothing or is
// damaged.
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("deep", 0, "Read every blob and compare its digest"),
    text("format", 0, kListFormatHelp),
    toggle("repair", 0, "Remove what belongs to nothing"),
};
constexpr std::array kColumns = {
    Column{"Kind", "KIND"},
    Column{"Object", "OBJECT"},
    Column{"Problem", "PROBLEM"},
    Column{"Repaired", "REPAIRED"},
};

// The status is 1 while something is left to do.
Result<int> check(Invocation& call) {
    Query query;
    for (const char* name : {"deep", "repair"}) {
        if (call.flags.is_set(name)) query.emplace(name, "1");
    }
    const json::Value reply = TRY(call.api.post("/coffer/system/check", query, {}));
    std::vector<Row> rows;
    bool is_well = true;
    for (const json::Value& finding : array_of(reply, "Findings")) {
        const bool done = bool_of(finding, "Repaired");
        is_well = is_well && done;
        Row row;
        row.fields = json::Object{{"Kind", text_of(finding, "Kind")},
                                  {"Object", text_of(finding, "Object")},
                                  {"Problem", text_of(finding, "Problem")},
                                  {"Repaired", done ? "yes" : "no"}};
        rows.push_back(std::move(row));
    }
    if (rows.empty() && call.flags.text("format").empty()) {
        TRY(print_line("Nothing is wrong."));
        return 0;
    }
    TRY(print_list({kColumns, "{{.Kind}}\t{{.Object}}\t{{.Problem}}\t{{.Repaired}}",
                    "*formatter.systemCheckContext", "Object"},
                   call.flags.text("format"), Quiet::No, rows));
    return is_well ? 0 : 1;
}

}  // namespace

constinit const Command commands::kSystemCheck{
    .name = "check",
    .arguments = "[OPTIONS]",
    .summary = "Find what was left behind or is damaged, and remove what belongs to nothing",
    .run = &check,
    .flags = {kFlags},
};

}  // namespace coffer::cli
