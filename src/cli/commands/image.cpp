// coffer rmi, tag, image inspect, image prune, and the group "image".
#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/platforms.hpp"
#include "cli/commands/pruning.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kRemoveFlags = {
    toggle("force", 'f', "Force removal of the image"),
    toggle("no-prune", 0, "Do not delete untagged parents"),
    list("platform", 0, nullptr,
         "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., "
         "\"linux/amd64\")"),
};
constexpr std::array kInspectFlags = {
    text("format", 'f', kInspectFormatHelp),
    text("platform", 0,
         "Inspect a specific platform of the multi-platform image.\n"
         "If the image or the server is not multi-platform capable, the command will error out if "
         "the platform does not match.\n"
         "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
};
constexpr std::array kPruneFlags = {
    toggle("all", 'a', "Remove all unused images, not just dangling ones"),
    list("filter", 0, &check_filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    toggle("force", 'f', "Do not prompt for confirmation"),
};

Result<void> print_removed(const json::Value& report) {
    for (const json::Value& item : array_of(report, "")) {
        const std::string deleted = text_of(item, "Deleted");
        TRY(print_line(deleted.empty() ? "Untagged: " + text_of(item, "Untagged")
                                       : "Deleted: " + deleted));
    }
    return {};
}

Result<int> remove(Invocation& call) {
    const bool force = call.flags.is_set("force");
    Query query;
    if (force) query.emplace("force", "1");
    if (call.flags.is_set("no-prune")) query.emplace("noprune", "1");
    for (const std::string& platform : call.flags.list("platform"))
        query.emplace("platforms", TRY(platform_parameter(platform)));
    std::vector<std::string> errors;
    bool fatal = !force;
    for (const std::string& name : call.args) {
        const Result<json::Value> report = call.api.remove(image_path(name), query);
        if (report) {
            TRY(print_removed(*report));
            continue;
        }
        fatal = fatal || report.error().code != Code::NotFound;
        errors.push_back(report.error().message);
    }
    if (errors.empty()) return 0;
    if (fatal) return fail(Code::Internal, "{}", join(errors, "\n"));
    warn_line(join(errors, "\n"));
    return 0;
}

Result<int> tag(Invocation& call) {
    const auto target = oci::parse_reference(call.args[1]);
    if (!target || !target->digest.empty()) {
        return fail(
            Code::InvalidArgument,
            "Error parsing reference: {} is not a valid "
            "repository/tag: {}",
            quoted(call.args[1]),
            target ? "refusing to create a tag with a digest reference" : target.error().message);
    }
    TRY(call.api.post(image_path(call.args[0], "/tag"),
                      {{"repo", target->familiar_name()}, {"tag", target->tag}}));
    return 0;
}

Result<int> inspect(Invocation& call) {
    Query query;
    TRY(add_platform(query, call.flags));
    return print_inspected(
        call.args, call.flags.text("format"), [&](const std::string& name) -> Result<std::string> {
            return call.api.text(ApiCall{.path = image_path(name, "/json"), .query = query});
        });
}

Result<int> prune_unused(Invocation& call) {
    const bool all = call.flags.is_set("all");
    std::vector<std::string> filters = call.flags.list("filter");
    filters.push_back(format("dangling={}", !all));
    return prune(call,
                 {.object = "image",
                  .title = "Images",
                  .what = all ? "all images without at least one container associated to them"
                              : "all dangling images",
                  .line = &removed_line},
                 filters);
}

constexpr std::string_view kRemoveSpellings = "image rm, image remove, rmi";

}  // namespace

namespace commands {

constinit const Command kRmi{
    .name = "rmi",
    .arguments = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Remove one or more images",
    .run = &remove,
    .flags = {kRemoveFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .spellings = kRemoveSpellings,
};
constinit const Command kImageRm{
    .name = "rm",
    .arguments = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Remove one or more images",
    .run = &remove,
    .flags = {kRemoveFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .spellings = kRemoveSpellings,
    .other_names = "remove,rmi",
};
constinit const Command kTag{
    .name = "tag",
    .arguments = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    .summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    .run = &tag,
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Images,
    .spellings = "image tag, tag",
};
constinit const Command kImageInspect{
    .name = "inspect",
    .arguments = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Display detailed information on one or more images",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
};
constinit const Command kImagePrune{
    .name = "prune",
    .arguments = "[OPTIONS]",
    .summary = "Remove unused images",
    .run = &prune_unused,
    .flags = {kPruneFlags},
};

static constinit const std::array<const Command*, 21> kImageCommands = {
    &kImageDiff,      &kHistory,    &kImport,     &kImageInspect, &kLoad,       &kImageLs,
    &kImageMount,     &kPull,       &kImagePin,   &kImagePins,    &kImagePrune, &kPush,
    &kImageReferrers, &kImageRm,    &kSave,       &kImageSign,    &kTag,        &kImageTree,
    &kImageUnmount,   &kImageUnpin, &kImageVerify};
constinit const Command kImage{
    .name = "image",
    .arguments = {},
    .summary = "Manage images",
    .children = kImageCommands,
};

}  // namespace commands

}  // namespace coffer::cli
