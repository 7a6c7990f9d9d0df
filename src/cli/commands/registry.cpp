// coffer registry resolve: which hosts the engine asks for an image.
#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kResolveFlags = {
    text("format", 0, kListFormatHelp),
};
constexpr std::array kColumns = {
    Column{"URL", "URL"},           Column{"Capabilities", "CAPABILITIES"},
    Column{"Verified", "VERIFIED"}, Column{"Login", "LOGIN"},
    Column{"State", "STATE"},       Column{"Source", "SOURCE"},
};

Result<int> resolve(Invocation& call) {
    const json::Value reply =
        TRY(call.api.get("/coffer/registry/resolve", {{"reference", call.args[0]}}));
    for (const std::string& problem : words_of(reply, "Problems")) {
        warn_line("WARNING: " + problem);
    }
    if (const std::string rule = text_of(reply, "BlockedBy"); !rule.empty()) {
        const std::string why = text_of(reply, "Message");
        return fail(Code::Forbidden, "{} is blocked by {}{}{}", text_of(reply, "Reference"), rule,
                    why.empty() ? "" : ": ", why);
    }
    std::vector<Row> rows;
    for (const json::Value& host : array_of(reply, "Hosts")) {
        Row row;
        row.fields = json::Object{{"URL", text_of(host, "URL")},
                                  {"Address", text_of(host, "Address")},
                                  {"Repository", text_of(host, "Repository")},
                                  {"Capabilities", join(words_of(host, "Capabilities"), ",")},
                                  {"Verified", bool_of(host, "Insecure") ? "no" : "yes"},
                                  {"Login", text_of(host, "Login")},
                                  {"State", bool_of(host, "PassedOver") ? "failed" : "ok"},
                                  {"Source", text_of(host, "Source")}};
        rows.push_back(std::move(row));
    }
    TRY(print_list(
        {kColumns,
         "{{.URL}}\t{{.Capabilities}}\t{{.Verified}}\t{{.Login}}\t{{.State}}\t{{.Source}}",
         "*formatter.registryHostContext", "URL"},
        call.flags.text("format"), Quiet::No, rows));
    return 0;
}

constinit const Command kResolve{
    .name = "resolve",
    .arguments = "[OPTIONS] IMAGE",
    .summary = "Show which hosts are asked for an image, in order, and by which rule",
    .run = &resolve,
    .flags = {kResolveFlags},
    .min_args = 1,
    .max_args = 1,
};

constinit const std::array kRegistryCommands = {&kResolve};

}  // namespace

constinit const Command commands::kRegistry{
    .name = "registry",
    .arguments = {},
    .summary = "Manage registries",
    .children = kRegistryCommands,
};

}  // namespace coffer::cli
