// coffer volume clone, du, export, import, rename and snapshot: what docker has not.
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kExportFlags = {text("output", 'o', "Write to a file, instead of STDOUT")};
constexpr std::array kImportFlags = {
    text("input", 'i', "Read from a tar archive, plain or compressed, instead of STDIN")};
constexpr std::array kSnapshotFlags = {
    text("label", 0, "What follows the name of the volume, instead of the time")};
constexpr std::array kDuFlags = {text("format", 0, kListFormatHelp)};
constexpr std::array kDuColumns = {Column{"Name", "VOLUME NAME"}, Column{"Size", "SIZE"},
                                   Column{"Files", "FILES"}, Column{"Limit", "LIMIT"},
                                   Column{"Containers", "CONTAINERS"}};

std::string path_of(const Invocation& call, std::string_view verb) {
    return format("/coffer/volumes/{}/{}", http::percent_encode(call.args[0]), verb);
}

Result<int> export_volume(Invocation& call) {
    const std::string output = call.flags.text("output");
    TRY(refuse_terminal(output));
    http::Response response = TRY(call.api.open({.path = path_of(call, "export")}));
    const auto done = write_whole(output, [&](int fd) { return receive(response, fd); });
    if (!done) return wrap(done.error(), "failed to export volume");
    return 0;
}

Result<int> import_volume(Invocation& call) {
    const std::string input = call.flags.text("input");
    if (input.empty() && is_terminal(STDIN_FILENO))
        return fail(Code::InvalidArgument, "requested import from stdin, but stdin is empty");
    ApiCall request{.method = http::Method::Post, .path = path_of(call, "import")};
    request.headers.set("Content-Type", "application/x-tar");
    request.source = body_from(TRY(open_input(input)));
    TRY(call.api.ask(request));
    return 0;
}

Result<int> print_copy(const json::Value& copy) {
    for (const std::string& warning : words_of(copy, "Warnings")) warn_line("WARNING: " + warning);
    TRY(print_line(text_of(copy, "Name")));
    return 0;
}

Result<int> clone(Invocation& call) {
    return print_copy(TRY(call.api.post(path_of(call, "clone"), {{"to", call.args[1]}})));
}

Result<int> snapshot(Invocation& call) {
    Query query;
    const std::string label = call.flags.text("label");
    if (!label.empty()) query.emplace("label", label);
    return print_copy(TRY(call.api.post(path_of(call, "snapshot"), query)));
}

Result<int> rename(Invocation& call) {
    TRY(call.api.post(path_of(call, "rename"), {{"to", call.args[1]}}));
    return 0;
}

Result<int> du(Invocation& call) {
    const json::Value usage = TRY(call.api.get("/coffer/volumes/usage"));
    std::vector<Row> rows;
    const auto bytes = [](std::int64_t size) { return human_size(static_cast<double>(size), 4); };
    for (const json::Value& one : array_of(usage, "")) {
        if (!call.args.empty() &&
            std::find(call.args.begin(), call.args.end(), text_of(one, "Name")) == call.args.end())
            continue;
        const std::int64_t size = int_of(one, "Size");
        const std::int64_t files = int_of(one, "Files");
        const std::int64_t limit = int_of(one, "Limit");
        Row row;
        row.fields = json::Object{{"Name", text_of(one, "Name")},
                                  {"Size", size < 0 ? "N/A" : bytes(size)},
                                  {"Files", files < 0 ? "N/A" : format("{}", files)},
                                  {"Limit", limit == 0 ? "" : bytes(limit)},
                                  {"Containers", join(words_of(one, "Containers"), ",")}};
        rows.push_back(std::move(row));
    }
    TRY(print_list({kDuColumns, "{{.Name}}\t{{.Size}}\t{{.Files}}\t{{.Limit}}\t{{.Containers}}",
                    "*formatter.volumeContext", "Name"},
                   call.flags.text("format"), Quiet::No, rows));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kVolumeClone{
    .name = "clone",
    .arguments = "VOLUME NEW_VOLUME",
    .summary = "Copy a volume into a new one, sharing blocks where the file system can",
    .run = &clone,
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Volumes,
};
constinit const Command kVolumeDu{
    .name = "du",
    .arguments = "[OPTIONS] [VOLUME...]",
    .summary = "Show how much there is in volumes, how much may be, and who has them",
    .run = &du,
    .flags = {kDuFlags},
    .max_args = kAnyNumber,
    .completes = Completes::Volumes,
};
constinit const Command kVolumeExport{
    .name = "export",
    .arguments = "[OPTIONS] VOLUME",
    .summary = "Export the files of a volume as a tar archive",
    .run = &export_volume,
    .flags = {kExportFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Volumes,
};
constinit const Command kVolumeImport{
    .name = "import",
    .arguments = "[OPTIONS] VOLUME",
    .summary = "Import files from a tar archive into an empty or a new volume",
    .run = &import_volume,
    .flags = {kImportFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Volumes,
};
constinit const Command kVolumeRename{
    .name = "rename",
    .arguments = "VOLUME NEW_NAME",
    .summary = "Rename a volume that no container has",
    .run = &rename,
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Volumes,
};
constinit const Command kVolumeSnapshot{
    .name = "snapshot",
    .arguments = "[OPTIONS] VOLUME",
    .summary = "Copy a volume as it is now into one with the time in its name",
    .run = &snapshot,
    .flags = {kSnapshotFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Volumes,
};

}  // namespace commands

}  // namespace coffer::cli
