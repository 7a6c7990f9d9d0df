// coffer pull, push, load, save and import: images that travel.
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/pulling.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/user_config.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr std::string_view kPlatformHelp = "Set platform if server is multi-platform capable";

constexpr std::array kPullFlags = {
    toggle("all-tags", 'a', "Download all tagged images in the repository"),
    with_default(toggle("disable-content-trust", 0, "Skip image verification"), "true", "true"),
    text("platform", 0, kPlatformHelp),
    toggle("quiet", 'q', "Suppress verbose output"),
};
constexpr std::array kPushFlags = {
    toggle("all-tags", 'a', "Push all tags of an image to the repository"),
    with_default(toggle("disable-content-trust", 0, "Skip image signing"), "true", "true"),
    text("platform", 0,
         "Push a platform-specific manifest as a single-platform image to the registry"),
    toggle("quiet", 'q', "Suppress verbose output"),
};
constexpr std::array kLoadFlags = {
    text("input", 'i', "Read from tar archive file, instead of STDIN"),
    toggle("quiet", 'q', "Suppress the load output"),
};
constexpr std::array kSaveFlags = {
    text("output", 'o', "Write to a file, instead of STDOUT"),
};
constexpr std::array kImportFlags = {
    list("change", 'c', nullptr, "Apply Dockerfile instruction to the created image"),
    text("message", 'm', "Set commit message for imported image"),
    text("platform", 0, kPlatformHelp),
};

// A file or standard input as the body of a request.
std::function<Result<std::size_t>(char*, std::size_t)> body_from(std::shared_ptr<sys::Fd> file) {
    return [file = std::move(file)](char* to, std::size_t size) {
        return read_some(file->get(), to, size);
    };
}

Result<std::shared_ptr<sys::Fd>> open_input(const std::string& path) {
    if (path.empty() || path == "-") {
        return std::make_shared<sys::Fd>(TRY(sys::open_file("/dev/stdin", O_RDONLY)));
    }
    Result<sys::Fd> file = sys::open_file(path, O_RDONLY);
    if (!file) {
        return fail(file.error().code, "open {}: {}", path,
                    to_lower(errno_text(file.error().sys_errno)));
    }
    return std::make_shared<sys::Fd>(*std::move(file));
}

Result<int> pull(Invocation& call) {
    const Values& flags = call.flags;
    const bool quiet = flags.is_set("quiet");
    oci::Reference reference = TRY(oci::parse_reference_as_given(call.args[0]));
    const bool name_only = reference.tag.empty() && reference.digest.empty();
    if (flags.is_set("all-tags") && !name_only) {
        return fail(Code::InvalidArgument, "tag can't be used with --all-tags/-a");
    }
    if (!flags.is_set("all-tags") && name_only) {
        reference.tag = "latest";
        if (!quiet) TRY(print_line("Using default tag: latest"));
    }
    TRY(pull_image(call.api, call.config, reference, flags.text("platform"), STDOUT_FILENO,
                   quiet ? Show::Nothing : Show::Progress));
    TRY(print_line(reference.to_string()));
    return 0;
}

Result<int> push(Invocation& call) {
    const Values& flags = call.flags;
    const bool quiet = flags.is_set("quiet");
    oci::Reference reference = TRY(oci::parse_reference_as_given(call.args[0]));
    if (flags.is_set("all-tags") && !reference.tag.empty()) {
        return fail(Code::InvalidArgument, "tag can't be used with --all-tags/-a");
    }
    if (!flags.is_set("all-tags") && reference.tag.empty() && reference.digest.empty()) {
        reference.tag = "latest";
        if (!quiet) TRY(print_line("Using default tag: latest"));
    }
    ApiCall request{.method = http::Method::Post,
                    .path = "/images/" + reference.name() + "/push",
                    .query = {{"tag", reference.tag}}};
    if (const std::string platform = flags.text("platform"); !platform.empty())
        request.query.emplace("platform", platform);
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(reference.domain)));
    http::Response response = TRY(call.api.open(request));
    TRY(show_progress(response, STDOUT_FILENO, quiet ? Show::Nothing : Show::Progress));
    if (quiet) TRY(print_line(reference.to_string()));
    return 0;
}

Result<int> load(Invocation& call) {
    const std::string input = call.flags.text("input");
    if (input.empty() && is_terminal(STDIN_FILENO)) {
        return fail(Code::InvalidArgument, "requested load from stdin, but stdin is empty");
    }
    const bool quiet = call.flags.is_set("quiet") || !is_terminal(STDOUT_FILENO);
    ApiCall request{.method = http::Method::Post,
                    .path = "/images/load",
                    .query = {{"quiet", quiet ? "1" : "0"}}};
    request.headers.set("Content-Type", "application/x-tar");
    request.source = body_from(TRY(open_input(input)));
    http::Response response = TRY(call.api.open(request));
    TRY(show_progress(response, STDOUT_FILENO, Show::Progress));
    return 0;
}

Result<int> save(Invocation& call) {
    const std::string output = call.flags.text("output");
    TRY(refuse_terminal(output));
    Query query;
    for (const std::string& name : call.args) query.emplace("names", name);
    http::Response response = TRY(call.api.open(ApiCall{.path = "/images/get", .query = query}));
    sys::Fd file;
    if (!output.empty()) {
        file = TRY(sys::open_file(output, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    }
    TRY(receive(response, file ? file.get() : STDOUT_FILENO));
    return 0;
}

Result<int> import(Invocation& call) {
    const std::string& source = call.args[0];
    const bool remote = source.starts_with("http://") || source.starts_with("https://");
    ApiCall request{.method = http::Method::Post,
                    .path = "/images/create",
                    .query = {{"fromSrc", remote ? source : "-"}}};
    if (call.args.size() > 1) {
        TRY(oci::parse_reference(call.args[1]));
        request.query.emplace("repo", call.args[1]);
    }
    const Values& flags = call.flags;
    if (const std::string text = flags.text("message"); !text.empty()) {
        request.query.emplace("message", text);
    }
    if (const std::string text = flags.text("platform"); !text.empty()) {
        request.query.emplace("platform", to_lower(text));
    }
    for (const std::string& change : flags.list("change")) {
        request.query.emplace("changes", change);
    }
    if (!remote) {
        request.headers.set("Content-Type", "text/plain");
        request.source = body_from(TRY(open_input(source)));
    }
    http::Response response = TRY(call.api.open(request));
    TRY(show_progress(response, STDOUT_FILENO, Show::Progress));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kPull{
    .name = "pull",
    .arguments = "[OPTIONS] NAME[:TAG|@DIGEST]",
    .summary = "Download an image from a registry",
    .run = &pull,
    .flags = {kPullFlags},
    .min_args = 1,
    .max_args = 1,
    .spellings = "image pull, pull",
    .common = 5,
};
constinit const Command kPush{
    .name = "push",
    .arguments = "[OPTIONS] NAME[:TAG]",
    .summary = "Upload an image to a registry",
    .run = &push,
    .flags = {kPushFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Images,
    .spellings = "image push, push",
    .common = 6,
};
constinit const Command kLoad{
    .name = "load",
    .arguments = "[OPTIONS]",
    .summary = "Load an image from a tar archive or STDIN",
    .run = &load,
    .flags = {kLoadFlags},
    .completes = Completes::Files,
    .spellings = "image load, load",
};
constinit const Command kSave{
    .name = "save",
    .arguments = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
    .run = &save,
    .flags = {kSaveFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Images,
    .spellings = "image save, save",
};
constinit const Command kImport{
    .name = "import",
    .arguments = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    .summary = "Import the contents from a tarball to create a filesystem image",
    .run = &import,
    .flags = {kImportFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Files,
    .spellings = "image import, import",
};

}  // namespace commands

}  // namespace coffer::cli
