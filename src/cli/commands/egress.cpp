// coffer egress: what containers may reach outside their networks, and what came of it.
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"

namespace coffer::cli {

namespace {

constexpr Flag kNetworkFlag =
    toggle("network", 0, "The name is that of a network, and the policy for all in it");
constexpr std::array kShowFlags = {
    text("format", 0, kListFormatHelp),
    kNetworkFlag,
};
constexpr std::array kSetFlags = {kNetworkFlag};
constexpr std::array kColumns = {
    Column{"Of", "OF"},
    Column{"Rule", "RULE"},
    Column{"Connections", "CONNECTIONS"},
    Column{"Policy", "POLICY"},
};

std::string path_of(const Invocation& call) {
    return format("/coffer/{}/{}/egress", call.flags.is_set("network") ? "networks" : "containers",
                  http::percent_encode(call.args[0]));
}

Result<int> show(Invocation& call) {
    const json::Value reply = TRY(call.api.get(path_of(call), {}));
    std::vector<Row> rows;
    const auto add = [&](const json::Value& report, const std::string& rule, std::int64_t count) {
        Row row;
        row.fields = json::Object{{"Of", text_of(report, "Of")},
                                  {"Policy", text_of(report, "Policy")},
                                  {"Rule", rule},
                                  {"Connections", format("{}", count)}};
        rows.push_back(std::move(row));
    };
    for (const json::Value& report : array_of(reply, "")) {
        for (const json::Value& rule : array_of(report, "Rules"))
            add(report, text_of(rule, "Rule"), int_of(rule, "Packets"));
        const json::Value* names = report.find("Names");
        if (names == nullptr || names->if_object() == nullptr) continue;
        for (const auto& [name, count] : *names->if_object())
            add(report, "name refused: " + name, count.to_int().value_or(0));
    }
    TRY(print_list({kColumns, "{{.Of}}\t{{.Rule}}\t{{.Connections}}", "*formatter.egressContext"},
                   call.flags.text("format"), Quiet::No, rows));
    return 0;
}

Result<int> set_policy(Invocation& call, const std::string& policy) {
    TRY(call.api.post(path_of(call), {}, json::Object{{"Policy", policy}}));
    TRY(print_line(call.args[0]));
    return 0;
}

Result<int> set(Invocation& call) {
    return set_policy(call, join({call.args.begin() + 1, call.args.end()}, " "));
}

Result<int> clear(Invocation& call) {
    return set_policy(call, "");
}

constexpr Command kShowCommand{
    .name = "show",
    .arguments = "[OPTIONS] CONTAINER|NETWORK",
    .summary = "Show the policies that a container meets, and how often each rule was met",
    .run = &show,
    .flags = {kShowFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Containers,
};
constexpr Command kSetCommand{
    .name = "set",
    .arguments = "[OPTIONS] CONTAINER|NETWORK RULE [RULE...]",
    .summary = "Put another policy in force, at once",
    .run = &set,
    .flags = {kSetFlags},
    .min_args = 2,
    .max_args = kAnyNumber,
    .completes = Completes::Containers,
};
constexpr Command kClearCommand{
    .name = "clear",
    .arguments = "[OPTIONS] CONTAINER|NETWORK",
    .summary = "Take the policy back",
    .run = &clear,
    .flags = {kSetFlags},
    .min_args = 1,
    .max_args = 1,
    .completes = Completes::Containers,
};
constexpr std::array kChildren = {&kClearCommand, &kSetCommand, &kShowCommand};

}  // namespace

constinit const Command commands::kEgress{
    .name = "egress",
    .arguments = "COMMAND",
    .summary = "Manage what containers may reach outside their networks",
    .children = kChildren,
};

}  // namespace coffer::cli
