// coffer secret and coffer config: small files that containers are given in memory.
#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/archives.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/rows.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::size_t kLargest = 1000 * 1024;

constexpr std::array kCreateFlags = {list("label", 'l', &check_label, "Labels")};
constexpr std::array kListFlags = {
    filter_flag('f', "Filter output based on conditions provided"),
    text("format", 0, kListFormatHelp),
    toggle("quiet", 'q', "Only display IDs"),
};
constexpr std::array kInspectFlags = {text("format", 'f', kInspectFormatHelp)};
constexpr std::array kColumns = {Column{"ID", "ID"},
                                 Column{"Name", "NAME"},
                                 Column{"Driver", "DRIVER"},
                                 Column{"CreatedAt", "CREATED"},
                                 Column{"UpdatedAt", "UPDATED"},
                                 Column{"Labels", "LABELS"}};

enum class Kind : std::uint8_t { Secret, Config };

std::string path_of(Kind kind, std::string_view name = {}) {
    const std::string all = kind == Kind::Secret ? "/secrets" : "/configs";
    return name.empty() ? all : all + "/" + http::percent_encode(name);
}

Result<std::string> read_data(const std::string& path) {
    const auto input = TRY(open_input(path));
    return TRY_CONTEXT(sys::read_all(input->get(), kLargest), "read '{}'", path);
}

template <Kind kind>
Result<int> create(Invocation& call) {
    const std::string data = TRY(read_data(call.args.size() > 1 ? call.args[1] : "-"));
    const json::Value reply =
        TRY(call.api.post(path_of(kind, "create"), {},
                          json::Object{{"Name", call.args[0]},
                                       {"Labels", string_map(call.flags.list("label"))},
                                       {"Data", to_base64(data)}}));
    TRY(print_line(text_of(reply, "ID")));
    return 0;
}

template <Kind kind>
Result<int> ls(Invocation& call) {
    Query query;
    add_filters(query, call.flags.list("filter"));
    const json::Value all = TRY(call.api.get(path_of(kind), query));
    std::vector<Row> rows;
    for (const json::Value& one : array_of(all, "")) {
        const json::Value* labels = one.at_path("Spec.Labels");
        Row row;
        row.labels = labels != nullptr ? *labels : json::Value();
        row.fields = json::Object{{"ID", text_of(one, "ID")},
                                  {"Name", text_of(one, "Spec.Name")},
                                  {"Driver", ""},
                                  {"CreatedAt", age_of(text_of(one, "CreatedAt"))},
                                  {"UpdatedAt", age_of(text_of(one, "UpdatedAt"))},
                                  {"Labels", joined_labels(row.labels)}};
        rows.push_back(std::move(row));
    }
    const bool secret = kind == Kind::Secret;
    TRY(print_list({kColumns,
                    secret ? "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
                           : "{{.ID}}\t{{.Name}}\t{{.CreatedAt}}\t{{.UpdatedAt}}",
                    secret ? "*secret.secretContext" : "*config.configContext", "ID"},
                   call.flags.text("format"), call.flags.is_set("quiet") ? Quiet::Yes : Quiet::No,
                   rows));
    return 0;
}

template <Kind kind>
Result<int> inspect(Invocation& call) {
    return print_inspected(call.args, call.flags.text("format"),
                           [&](const std::string& name) -> Result<std::string> {
                               return call.api.text(ApiCall{.path = path_of(kind, name)});
                           });
}

template <Kind kind>
Result<int> rm(Invocation& call) {
    return one_by_one(call.args, [&](const std::string& name) -> Result<void> {
        TRY(call.api.remove(path_of(kind, name)));
        return {};
    });
}

template <Kind kind>
struct Commands {
    static constexpr bool kSecret = kind == Kind::Secret;
    static constexpr Command kCreate{
        .name = "create",
        .arguments = kSecret ? "[OPTIONS] SECRET [file|-]" : "[OPTIONS] CONFIG file|-",
        .summary = kSecret ? "Create a secret from a file or STDIN as content"
                           : "Create a config from a file or STDIN",
        .run = &create<kind>,
        .flags = {kCreateFlags},
        .min_args = kSecret ? 1 : 2,
        .max_args = 2,
    };
    static constexpr Command kInspect{
        .name = "inspect",
        .arguments = kSecret ? "[OPTIONS] SECRET [SECRET...]" : "[OPTIONS] CONFIG [CONFIG...]",
        .summary = kSecret ? "Display detailed information on one or more secrets"
                           : "Display detailed information on one or more configs",
        .run = &inspect<kind>,
        .flags = {kInspectFlags},
        .min_args = 1,
        .max_args = kAnyNumber,
    };
    static constexpr Command kLs{
        .name = "ls",
        .arguments = "[OPTIONS]",
        .summary = kSecret ? "List secrets" : "List configs",
        .run = &ls<kind>,
        .flags = {kListFlags},
        .other_names = "list",
    };
    static constexpr Command kRm{
        .name = "rm",
        .arguments = kSecret ? "SECRET [SECRET...]" : "CONFIG [CONFIG...]",
        .summary = kSecret ? "Remove one or more secrets" : "Remove one or more configs",
        .run = &rm<kind>,
        .min_args = 1,
        .max_args = kAnyNumber,
        .other_names = "remove",
    };
    static constexpr std::array<const Command*, 4> kChildren = {&kCreate, &kInspect, &kLs, &kRm};
};

}  // namespace

namespace commands {

constinit const Command kSecret{
    .name = "secret",
    .arguments = {},
    .summary = "Manage secrets",
    .children = Commands<Kind::Secret>::kChildren,
};
constinit const Command kConfig{
    .name = "config",
    .arguments = {},
    .summary = "Manage configs",
    .children = Commands<Kind::Config>::kChildren,
};

}  // namespace commands

}  // namespace coffer::cli
