// coffer diff, export and commit.
#include <fcntl.h>
#include <unistd.h>

#include "base/id.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "oci/reference.hpp"
#include "sys/file.hpp"

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
        constexpr std::string_view kKinds = "CAD";
        const auto kind = static_cast<std::size_t>(int_of(change, "Kind"));
        out += kind < kKinds.size() ? kKinds[kind] : '?';
        out += " " + text_of(change, "Path") + "\n";
    }
    TRY(print(out));
    return 0;
}

Result<int> export_container(Invocation& call) {
    const std::string output = call.flags.text("output");
    TRY(refuse_terminal(output));
    const ApiCall request{.path = container_path(call.args[0], "/export")};
    if (output.empty()) {
        http::Response response = TRY(call.api.open(request));
        TRY(receive(response, STDOUT_FILENO));
        return 0;
    }
    // The whole or nothing: the file gets its name last.
    const std::string temporary = format("{}.{}", output, random_hex(8));
    const sys::Fd file = TRY_CONTEXT(sys::open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600),
                                     "failed to export container");
    const auto done = [&]() -> Result<void> {
        http::Response response = TRY(call.api.open(request));
        TRY(receive(response, file.get()));
        if (::rename(temporary.c_str(), output.c_str()) != 0) {
            return fail_errno("failed to export container: rename to '{}'", output);
        }
        return {};
    }();
    if (done) return 0;
    ::unlink(temporary.c_str());
    return fail(done.error());
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
