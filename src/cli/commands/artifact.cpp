// coffer artifact: what registries keep under a name that is no image. Podman's grammar.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/id.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/units.hpp"
#include "cli/user_config.hpp"
#include "oci/reference.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kAddFlags = {
    list("annotation", 0, &check_label, "Set an annotation on each of the files"),
    toggle("append", 'a', "Append the files to the artifact that is there"),
    text("file-type", 0, "Media type of the files (default \"application/octet-stream\")"),
    toggle("replace", 0, "Replace the artifact that is there"),
    text("type", 0, "Type of the artifact (default \"application/vnd.unknown.artifact.v1\")"),
};
constexpr std::array kExtractFlags = {
    text("digest", 0, "Extract the file with that digest alone"),
    text("title", 0, "Extract the file with that title alone"),
};
constexpr std::array kInspectFlags = {text("format", 'f', kInspectFormatHelp)};
constexpr std::array kListFlags = {
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Don't truncate output"),
    toggle("quiet", 'q', "Only show digests"),
};
constexpr std::array kPullFlags = {toggle("quiet", 'q', "Suppress verbose output")};
constexpr std::array kPushFlags = {
    toggle("quiet", 'q', "Suppress verbose output"),
    text("subject", 0, "Push it as being about this image of the same repository"),
};
constexpr std::array kRemoveFlags = {toggle("all", 'a', "Remove all artifacts")};
constexpr std::array kReferrersFlags = {
    text("artifact-type", 0, "Only referrers of that type"),
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Don't truncate output"),
};

constexpr std::array kColumns = {
    Column{"Repository", "REPOSITORY"},
    Column{"Tag", "TAG"},
    Column{"Digest", "DIGEST"},
    Column{"Type", "TYPE"},
    Column{"Size", "SIZE"},
    Column{"Created", "CREATED"},
};
constexpr std::array kReferrerColumns = {
    Column{"Digest", "DIGEST"},
    Column{"Type", "TYPE"},
    Column{"Size", "SIZE"},
    Column{"MediaType", "MEDIA TYPE"},
    Column{"Annotations", "ANNOTATIONS"},
};

constexpr std::string_view kTitle = "org.opencontainers.image.title";

std::string artifact_path(const std::string& name, std::string_view rest) {
    return "/coffer/artifacts" + image_path(name, rest).substr(sizeof "/images" - 1);
}

// With the login for the registry of the name.
Result<ApiCall> with_login(const Invocation& call, const std::string& name, ApiCall request) {
    const auto reference = TRY(oci::parse_reference(name));
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(reference.domain)));
    return request;
}

Result<int> transfer(Invocation& call, std::string_view verb, const Query& query) {
    const std::string& name = call.args[0];
    const ApiCall request = TRY(with_login(
        call, name,
        {.method = http::Method::Post, .path = artifact_path(name, verb), .query = query}));
    http::Response response = TRY(call.api.open(request));
    const bool quiet = call.flags.is_set("quiet");
    TRY(show_progress(response, STDOUT_FILENO, quiet ? Show::Nothing : Show::Progress));
    if (quiet) TRY(print_line(name));
    return 0;
}

Result<int> pull(Invocation& call) {
    return transfer(call, "/pull", {});
}

Result<int> push(Invocation& call) {
    Query query;
    if (const std::string subject = call.flags.text("subject"); !subject.empty())
        query.emplace("subject", subject);
    return transfer(call, "/push", query);
}

// The files one after the other.
class Files {
  public:
    // FILE or FILE:MEDIATYPE, where there is no file of that name.
    Result<void> add(std::string path, Query& query) {
        std::string type;
        if (const auto colon = path.rfind(':'); colon != std::string::npos &&
                                                path.find('/', colon) != std::string::npos &&
                                                !std::filesystem::exists(path)) {
            type = path.substr(colon + 1);
            path.resize(colon);
        }
        query.emplace("mediaType", type);
        sys::Fd file = TRY(sys::open_file(path, O_RDONLY));
        struct stat status {};
        if (::fstat(file.get(), &status) != 0) return fail_errno("stat '{}'", path);
        if (!S_ISREG(status.st_mode))
            return fail(Code::InvalidArgument, "'{}' is no regular file", path);
        query.emplace("title", std::filesystem::path(path).filename().string());
        query.emplace("size", format("{}", status.st_size));
        files_.push_back(std::move(file));
        return {};
    }
    Result<std::size_t> read(char* to, std::size_t size) {
        while (next_ < files_.size()) {
            const std::size_t n = TRY(read_some(files_[next_].get(), to, size));
            if (n > 0) return n;
            ++next_;
        }
        return std::size_t{0};
    }

  private:
    std::vector<sys::Fd> files_;
    std::size_t next_ = 0;
};

Result<int> add(Invocation& call) {
    const Values& flags = call.flags;
    if (flags.is_set("append") && (flags.given("type") || flags.is_set("replace")))
        return fail(Code::InvalidArgument, "--append goes neither with --type nor with --replace");
    Query query;
    for (const auto& [flag, parameter] : {std::pair("type", "type"), {"file-type", "fileType"}}) {
        if (const std::string value = flags.text(flag); !value.empty())
            query.emplace(parameter, value);
    }
    for (const char* name : {"append", "replace"}) {
        if (flags.is_set(name)) query.emplace(name, "1");
    }
    for (const std::string& one : flags.list("annotation")) query.emplace("annotation", one);
    // Shared by the copies of the function that reads them.
    const auto files = std::make_shared<Files>();
    for (std::size_t i = 1; i < call.args.size(); ++i) TRY(files->add(call.args[i], query));
    const json::Value added = TRY(call.api.ask(
        {.method = http::Method::Post,
         .path = artifact_path(call.args[0], "/add"),
         .query = std::move(query),
         .source = [files](char* to, std::size_t size) { return files->read(to, size); }}));
    TRY(print_line(text_of(added, "Digest")));
    return 0;
}

Result<int> list_all(Invocation& call) {
    const json::Value reply = TRY(call.api.get("/coffer/artifacts/json"));
    std::vector<Row> rows;
    for (const json::Value& one : array_of(reply, "")) {
        const auto name = TRY(oci::parse_reference_as_given(text_of(one, "Name")));
        const std::string digest = text_of(one, "Digest");
        if (const std::string error = text_of(one, "Error"); !error.empty())
            warn_line(format("artifact {} is damaged: {}", text_of(one, "Name"), error));
        const std::string age = age_of(text_of(one, "Created"));
        Row row;
        row.fields =
            json::Object{{"Repository", name.familiar_name()},
                         {"Tag", name.tag},
                         {"Digest", call.flags.is_set("no-trunc") ? digest : short_id(digest)},
                         {"Type", text_of(one, "Type")},
                         {"Size", human_size(static_cast<double>(int_of(one, "Size")), 3)},
                         {"Created", age.empty() ? "N/A" : age}};
        rows.push_back(std::move(row));
    }
    TRY(print_list({kColumns, "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.Created}}\t{{.Size}}",
                    "*formatter.artifactContext", "Digest"},
                   call.flags.text("format"), call.flags.is_set("quiet") ? Quiet::Yes : Quiet::No,
                   rows));
    return 0;
}

Result<int> inspect(Invocation& call) {
    return print_inspected(call.args, call.flags.text("format"),
                           [&](const std::string& name) -> Result<std::string> {
                               return call.api.text(ApiCall{.path = artifact_path(name, "/json")});
                           });
}

Result<int> remove(Invocation& call) {
    std::vector<std::string> names = call.args;
    if (call.flags.is_set("all")) {
        const json::Value reply = TRY(call.api.get("/coffer/artifacts/json"));
        for (const json::Value& one : array_of(reply, "")) names.push_back(text_of(one, "Name"));
    } else if (names.empty()) {
        return fail(Code::InvalidArgument, "name an artifact, or use --all");
    }
    for (const std::string& name : names) {
        const json::Value gone = TRY(call.api.remove(artifact_path(name, "")));
        TRY(print_line("Untagged: " + text_of(gone, "Untagged")));
        if (const std::string digest = text_of(gone, "Deleted"); !digest.empty())
            TRY(print_line("Deleted: " + digest));
    }
    return 0;
}

std::string title_of(const json::Value& layer) {
    const json::Value* annotations = layer.find("annotations");
    const json::Value* title = annotations == nullptr ? nullptr : annotations->find(kTitle);
    return title == nullptr ? "" : text_of(*title, "");
}

// What a registry calls a file is never more than a name in the folder that the user has named.
Result<std::string> file_name_of(const json::Value& layer) {
    std::string name = title_of(layer);
    if (name.empty()) {
        name = text_of(layer, "digest");
        std::replace(name.begin(), name.end(), ':', '-');
    }
    const bool bad = name.empty() || name == "." || name == ".." ||
                     std::any_of(name.begin(), name.end(), [](char c) {
                         return c == '/' || (c >= 0 && c < 0x20) || c == 0x7f;
                     });
    if (bad)
        return fail(Code::InvalidArgument, "the title {} is no name of a file", cli::quoted(name));
    return name;
}

// The whole file or nothing: it gets its name last, which no link can lead elsewhere.
Result<void> fetch(Invocation& call, const std::string& digest, int folder,
                   const std::string& name) {
    const std::string temporary = "." + random_hex(8);
    const sys::Fd file =
        TRY(sys::open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    auto done = [&]() -> Result<void> {
        http::Response response = TRY(call.api.open(
            {.path = artifact_path(call.args[0], "/blob"), .query = {{"digest", digest}}}));
        TRY(receive(response, file.get()));
        if (::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
            return fail_errno("write '{}'", name);
        return {};
    }();
    if (!done) ::unlinkat(folder, temporary.c_str(), 0);
    return done;
}

Result<int> extract(Invocation& call) {
    const std::string digest = call.flags.text("digest");
    const std::string title = call.flags.text("title");
    if (!digest.empty() && !title.empty())
        return fail(Code::InvalidArgument, "--digest and --title exclude each other");
    const json::Value artifact = TRY(call.api.get(artifact_path(call.args[0], "/json")));
    struct File {
        std::string digest;
        std::string name;
    };
    std::vector<File> files;
    for (const json::Value& layer : array_of(artifact, "Manifest.layers")) {
        const std::string own_digest = text_of(layer, "digest");
        if (!digest.empty() && own_digest != digest) continue;
        if (!title.empty() && title_of(layer) != title) continue;
        std::string name = TRY(file_name_of(layer));
        files.push_back({own_digest, std::move(name)});
    }
    if (files.empty()) return fail(Code::NotFound, "artifact {} has no such file", call.args[0]);
    const std::filesystem::path target(call.args[1]);
    if (std::filesystem::is_directory(target)) {
        const sys::Fd folder = TRY(sys::open_file(target.string(), O_PATH | O_DIRECTORY));
        for (const File& file : files) TRY(fetch(call, file.digest, folder.get(), file.name));
        return 0;
    }
    if (files.size() > 1)
        return fail(Code::InvalidArgument,
                    "the artifact consists of several files and '{}' is no folder: pick one with "
                    "--digest or --title",
                    call.args[1]);
    const std::string parent = target.has_parent_path() ? target.parent_path().string() : ".";
    const sys::Fd folder = TRY(sys::open_file(parent, O_PATH | O_DIRECTORY));
    TRY(fetch(call, files.front().digest, folder.get(), target.filename().string()));
    return 0;
}

Result<int> referrers(Invocation& call) {
    Query query;
    if (const std::string type = call.flags.text("artifact-type"); !type.empty())
        query.emplace("type", type);
    const ApiCall request = TRY(
        with_login(call, call.args[0],
                   {.path = "/coffer" + image_path(call.args[0], "/referrers"), .query = query}));
    const json::Value reply = TRY(call.api.ask(request));
    std::vector<Row> rows;
    for (const json::Value& one : array_of(reply, "")) {
        const std::string digest = text_of(one, "digest");
        const json::Value* annotations = one.find("annotations");
        Row row;
        row.fields = json::Object{
            {"Digest", call.flags.is_set("no-trunc") ? digest : short_id(digest)},
            {"Type", text_of(one, "artifactType")},
            {"Size", human_size(static_cast<double>(int_of(one, "size")), 3)},
            {"MediaType", text_of(one, "mediaType")},
            {"Annotations", annotations == nullptr ? "" : joined_labels(*annotations)}};
        rows.push_back(std::move(row));
    }
    TRY(print_list({kReferrerColumns, "{{.Digest}}\t{{.Type}}\t{{.Size}}",
                    "*formatter.referrerContext", "Digest"},
                   call.flags.text("format"), Quiet::No, rows));
    return 0;
}

constinit const Command kAdd{
    .name = "add",
    .arguments = "[OPTIONS] NAME[:TAG] FILE[:MEDIATYPE] [FILE[:MEDIATYPE]...]",
    .summary = "Make an artifact of files",
    .run = &add,
    .flags = {kAddFlags},
    .min_args = 2,
    .max_args = kAnyNumber,
    .completes = Completes::Files,
};
constinit const Command kExtract{
    .name = "extract",
    .arguments = "[OPTIONS] ARTIFACT FILE|FOLDER",
    .summary = "Write the files of an artifact to a folder, or one of them to a file",
    .run = &extract,
    .flags = {kExtractFlags},
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Files,
};
constinit const Command kInspectOne{
    .name = "inspect",
    .arguments = "[OPTIONS] ARTIFACT [ARTIFACT...]",
    .summary = "Display detailed information on one or more artifacts",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
};
constinit const Command kLs{
    .name = "ls",
    .arguments = "[OPTIONS]",
    .summary = "List artifacts",
    .run = &list_all,
    .flags = {kListFlags},
    .other_names = "list",
};
constinit const Command kPullOne{
    .name = "pull",
    .arguments = "[OPTIONS] NAME[:TAG[@DIGEST]]",
    .summary = "Download an artifact from a registry",
    .run = &pull,
    .flags = {kPullFlags},
    .min_args = 1,
    .max_args = 1,
};
constinit const Command kPushOne{
    .name = "push",
    .arguments = "[OPTIONS] NAME[:TAG]",
    .summary = "Upload an artifact to a registry",
    .run = &push,
    .flags = {kPushFlags},
    .min_args = 1,
    .max_args = 1,
};
constinit const Command kRemoveSome{
    .name = "rm",
    .arguments = "[OPTIONS] ARTIFACT [ARTIFACT...]",
    .summary = "Remove one or more artifacts",
    .run = &remove,
    .flags = {kRemoveFlags},
    .max_args = kAnyNumber,
    .other_names = "remove",
};
constinit const std::array kArtifactCommands = {&kAdd,     &kExtract, &kInspectOne, &kLs,
                                                &kPullOne, &kPushOne, &kRemoveSome};

}  // namespace

namespace commands {

constinit const Command kArtifact{
    .name = "artifact",
    .arguments = {},
    .summary = "Manage artifacts: files that registries keep under a name",
    .children = kArtifactCommands,
};
constinit const Command kImageReferrers{
    .name = "referrers",
    .arguments = "[OPTIONS] IMAGE",
    .summary = "List what a registry has about an image: signatures, statements, other artifacts",
    .run = &referrers,
    .flags = {kReferrersFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Images,
};

}  // namespace commands

}  // namespace coffer::cli
