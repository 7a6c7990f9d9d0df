// coffer system gc: removes the least recently used images now.
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("dry-run", 0, "Only list what would be removed"),
    text("format", 0, kListFormatHelp),
    text("to", 0,
         "How much may stay in use: a part of the file system (70%) or bytes of images (20g) "
         "(default: the engine's low watermark)"),
};
constexpr std::array kColumns = {
    Column{"Kind", "KIND"},          Column{"ID", "ID"},
    Column{"Names", "NAMES"},        Column{"Size", "SIZE"},
    Column{"LastUsed", "LAST USED"}, Column{"LastUsedAt", "LAST USED AT"},
    Column{"Reason", "REASON"},
};

Result<int> collect(Invocation& call) {
    Query query;
    if (call.flags.is_set("dry-run")) query.emplace("dry-run", "1");
    if (call.flags.given("to")) query.emplace("to", call.flags.text("to"));
    const json::Value reply = TRY(call.api.post("/coffer/system/gc", query, {}));
    const auto size_text = [](std::int64_t bytes) {
        return human_size(static_cast<double>(bytes), 4);
    };
    std::vector<Row> rows;
    std::int64_t sum = 0;
    for (const json::Value& item : array_of(reply, "Items")) {
        const std::string used = text_of(item, "LastUsed");
        const std::string names = join(words_of(item, "Names"), ", ");
        sum += int_of(item, "Size");
        Row row;
        row.fields = json::Object{{"ID", short_id(text_of(item, "Id"))},
                                  {"Kind", text_of(item, "Kind")},
                                  {"LastUsed", age_of(used)},
                                  {"LastUsedAt", used},
                                  {"Names", names.empty() ? "<none>" : names},
                                  {"Reason", text_of(item, "Reason")},
                                  {"Size", size_text(int_of(item, "Size"))}};
        rows.push_back(std::move(row));
    }
    const std::string pattern = call.flags.text("format");
    TRY(print_list(
        {kColumns, "{{.Kind}}\t{{.ID}}\t{{.Names}}\t{{.Size}}\t{{.LastUsed}}\t{{.Reason}}",
         "*formatter.systemGcContext"},
        pattern, Quiet::No, rows));
    if (!pattern.empty()) return 0;
    TRY(print_line(format("{}: {}", call.flags.is_set("dry-run") ? "Would reclaim" : "Reclaimed",
                          size_text(sum))));
    if (const std::int64_t missing = int_of(reply, "Missing"); missing > 0)
        warn_line(
            format("{} more than {} stay in use: all else is in use, kept by a rule, too "
                   "young, or not of images",
                   size_text(missing), text_of(reply, "Target")));
    return 0;
}

}  // namespace

constinit const Command commands::kSystemGc{
    .name = "gc",
    .arguments = "[OPTIONS]",
    .summary = "Remove the images that were not used for the longest time",
    .run = &collect,
    .flags = {kFlags},
};

}  // namespace coffer::cli
