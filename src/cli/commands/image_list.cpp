// coffer images and history.
#include <map>
#include <set>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/platforms.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"
#include "cli/units.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("all", 'a', "Show all images (default hides intermediate images)"),
    toggle("digests", 0, "Show digests"),
    filter_flag('f', "Filter output based on conditions provided"),
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Don't truncate output"),
    toggle("quiet", 'q', "Only show image IDs"),
    toggle("tree", 0, "List multi-platform images as a tree (EXPERIMENTAL)"),
};

constexpr std::array kColumns = {
    Column{"ID", "IMAGE ID"},
    Column{"Repository", "REPOSITORY"},
    Column{"Tag", "TAG"},
    Column{"Digest", "DIGEST"},
    Column{"CreatedSince", "CREATED"},
    Column{"CreatedAt", "CREATED AT"},
    Column{"Size", "SIZE"},
    Column{"Containers", "CONTAINERS"},
    Column{"VirtualSize", "SIZE"},
    Column{"SharedSize", "SHARED SIZE"},
    Column{"UniqueSize", "UNIQUE SIZE"},
};
constexpr std::string_view kTable =
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}"
    "\t{{.Size}}";
constexpr std::string_view kTableWithDigest =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}"
    "{{else}}N/A{{end}}\t{{.Size}}";
constexpr std::string_view kRaw =
    "repository: {{ .Repository }}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\n"
    "virtual_size: {{.Size}}\n";

constexpr std::array kHistoryFlags = {
    text("format", 0, kListFormatHelp),
    with_default(toggle("human", 'H', "Print sizes and dates in human readable format"), "true",
                 "true"),
    toggle("no-trunc", 0, "Don't truncate output"),
    text("platform", 0,
         "Show history for the given platform. Formatted as \"os[/arch[/variant]]\" (e.g., "
         "\"linux/amd64\")"),
    toggle("quiet", 'q', "Only show image IDs"),
};
constexpr std::array kHistoryColumns = {
    Column{"ID", "IMAGE"},
    Column{"CreatedSince", "CREATED"},
    Column{"CreatedAt", "CREATED AT"},
    Column{"CreatedBy", "CREATED BY"},
    Column{"Size", "SIZE"},
    Column{"Comment", "COMMENT"},
};

std::string since(std::int64_t unix_time) {
    return human_duration(now() - Time(std::chrono::seconds(unix_time))) + " ago";
}

// A name an image is listed under.
struct Listed {
    std::string repository = "<none>";
    std::string tag = "<none>";
    std::string digest = "<none>";
};

std::vector<Listed> listed_names(const json::Value& item, bool with_digest, bool digest_rows) {
    std::vector<std::pair<std::string, std::string>> tags;
    std::map<std::string, std::vector<std::string>> digests;
    for (const json::Value& name : array_of(item, "RepoTags")) {
        const auto reference = oci::parse_reference_as_given(template_text(name));
        if (reference && !reference->tag.empty()) {
            tags.emplace_back(reference->familiar_name(), reference->tag);
        }
    }
    for (const json::Value& name : array_of(item, "RepoDigests")) {
        const auto reference = oci::parse_reference_as_given(template_text(name));
        if (reference && !reference->digest.empty()) {
            digests[reference->familiar_name()].push_back(reference->digest);
        }
    }
    if (tags.empty() && digests.empty()) return {Listed{}};
    std::vector<Listed> out;
    for (const auto& [repository, tag] : tags) {
        const auto own = digests.find(repository);
        if (!with_digest || own == digests.end()) {
            out.push_back({repository, tag, "<none>"});
        } else {
            for (const std::string& digest : own->second) {
                out.push_back({repository, tag, digest});
            }
        }
    }
    for (const auto& [repository, tag] : tags) digests.erase(repository);
    for (const auto& [repository, own] : digests) {
        if (!digest_rows) {
            out.push_back({repository, "<none>", ""});
            continue;
        }
        for (const std::string& digest : own) out.push_back({repository, "<none>", digest});
    }
    return out;
}

std::string size_or_none(std::int64_t bytes) {
    return bytes == -1 ? "N/A" : human_size(static_cast<double>(bytes), 4);
}

Row row_of(const json::Value& item, const Listed& name, bool cut_down) {
    const std::int64_t created = int_of(item, "Created");
    const std::int64_t size = int_of(item, "Size");
    const std::int64_t shared = int_of(item, "SharedSize");
    const std::int64_t containers = int_of(item, "Containers");
    const std::string id = text_of(item, "Id");
    Row row;
    row.fields = json::Object{
        {"Containers", containers == -1 ? "N/A" : format("{}", containers)},
        {"CreatedAt", local_time(created)},
        {"CreatedSince", since(created)},
        {"Digest", name.digest},
        {"ID", cut_down ? short_id(id) : id},
        {"Repository", name.repository},
        {"SharedSize", size_or_none(shared)},
        {"Size", human_size(static_cast<double>(size), 3)},
        {"Tag", name.tag},
        {"UniqueSize", size_or_none(size == -1 || shared == -1 ? -1 : size - shared)},
        {"VirtualSize", human_size(static_cast<double>(size), 4)},
    };
    // Only where it is asked for: docker has no such field.
    if (const auto used = parse_rfc3339(text_of(item, "LastUsedAt"))) {
        row.fields.set("LastUsed", since(unix_seconds(*used)));
        row.fields.set("LastUsedAt", local_time(unix_seconds(*used)));
    }
    return row;
}

// Each image with what its index has, one platform a line.
Result<int> image_tree(Invocation& call, Query query) {
    query.emplace("manifests", "1");
    const json::Value reply = TRY(call.api.get("/images/json", query));
    const bool cut_down = !call.flags.is_set("no-trunc");
    const auto size_of = [](std::int64_t bytes) {
        return human_size(static_cast<double>(bytes), 3);
    };
    std::string out = "IMAGE\tID\tDISK USAGE\tCONTENT SIZE\tEXTRA\n";
    const auto line = [&](const std::string& name, const std::string& id, std::int64_t total,
                          std::int64_t content, std::string_view extra) {
        out += format("{}\t{}\t{}\t{}\t{}\n", name, cut_down ? short_id(id) : id, size_of(total),
                      size_of(content), extra);
    };
    for (const json::Value& image : array_of(reply, "")) {
        std::vector<const json::Value*> shown;
        std::set<std::string> attested;
        std::int64_t total = 0;
        std::int64_t content = 0;
        bool used = false;
        for (const json::Value& manifest : array_of(image, "Manifests")) {
            total += int_of(manifest, "Size.Total");
            content += int_of(manifest, "Size.Content");
            if (text_of(manifest, "Kind") == "attestation")
                attested.insert(text_of(manifest, "AttestationData.For"));
            if (text_of(manifest, "Kind") != "image") continue;
            shown.push_back(&manifest);
            used = used || !array_of(manifest, "ImageData.Containers").empty();
        }
        std::vector<std::string> names = words_of(image, "RepoTags");
        if (names.empty()) names.emplace_back("<untagged>");
        for (const std::string& name : names)
            line(name, text_of(image, "Id"), total, content, used ? "in use" : "");
        for (const json::Value* manifest : shown) {
            oci::Platform platform;
            platform.os = text_of(*manifest, "ImageData.Platform.os");
            platform.architecture = text_of(*manifest, "ImageData.Platform.architecture");
            platform.variant = text_of(*manifest, "ImageData.Platform.variant");
            std::vector<std::string> extra;
            if (!bool_of(*manifest, "Available")) extra.emplace_back("not here");
            if (!array_of(*manifest, "ImageData.Containers").empty()) extra.emplace_back("in use");
            if (attested.contains(text_of(*manifest, "ID"))) extra.emplace_back("attested");
            line((manifest == shown.back() ? "└─ " : "├─ ") + oci::to_string(platform),
                 text_of(*manifest, "ID"), int_of(*manifest, "Size.Total"),
                 int_of(*manifest, "Size.Content"), join(extra, ", "));
        }
    }
    TRY(print(align_columns(out)));
    return 0;
}

Result<int> images(Invocation& call) {
    const Values& flags = call.flags;
    std::vector<std::string> filters = flags.list("filter");
    if (!call.args.empty()) filters.push_back("reference=" + call.args[0]);
    Query query;
    if (flags.is_set("all")) query.emplace("all", "1");
    add_filters(query, filters);
    if (flags.is_set("tree")) {
        for (const char* other : {"quiet", "format", "digests"}) {
            if (flags.given(other))
                return fail(Code::InvalidArgument, "--{} is not yet supported with --tree", other);
        }
        return image_tree(call, std::move(query));
    }
    std::string pattern = flags.text("format");
    if (pattern.find(".LastUsed") != std::string::npos) query.emplace("last-used", "1");
    const json::Value reply = TRY(call.api.get("/images/json", query));
    if (pattern == "raw") pattern = std::string(kRaw);
    const bool digests = flags.is_set("digests");
    const bool with_digest = digests || pattern.find("{{.Digest}}") != std::string::npos;
    std::vector<Row> rows;
    for (const json::Value& item : array_of(reply, "")) {
        for (const Listed& name : listed_names(item, with_digest, digests)) {
            rows.push_back(row_of(item, name, !flags.is_set("no-trunc")));
        }
    }
    TRY(print_list({kColumns, digests ? kTableWithDigest : kTable, "*formatter.imageContext"},
                   pattern, flags.is_set("quiet") ? Quiet::Yes : Quiet::No, rows));
    return 0;
}

Result<int> history(Invocation& call) {
    const Values& flags = call.flags;
    const bool human = flags.is_set("human");
    const bool cut_down = !flags.is_set("no-trunc");
    Query query;
    TRY(add_platform(query, flags));
    const json::Value reply = TRY(call.api.get(image_path(call.args[0], "/history"), query));
    std::vector<Row> rows;
    for (const json::Value& item : array_of(reply, "")) {
        const std::int64_t created = int_of(item, "Created");
        const std::string at = to_rfc3339_short(Time(std::chrono::seconds(created)));
        std::string by = text_of(item, "CreatedBy");
        std::replace(by.begin(), by.end(), '\t', ' ');
        const std::int64_t size = int_of(item, "Size");
        const std::string id = text_of(item, "Id");
        constexpr std::int64_t kEpoch = 946684800;  // 2000: older dates are placeholders
        Row row;
        row.fields = json::Object{
            {"Comment", text_of(item, "Comment")},
            {"CreatedAt", at},
            {"CreatedBy", cut_down ? ellipsis(by, 45) : by},
            {"CreatedSince", !human              ? at
                             : created <= kEpoch ? "N/A"
                                                 : since(created)},
            {"ID", cut_down ? short_id(id) : id},
            {"Size", human ? human_size(static_cast<double>(size), 3) : format("{}", size)},
        };
        rows.push_back(std::move(row));
    }
    const std::string_view table =
        human ? "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
              : "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
    TRY(print_list({kHistoryColumns, table, "*image.historyContext"}, flags.text("format"),
                   flags.is_set("quiet") ? Quiet::Yes : Quiet::No, rows));
    return 0;
}

constexpr std::string_view kSpellings = "image ls, image list, images";

}  // namespace

const std::span<const Column> kImageColumns = kColumns;

Row image_row(const json::Value& image, bool cut_down) {
    Listed name = listed_names(image, false, false).front();
    name.digest.clear();
    return row_of(image, name, cut_down);
}

namespace commands {

constinit const Command kImages{
    .name = "images",
    .arguments = "[OPTIONS] [REPOSITORY[:TAG]]",
    .summary = "List images",
    .run = &images,
    .flags = {kFlags},
    .max_args = 1,
    .completes = Completes::Images,
    .spellings = kSpellings,
    .common = 7,
};
constinit const Command kImageLs{
    .name = "ls",
    .arguments = "[OPTIONS] [REPOSITORY[:TAG]]",
    .summary = "List images",
    .run = &images,
    .flags = {kFlags},
    .max_args = 1,
    .completes = Completes::Images,
    .spellings = kSpellings,
    .other_names = "list",
};
constinit const Command kHistory{
    .name = "history",
    .arguments = "[OPTIONS] IMAGE",
    .summary = "Show the history of an image",
    .run = &history,
    .flags = {kHistoryFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Images,
    .spellings = "image history, history",
};

}  // namespace commands

}  // namespace coffer::cli
