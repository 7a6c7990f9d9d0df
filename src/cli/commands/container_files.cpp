// coffer diff, export and commit.
#include <unistd.h>

#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kExportFlags = {
    text("output", 'o', "Write to a file, instead of STDOUT"),
};
constexpr std::array kCommitFlags = {
    text("author", 'a', "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
    list("change", 'c', nullptr, "Apply Dockerfile instruction to the created image"),
    text("message", 'm', "Commit message"),
    with_default(toggle("pause", 'p', "Pause container during commit"), "true", "true"),
};

Result<int> diff(Invocation& call) {
    const json::Value changes = TRY(call.api.get(container_path(call.args[0], "/changes")));
    std::string out;
    for (const json::Value& change : array_of(changes, "")) {
        out += change_kind(change) + " " + text_of(change, "Path") + "\n";
    }
    TRY(print(out));
    return 0;
}

Result<int> export_container(Invocation& call) {
    const std::string output = call.flags.text("output");
    TRY(refuse_terminal(output));
    const ApiCall request{.path = container_path(call.args[0], "/export")};
    http::Response response = TRY(call.api.open(request));
    const auto done = write_whole(output, [&](int fd) { return receive(response, fd); });
    if (!done) return wrap(done.error(), "failed to export container");
    return 0;
}

Result<int> commit(Invocation& call) {
    const Values& flags = call.flags;
    Query query{{"container", call.args[0]}};
    if (call.args.size() > 1) {
        const oci::Reference reference = TRY(oci::parse_reference(call.args[1]));
        query.emplace("repo", reference.name());
        query.emplace("tag", reference.tag);
    }
    for (const auto& [flag, parameter] : {std::pair("author", "author"), {"message", "comment"}}) {
        if (const std::string text = flags.text(flag); !text.empty()) {
            query.emplace(parameter, text);
        }
    }
    for (const std::string& change : flags.list("change")) query.emplace("changes", change);
    if (!flags.is_set("pause")) query.emplace("pause", "0");
    const json::Value made = TRY(call.api.post("/commit", query));
    TRY(print_line(text_of(made, "Id")));
    return 0;
}

}  // namespace

std::string change_kind(const json::Value& change) {
    constexpr std::string_view kKinds = "CAD";
    const auto kind = static_cast<std::size_t>(int_of(change, "Kind"));
    return std::string(1, kind < kKinds.size() ? kKinds[kind] : '?');
}

namespace commands {

constinit const Command kDiff{
    .name = "diff",
    .arguments = "CONTAINER",
    .summary = "Inspect changes to files or directories on a container's filesystem",
    .run = &diff,
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Containers,
    .spellings = "container diff, diff",
};
constinit const Command kExport{
    .name = "export",
    .arguments = "[OPTIONS] CONTAINER",
    .summary = "Export a container's filesystem as a tar archive",
    .run = &export_container,
    .flags = {kExportFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Containers,
    .spellings = "container export, export",
};
constinit const Command kCommit{
    .name = "commit",
    .arguments = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    .summary = "Create a new image from a container's changes",
    .run = &commit,
    .flags = {kCommitFlags},
    .min_args = 1,
    .max_args = 2,
    .completes = Completes::Containers,
    .interspersed = Interspersed::No,
    .spellings = "container commit, commit",
};

}  // namespace commands

}  // namespace coffer::cli
