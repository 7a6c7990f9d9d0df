// coffer volume. What docker has for cluster volumes alone is not there.
#include <algorithm>

#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/pruning.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kCreateFlags = {
    with_default(text("driver", 'd', "Specify volume driver name"), "local", "\"local\""),
    list("label", 0, &check_label, "Set metadata for a volume"),
    mapped(list("opt", 'o', nullptr, "Set driver specific options")),
};
constexpr std::array kListFlags = {
    filter_flag('f', "Provide filter values (e.g. \"dangling=true\")"),
    text("format", 0, kListFormatHelp),
    toggle("quiet", 'q', "Only display volume names"),
};
constexpr std::array kInspectFlags = {
    text("format", 'f', kInspectFormatHelp),
};
constexpr std::array kRemoveFlags = {
    toggle("force", 'f', "Force the removal of one or more volumes"),
};
constexpr std::array kPruneFlags = {
    toggle("all", 'a', "Remove all unused volumes, not just anonymous ones"),
    filter_flag(0, "Provide filter values (e.g. \"label=<label>\")"),
    toggle("force", 'f', "Do not prompt for confirmation"),
};

constexpr std::array kColumns = {
    Column{"Driver", "DRIVER"},
    Column{"Name", "VOLUME NAME"},
    Column{"Scope", "SCOPE"},
    Column{"Mountpoint", "MOUNTPOINT"},
    Column{"Labels", "LABELS"},
    Column{"Links", "LINKS"},
    Column{"Size", "SIZE"},
    Column{"Group", "GROUP"},
    Column{"Availability", "AVAILABILITY"},
    Column{"Status", "STATUS"},
};

std::string volume_path(std::string_view name) {
    return "/volumes/" + http::percent_encode(name);
}

Result<int> create(Invocation& call) {
    const Values& flags = call.flags;
    const json::Value reply =
        TRY(call.api.post("/volumes/create", {},
                          json::Object{{"Name", call.args.empty() ? std::string() : call.args[0]},
                                       {"Driver", flags.text("driver")},
                                       {"DriverOpts", string_map(flags.list("opt"))},
                                       {"Labels", string_map(flags.list("label"))}}));
    TRY(print_line(text_of(reply, "Name")));
    return 0;
}

}  // namespace

const std::span<const Column> kVolumeColumns = kColumns;

// What only a disk usage tells is "N/A" in a list, as with docker.
Row volume_row(const json::Value& volume) {
    const bool measured = volume.at_path("UsageData.Size") != nullptr;
    const json::Value* labels = volume.find("Labels");
    Row row;
    row.labels = labels != nullptr ? *labels : json::Value();
    row.fields = json::Object{
        {"Availability", "N/A"},
        {"Driver", text_of(volume, "Driver")},
        {"Group", "N/A"},
        {"Labels", joined_labels(row.labels)},
        {"Links", measured ? format("{}", int_of(volume, "UsageData.RefCount")) : "N/A"},
        {"Mountpoint", text_of(volume, "Mountpoint")},
        {"Name", text_of(volume, "Name")},
        {"Scope", text_of(volume, "Scope")},
        {"Size",
         measured ? human_size(static_cast<double>(int_of(volume, "UsageData.Size")), 4) : "N/A"},
        {"Status", "N/A"},
    };
    return row;
}

namespace {

Result<int> ls(Invocation& call) {
    const Values& flags = call.flags;
    Query query;
    add_filters(query, flags.list("filter"));
    const json::Value reply = TRY(call.api.get("/volumes", query));
    std::vector<Row> rows;
    for (const json::Value& volume : array_of(reply, "Volumes")) rows.push_back(volume_row(volume));
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        return text_of(a.fields, "Name") < text_of(b.fields, "Name");
    });
    TRY(print_list({kColumns, "{{.Driver}}\t{{.Name}}", "*formatter.volumeContext", "Name"},
                   flags.text("format"), flags.is_set("quiet") ? Quiet::Yes : Quiet::No, rows));
    return 0;
}

Result<int> inspect(Invocation& call) {
    return print_inspected(call.args, call.flags.text("format"),
                           [&](const std::string& name) -> Result<std::string> {
                               return call.api.text(ApiCall{.path = volume_path(name)});
                           });
}

Result<int> rm(Invocation& call) {
    Query query;
    if (call.flags.is_set("force")) query.emplace("force", "1");
    return one_by_one(call.args, [&](const std::string& name) -> Result<void> {
        TRY(call.api.remove(volume_path(name), query));
        return {};
    });
}

Result<int> prune_unused(Invocation& call) {
    const bool all = call.flags.is_set("all");
    std::vector<std::string> filters = call.flags.list("filter");
    if (all) filters.emplace_back("all=true");
    return prune(call,
                 {.object = "volume",
                  .title = "Volumes",
                  .what = format("{} volumes not used by at least one container",
                                 all ? "all" : "anonymous local")},
                 filters);
}

constexpr Command kCreateCommand{
    .name = "create",
    .arguments = "[OPTIONS] [VOLUME]",
    .summary = "Create a volume",
    .run = &create,
    .flags = {kCreateFlags},
    .max_args = 1,
};
constexpr Command kInspectCommand{
    .name = "inspect",
    .arguments = "[OPTIONS] VOLUME [VOLUME...]",
    .summary = "Display detailed information on one or more volumes",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Volumes,
};
constexpr Command kLsCommand{
    .name = "ls",
    .arguments = "[OPTIONS]",
    .summary = "List volumes",
    .run = &ls,
    .flags = {kListFlags},
    .other_names = "list",
};
constexpr Command kPruneCommand{
    .name = "prune",
    .arguments = "[OPTIONS]",
    .summary = "Remove unused local volumes",
    .run = &prune_unused,
    .flags = {kPruneFlags},
};
constexpr Command kRmCommand{
    .name = "rm",
    .arguments = "[OPTIONS] VOLUME [VOLUME...]",
    .summary =
        "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    .run = &rm,
    .flags = {kRemoveFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Volumes,
    .other_names = "remove",
};
constexpr std::array<const Command*, 11> kChildren = {&commands::kVolumeClone,
                                                      &kCreateCommand,
                                                      &commands::kVolumeDu,
                                                      &commands::kVolumeExport,
                                                      &commands::kVolumeImport,
                                                      &kInspectCommand,
                                                      &kLsCommand,
                                                      &kPruneCommand,
                                                      &commands::kVolumeRename,
                                                      &kRmCommand,
                                                      &commands::kVolumeSnapshot};

}  // namespace

constinit const Command commands::kVolume{
    .name = "volume",
    .arguments = {},
    .summary = "Manage volumes",
    .children = kChildren,
};

}  // namespace coffer::cli
