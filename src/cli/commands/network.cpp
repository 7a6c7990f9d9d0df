// coffer network.
#include <arpa/inet.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/create_request.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/pruning.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kCreateFlags = {
    toggle("attachable", 0, "Enable manual container attachment"),
    mapped(
        list("aux-address", 0, nullptr, "Auxiliary IPv4 or IPv6 addresses used by Network driver")),
    with_default(text("driver", 'd', "Driver to manage the Network"), "bridge", "\"bridge\""),
    typed("strings", list("gateway", 0, nullptr, "IPv4 or IPv6 Gateway for the master subnet")),
    toggle("internal", 0, "Restrict external access to the network"),
    typed("strings", list("ip-range", 0, nullptr, "Allocate container ip from a sub-range")),
    with_default(text("ipam-driver", 0, "IP Address Management Driver"), "default", "\"default\""),
    mapped(list("ipam-opt", 0, nullptr, "Set IPAM driver specific options")),
    with_default(toggle("ipv4", 0, "Enable or disable IPv4 address assignment"), "true", "true"),
    toggle("ipv6", 0, "Enable or disable IPv6 address assignment"),
    list("label", 0, &check_label, "Set metadata on a network"),
    mapped(list("opt", 'o', nullptr, "Set driver specific options")),
    typed("strings",
          list("subnet", 0, nullptr, "Subnet in CIDR format that represents a network segment")),
};
constexpr std::array kListFlags = {
    filter_flag('f', "Provide filter values (e.g. \"driver=bridge\")"),
    text("format", 0, kListFormatHelp),
    toggle("no-trunc", 0, "Do not truncate the output"),
    toggle("quiet", 'q', "Only display network IDs"),
};
constexpr std::array kInspectFlags = {
    text("format", 'f', kInspectFormatHelp),
    toggle("verbose", 'v', "Verbose output for diagnostics"),
};
constexpr std::array kRemoveFlags = {
    toggle("force", 'f', "Do not error if the network does not exist"),
};
constexpr std::array kConnectFlags = {
    typed("strings", list("alias", 0, nullptr, "Add network-scoped alias for the container")),
    typed("strings", list("driver-opt", 0, nullptr, "driver options for the network")),
    with_default(value("int", "gw-priority", 0, &check_int,
                       "Highest gw-priority provides the default gateway. Accepts positive and "
                       "negative values."),
                 "0", {}),
    text("ip", 0, "IPv4 address (e.g., \"172.30.100.104\")"),
    text("ip6", 0, "IPv6 address (e.g., \"2001:db8::33\")"),
    list("link", 0, &check_link, "Add link to another container"),
    typed("strings",
          list("link-local-ip", 0, nullptr, "Add a link-local address for the container")),
};
constexpr std::array kDisconnectFlags = {
    toggle("force", 'f', "Force the container to disconnect from a network"),
};
constexpr std::array kPruneFlags = {
    filter_flag(0, "Provide filter values (e.g. \"until=<timestamp>\")"),
    toggle("force", 'f', "Do not prompt for confirmation"),
};

constexpr std::array kColumns = {
    Column{"ID", "NETWORK ID"},     Column{"Name", "NAME"},     Column{"Driver", "DRIVER"},
    Column{"Scope", "SCOPE"},       Column{"IPv4", "IPV4"},     Column{"IPv6", "IPV6"},
    Column{"Internal", "INTERNAL"}, Column{"Labels", "LABELS"}, Column{"CreatedAt", "CREATED AT"},
};

std::string network_path(std::string_view name, std::string_view rest = {}) {
    return format("/networks/{}{}", http::percent_encode(name), rest);
}

// "a,b" values of a repeatable flag, one by one (pflag's string slices).
std::vector<std::string> each(const Values& flags, std::string_view name) {
    std::vector<std::string> out;
    for (const std::string& word : flags.list(name)) {
        for (std::string& part : split(word, ',')) out.push_back(std::move(part));
    }
    return out;
}

struct Bits {
    std::array<unsigned char, 16> bytes{};
    std::size_t size = 0;  // 4 or 16 bytes; 0: no address
};

Bits address_bits(const std::string& text) {
    Bits out;
    if (::inet_pton(AF_INET, text.c_str(), out.bytes.data()) == 1) {
        out.size = 4;
    } else if (::inet_pton(AF_INET6, text.c_str(), out.bytes.data()) == 1) {
        out.size = 16;
    }
    return out;
}

// True if the address, or the subnet "10.0.0.0/8", lies in `subnet`.
Result<bool> subnet_holds(const std::string& subnet, const std::string& address) {
    const auto sides = cut(subnet, "/");
    const std::string_view length = sides ? sides->second : std::string_view();
    const std::uint64_t prefix = parse_uint(length).value_or(~std::uint64_t{0});
    const Bits base = address_bits(std::string(sides ? sides->first : std::string_view()));
    const Bits inside = address_bits(address.substr(0, address.find('/')));
    if (base.size == 0 || prefix > base.size * 8) {
        return fail(Code::InvalidArgument, "invalid subnet {}: invalid CIDR address: {}", subnet,
                    subnet);
    }
    if (inside.size == 0) {
        return fail(Code::InvalidArgument, "invalid CIDR address: {}", address);
    }
    if (inside.size != base.size) return false;
    for (std::size_t bit = 0; bit < prefix; ++bit) {
        const unsigned mask = 0x80U >> (bit % 8);
        if (((base.bytes[bit / 8] ^ inside.bytes[bit / 8]) & mask) != 0) return false;
    }
    return true;
}

Result<json::Value> ipam_of(const Values& flags) {
    const auto subnets = each(flags, "subnet");
    const auto ranges = each(flags, "ip-range");
    const auto gateways = each(flags, "gateway");
    if (subnets.size() < ranges.size() || subnets.size() < gateways.size()) {
        return fail(Code::InvalidArgument,
                    "every ip-range or gateway must have a corresponding subnet");
    }
    json::Array configs;
    for (const std::string& subnet : subnets) {
        json::Value config(json::Object{{"Subnet", subnet}});
        for (const std::string& range : ranges) {
            if (TRY(subnet_holds(subnet, range))) config.set("IPRange", range);
        }
        for (const std::string& gateway : gateways) {
            if (TRY(subnet_holds(subnet, gateway))) config.set("Gateway", gateway);
        }
        for (const std::string& word : flags.list("aux-address")) {
            const auto sides = cut(word, "=");
            if (!sides || !TRY(subnet_holds(subnet, std::string(sides->second)))) continue;
            if (config.find("AuxiliaryAddresses") == nullptr) {
                config.set("AuxiliaryAddresses", json::Object{});
            }
            config.find("AuxiliaryAddresses")->set(sides->first, sides->second);
        }
        configs.push_back(std::move(config));
    }
    return json::Value(json::Object{{"Driver", flags.text("ipam-driver")},
                                    {"Options", string_map(flags.list("ipam-opt"))},
                                    {"Config", std::move(configs)}});
}

Result<int> create(Invocation& call) {
    const Values& flags = call.flags;
    json::Value body{json::Object{}};
    body.set("Name", call.args[0]);
    body.set("Driver", flags.text("driver"));
    body.set("Scope", "");
    if (flags.given("ipv4")) body.set("EnableIPv4", flags.is_set("ipv4"));
    if (flags.given("ipv6")) body.set("EnableIPv6", flags.is_set("ipv6"));
    body.set("IPAM", TRY(ipam_of(flags)));
    body.set("Internal", flags.is_set("internal"));
    body.set("Attachable", flags.is_set("attachable"));
    body.set("Ingress", false);
    body.set("ConfigOnly", false);
    body.set("ConfigFrom", nullptr);
    body.set("Options", string_map(flags.list("opt")));
    body.set("Labels", string_map(flags.list("label")));
    const json::Value reply = TRY(call.api.post("/networks/create", {}, std::move(body)));
    if (const std::string warning = text_of(reply, "Warning"); !warning.empty()) {
        warn_line("WARNING: " + warning);
    }
    TRY(print_line(text_of(reply, "Id")));
    return 0;
}

Result<int> ls(Invocation& call) {
    const Values& flags = call.flags;
    Query query;
    add_filters(query, flags.list("filter"));
    const json::Value reply = TRY(call.api.get("/networks", query));
    std::vector<Row> rows;
    for (const json::Value& item : array_of(reply, "")) {
        const std::string id = text_of(item, "Id");
        const json::Value* labels = item.find("Labels");
        Row row;
        row.labels = labels != nullptr ? *labels : json::Value();
        row.fields = json::Object{
            {"CreatedAt", text_of(item, "Created")},
            {"Driver", text_of(item, "Driver")},
            {"ID", flags.is_set("no-trunc") ? id : short_id(id)},
            {"IPv4", format("{}", bool_of(item, "EnableIPv4"))},
            {"IPv6", format("{}", bool_of(item, "EnableIPv6"))},
            {"Internal", format("{}", bool_of(item, "Internal"))},
            {"Labels", joined_labels(row.labels)},
            {"Name", text_of(item, "Name")},
            {"Scope", text_of(item, "Scope")},
        };
        rows.push_back(std::move(row));
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        return text_of(a.fields, "Name") < text_of(b.fields, "Name");
    });
    TRY(print_list(
        {kColumns, "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}", "*network.networkContext"},
        flags.text("format"), flags.is_set("quiet") ? Quiet::Yes : Quiet::No, rows));
    return 0;
}

Result<int> inspect(Invocation& call) {
    Query query;
    if (call.flags.is_set("verbose")) query.emplace("verbose", "true");
    return print_inspected(
        call.args, call.flags.text("format"), [&](const std::string& name) -> Result<std::string> {
            return call.api.text(ApiCall{.path = network_path(name), .query = query});
        });
}

Result<int> rm(Invocation& call) {
    int status = 0;
    for (const std::string& name : call.args) {
        const Result<json::Value> removed = call.api.remove(network_path(name));
        if (removed) {
            TRY(print_line(name));
        } else if (call.flags.is_set("force") && removed.error().code == Code::NotFound) {
            continue;
        } else {
            warn_line(removed.error().message);
            status = 1;
        }
    }
    return status;
}

Result<int> connect(Invocation& call) {
    const Values& flags = call.flags;
    json::Value ipam(json::Object{});
    if (const std::string ip = flags.text("ip"); !ip.empty()) ipam.set("IPv4Address", ip);
    if (const std::string ip = flags.text("ip6"); !ip.empty()) ipam.set("IPv6Address", ip);
    if (const auto ips = each(flags, "link-local-ip"); !ips.empty()) {
        ipam.set("LinkLocalIPs", string_array(ips));
    }
    json::Value endpoint(json::Object{
        {"IPAMConfig", ipam},
        {"Links", string_array_or_null(flags.list("link"))},
        {"Aliases", string_array_or_null(each(flags, "alias"))},
        {"DriverOpts", string_map(each(flags, "driver-opt"))},
        {"GwPriority", flags.number("gw-priority")},
    });
    TRY(call.api.post(
        network_path(call.args[0], "/connect"), {},
        json::Object{{"Container", call.args[1]}, {"EndpointConfig", std::move(endpoint)}}));
    return 0;
}

Result<int> disconnect(Invocation& call) {
    TRY(call.api.post(
        network_path(call.args[0], "/disconnect"), {},
        json::Object{{"Container", call.args[1]}, {"Force", call.flags.is_set("force")}}));
    return 0;
}

Result<int> prune_unused(Invocation& call) {
    return prune(call,
                 {.object = "network",
                  .title = "Networks",
                  .what = "all custom networks not used by at least one container"},
                 call.flags.list("filter"));
}

constexpr Command kCreateCommand{
    .name = "create",
    .arguments = "[OPTIONS] NETWORK",
    .summary = "Create a network",
    .run = &create,
    .flags = {kCreateFlags},
    .min_args = 1,
    .max_args = 1,
};
constexpr Command kLsCommand{
    .name = "ls",
    .arguments = "[OPTIONS]",
    .summary = "List networks",
    .run = &ls,
    .flags = {kListFlags},
    .other_names = "list",
};
constexpr Command kInspectCommand{
    .name = "inspect",
    .arguments = "[OPTIONS] NETWORK [NETWORK...]",
    .summary = "Display detailed information on one or more networks",
    .run = &inspect,
    .flags = {kInspectFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Networks,
};
constexpr Command kRmCommand{
    .name = "rm",
    .arguments = "NETWORK [NETWORK...]",
    .summary = "Remove one or more networks",
    .run = &rm,
    .flags = {kRemoveFlags},
    .min_args = 1,
    .max_args = kAnyNumber,
    .completes = Completes::Networks,
    .other_names = "remove",
};
constexpr Command kConnectCommand{
    .name = "connect",
    .arguments = "[OPTIONS] NETWORK CONTAINER",
    .summary = "Connect a container to a network",
    .run = &connect,
    .flags = {kConnectFlags},
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Networks,
};
constexpr Command kDisconnectCommand{
    .name = "disconnect",
    .arguments = "[OPTIONS] NETWORK CONTAINER",
    .summary = "Disconnect a container from a network",
    .run = &disconnect,
    .flags = {kDisconnectFlags},
    .min_args = 2,
    .max_args = 2,
    .completes = Completes::Networks,
};
constexpr Command kPruneCommand{
    .name = "prune",
    .arguments = "[OPTIONS]",
    .summary = "Remove all unused networks",
    .run = &prune_unused,
    .flags = {kPruneFlags},
};
constexpr std::array<const Command*, 7> kChildren = {
    &kConnectCommand, &kCreateCommand, &kDisconnectCommand, &kInspectCommand,
    &kLsCommand,      &kPruneCommand,  &kRmCommand};

}  // namespace

constinit const Command commands::kNetwork{
    .name = "network",
    .arguments = {},
    .summary = "Manage networks",
    .children = kChildren,
};

}  // namespace coffer::cli
