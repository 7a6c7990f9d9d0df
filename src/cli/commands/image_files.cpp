// coffer image diff, mount and unmount: the files of images without a container.
#include <filesystem>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kDiffFlags = {text("format", 0, kListFormatHelp)};
constexpr std::array kChangeColumns = {Column{"Kind", "KIND"}, Column{"Path", "PATH"}};
constexpr std::array kMountFlags = {
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Don't truncate output"),
};
constexpr std::array kMountColumns = {Column{"ID", "IMAGE ID"}, Column{"Names", "NAMES"},
                                      Column{"Path", "PATH"}};
constexpr std::array kUnmountFlags = {toggle("all", 'a', "Unmount all mounted images")};

// "coffer" for coffer's folder, a name elsewhere: paths are absolute.
std::string absolute(const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
}

Result<int> diff(Invocation& call) {
    Query query;
    if (call.args.size() > 1) query.emplace("base", call.args[1]);
    const json::Value changes =
        TRY(call.api.get("/coffer" + image_path(call.args[0], "/changes"), query));
    std::vector<Row> rows;
    for (const json::Value& change : array_of(changes, "")) {
        Row row;
        row.fields = json::Object{{"Kind", change_kind(change)}, {"Path", text_of(change, "Path")}};
        rows.push_back(std::move(row));
    }
    const std::string format = call.flags.text("format");
    TRY(print_list({kChangeColumns, "{{.Kind}}\t{{.Path}}", "*formatter.changeContext"},
                   format.empty() ? "{{.Kind}} {{.Path}}" : format, Quiet::No, rows));
    return 0;
}

Result<int> mount(Invocation& call) {
    if (!call.args.empty()) {
        Query query;
        if (call.args.size() > 1) query.emplace("path", absolute(call.args[1]));
        const json::Value mounted =
            TRY(call.api.post("/coffer" + image_path(call.args[0], "/mount"), query));
        TRY(print_line(text_of(mounted, "Path")));
        return 0;
    }
    const json::Value mounts = TRY(call.api.get("/coffer/images/mounts"));
    std::vector<Row> rows;
    for (const json::Value& one : array_of(mounts, "")) {
        const std::string id = text_of(one, "Image");
        Row row;
        row.fields = json::Object{{"ID", call.flags.is_set("no-trunc") ? id : short_id(id)},
                                  {"Names", join(words_of(one, "RepoTags"), ", ")},
                                  {"Path", text_of(one, "Path")}};
        rows.push_back(std::move(row));
    }
    TRY(print_list({kMountColumns, "{{.ID}}\t{{.Names}}\t{{.Path}}", "*formatter.mountContext"},
                   call.flags.text("format"), Quiet::No, rows));
    return 0;
}

Result<int> unmount(Invocation& call) {
    std::vector<std::string> targets = call.args;
    if (call.flags.is_set("all")) {
        const json::Value mounts = TRY(call.api.get("/coffer/images/mounts"));
        for (const json::Value& one : array_of(mounts, "")) targets.push_back(text_of(one, "Path"));
    } else if (targets.empty()) {
        return fail(Code::InvalidArgument, "name an image or a folder, or use --all");
    }
    for (const std::string& target : targets) {
        const bool path = target.starts_with('/') || target.starts_with('.');
        const json::Value done = TRY(call.api.post("/coffer/images/unmount",
                                                   {{"target", path ? absolute(target) : target}}));
        for (const json::Value& one : array_of(done, "")) TRY(print_line(text_of(one, "Path")));
    }
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kImageDiff{
    .name = "diff",
    .arguments = "[OPTIONS] IMAGE [BASE]",
    .summary = "Show what an image changes in another one, or in the layers below its topmost",
    .run = &diff,
    .flags = {kDiffFlags},
    .min_args = 1,
    .max_args = 2,
    .completes = Completes::Images,
};
constinit const Command kImageMount{
    .name = "mount",
    .arguments = "[OPTIONS] [IMAGE [FOLDER]]",
    .summary = "Mount an image on the host, read-only, or list those that are mounted",
    .run = &mount,
    .flags = {kMountFlags},
    .max_args = 2,
    .completes = Completes::Images,
};
constinit const Command kImageUnmount{
    .name = "unmount",
    .arguments = "[OPTIONS] IMAGE|FOLDER...",
    .summary = "Unmount images",
    .run = &unmount,
    .flags = {kUnmountFlags},
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .other_names = "umount",
};

}  // namespace commands

}  // namespace coffer::cli
