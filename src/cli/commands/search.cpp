// coffer search.
#include <algorithm>

#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"
#include "cli/user_config.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    filter_flag('f', "Filter output based on conditions provided"),
    text("format", 0, "Pretty-print search using a Go template"),
    value("int", "limit", 0, &check_int, "Max number of search results"),
    toggle("no-trunc", 0, "Don't truncate output"),
};

constexpr std::array kColumns = {
    Column{"Name", "NAME"},
    Column{"Description", "DESCRIPTION"},
    Column{"StarCount", "STARS"},
    Column{"IsOfficial", "OFFICIAL"},
};
constexpr std::string_view kTable = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
constexpr std::size_t kDescriptionWidth = 45;

Result<int> search(Invocation& call) {
    const Values& flags = call.flags;
    Query query{{"term", call.args[0]}};
    if (flags.number("limit") > 0) query.emplace("limit", format("{}", flags.number("limit")));
    add_filters(query, flags.list("filter"));
    ApiCall request{.path = "/images/search", .query = query};
    // The login for the very host that the engine asks.
    const auto term = TRY(oci::parse_search_term(call.args[0]));
    request.headers.add("X-Registry-Auth", TRY(call.config.registry_auth(term.domain)));
    const json::Value reply = TRY(call.api.ask(request));
    const std::string pattern = flags.text("format");
    const auto shown = [&](bool value) {
        if (pattern == "json") return value ? "true" : "false";
        return value ? "[OK]" : "";
    };
    std::vector<Row> rows;
    for (const json::Value& one : array_of(reply, "")) {
        std::string description = text_of(one, "description");
        std::replace(description.begin(), description.end(), '\n', ' ');
        std::replace(description.begin(), description.end(), '\r', ' ');
        if (!flags.is_set("no-trunc")) description = ellipsis(description, kDescriptionWidth);
        Row row;
        row.fields = json::Object{
            {"Description", description},
            {"IsOfficial", shown(bool_of(one, "is_official"))},
            {"Name", text_of(one, "name")},
            {"StarCount", format("{}", int_of(one, "star_count"))},
        };
        rows.push_back(std::move(row));
    }
    TRY(print_list({kColumns, kTable, "*registry.searchContext", "Name"}, pattern, Quiet::No,
                   rows));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kSearch{
    .name = "search",
    .arguments = "[OPTIONS] TERM",
    .summary = "Search Docker Hub for images",
    .run = &search,
    .flags = {kFlags},
    .min_args = 1,
    .max_args = 1,
    .common = 10,
};

}  // namespace commands

}  // namespace coffer::cli
