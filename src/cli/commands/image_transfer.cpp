// coffer pull, push, load, save and import: images that travel.
#include <unistd.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/platforms.hpp"
#include "cli/commands/pulling.hpp"
#include "cli/commands/signing.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/user_config.hpp"

namespace coffer::cli {

namespace {

constexpr std::string_view kPlatformHelp = "Set platform if server is multi-platform capable";

constexpr std::array kPullFlags = {
    toggle("all-tags", 'a', "Download all tagged images in the repository"),
    with_default(toggle("disable-content-trust", 0, "Skip image verification"), "true", "true"),
    toggle("move-pin", 0, "Take what a pinned tag stands for now, and pin it to that"),
    text("platform", 0, kPlatformHelp),
    toggle("quiet", 'q', "Suppress verbose output"),
};
constexpr std::array kPushFlags = {
    toggle("all-tags", 'a', "Push all tags of an image to the repository"),
    with_default(toggle("disable-content-trust", 0, "Skip image signing"), "true", "true"),
    text("platform", 0,
         "Push a platform-specific manifest as a single-platform image to the registry"),
    toggle("quiet", 'q', "Suppress verbose output"),
    text("sign-key", 0, "Sign what is pushed with the private key in this file, which stays here"),
};
constexpr std::array kLoadFlags = {
    text("input", 'i', "Read from tar archive file, instead of STDIN"),
    text("platform", 0,
         "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., "
         "\"linux/amd64\")"),
    toggle("quiet", 'q', "Suppress the load output"),
};
constexpr std::array kSaveFlags = {
    text("output", 'o', "Write to a file, instead of STDOUT"),
    text("platform", 0,
         "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., "
         "\"linux/amd64\")"),
};
constexpr std::array kImportFlags = {
    list("change", 'c', nullptr, "Apply Dockerfile instruction to the created image"),
    text("message", 'm', "Set commit message for imported image"),
    text("platform", 0, kPlatformHelp),
};

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
                   quiet ? Show::Nothing : Show::Progress,
                   flags.is_set("move-pin") ? Pin::Moves : Pin::Stays));
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
    std::optional<trust::SigningKey> key;
    if (const std::string path = flags.text("sign-key"); !path.empty())
        key = TRY(load_signing_key(path));
    ApiCall request{.method = http::Method::Post,
                    .path = "/images/" + reference.name() + "/push",
                    .query = {{"tag", reference.tag}}};
    TRY(add_platform(request.query, flags));
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(reference.domain)));
    http::Response response = TRY(call.api.open(request));
    std::vector<std::pair<std::string, std::string>> pushed;  // tags and their digests
    TRY(show_progress(response, STDOUT_FILENO, quiet ? Show::Nothing : Show::Progress,
                      [&](const json::Value& aux) {
                          if (aux.find("Digest") != nullptr)
                              pushed.emplace_back(text_of(aux, "Tag"), text_of(aux, "Digest"));
                      }));
    for (const auto& [tag, digest] : pushed) {
        reference.tag = tag;
        if (key) TRY(sign_image(call, *key, reference, digest));
    }
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
    TRY(add_platform(request.query, call.flags));
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
    TRY(add_platform(query, call.flags));
    http::Response response = TRY(call.api.open(ApiCall{.path = "/images/get", .query = query}));
    ByteCounter counter(STDERR_FILENO, "Saving");
    const auto write = [&](int fd) {
        return receive(response, fd, [&](std::size_t bytes) { counter.add(bytes); });
    };
    TRY(write_whole(output, write));
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
