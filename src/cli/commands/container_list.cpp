// coffer ps.
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/commands/rows.hpp"
#include "cli/live_view.hpp"
#include "cli/output.hpp"
#include "cli/units.hpp"
#include "cli/usage.hpp"
#include "oci/reference.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("all", 'a', "Show all containers (default shows just running)"),
    filter_flag('f', "Filter output based on conditions provided"),
    text("format", 0, kListFormatHelp),
    with_default(value("int", "last", 'n', &check_int,
                       "Show n last created containers (includes all states)"),
                 "-1", "-1"),
    toggle("latest", 'l', "Show the latest created container (includes all states)"),
    toggle("no-trunc", 0, "Don't truncate output"),
    toggle("quiet", 'q', "Only display container IDs"),
    toggle("size", 's', "Display total file sizes"),
    toggle("watch", 0, "Show them all over the terminal, with what they use, until q is typed"),
};

constexpr std::array kColumns = {
    Column{"ID", "CONTAINER ID"},
    Column{"Names", "NAMES"},
    Column{"Image", "IMAGE"},
    Column{"Command", "COMMAND"},
    Column{"CreatedAt", "CREATED AT"},
    Column{"RunningFor", "CREATED"},
    Column{"Ports", "PORTS"},
    Column{"State", "STATE"},
    Column{"Status", "STATUS"},
    Column{"Size", "SIZE"},
    Column{"Labels", "LABELS"},
    Column{"Mounts", "MOUNTS"},
    Column{"LocalVolumes", "LOCAL VOLUMES"},
    Column{"Networks", "NETWORKS"},
    Column{"Platform", "PLATFORM"},
};

constexpr std::string_view kTable =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
constexpr std::string_view kRaw =
    "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n"
    "state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n"
    "labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

struct Port {
    std::int64_t inside = 0;
    std::string ip;
    std::int64_t outside = 0;
    std::string protocol;
    auto operator<=>(const Port&) const = default;
};

std::string joined_host(const std::string& ip, std::string_view port) {
    return ip.find(':') == std::string::npos ? format("{}:{}", ip, port)
                                             : format("[{}]:{}", ip, port);
}

// "0.0.0.0:8080-8081->80-81/tcp": neighbouring ports as one range, docker's rules.
std::string displayed_ports(const json::Array& list) {
    std::vector<Port> ports;
    for (const json::Value& item : list) {
        ports.push_back({int_of(item, "PrivatePort"), text_of(item, "IP"),
                         int_of(item, "PublicPort"), text_of(item, "Type")});
    }
    std::sort(ports.begin(), ports.end());
    struct Group {
        std::string key;
        std::int64_t first;
        std::int64_t last;
    };
    std::vector<Group> groups;
    std::vector<std::string> out;
    std::vector<std::string> mapped;
    const auto show = [](const Group& group) {
        const auto sides = cut(group.key, "/");
        const std::string protocol(sides ? sides->second : std::string_view(group.key));
        std::string range = format("{}", group.first);
        if (group.first != group.last) range += format("-{}", group.last);
        if (sides) range = joined_host(std::string(sides->first), range) + "->" + range;
        return range + "/" + protocol;
    };
    for (const Port& port : ports) {
        std::string key = port.protocol;
        if (!port.ip.empty()) {
            if (port.outside != port.inside) {
                mapped.push_back(format("{}->{}/{}",
                                        joined_host(port.ip, format("{}", port.outside)),
                                        port.inside, port.protocol));
                continue;
            }
            key = port.ip + "/" + port.protocol;
        }
        const auto group = std::find_if(groups.begin(), groups.end(),
                                        [&](const Group& g) { return g.key == key; });
        if (group == groups.end()) {
            groups.push_back({key, port.inside, port.inside});
        } else if (port.inside == group->last + 1) {
            group->last = port.inside;
        } else {
            out.push_back(show(*group));
            group->first = group->last = port.inside;
        }
    }
    for (const Group& group : groups) out.push_back(show(group));
    out.insert(out.end(), mapped.begin(), mapped.end());
    return join(out, ", ");
}

std::string displayed_image(const json::Value& item, bool cut_down) {
    std::string image = text_of(item, "Image");
    if (image.empty()) return "<no image>";
    if (!cut_down) return image;
    std::string id = short_id(text_of(item, "ImageID"));
    if (!id.empty() && id == short_id(image)) return id;
    Result<oci::Reference> reference = oci::parse_reference_as_given(image);
    if (!reference) return image;
    reference->digest.clear();
    return reference->familiar_string();
}

std::string displayed_names(const json::Array& list, bool cut_down) {
    std::vector<std::string> names;
    for (const json::Value& item : list) {
        std::string name = template_text(item);
        names.push_back(name.starts_with('/') ? name.substr(1) : name);
    }
    if (cut_down) {
        for (const std::string& name : names) {
            if (name.find('/') == std::string::npos) return name;
        }
    }
    return join(names, ",");
}

std::string displayed_mounts(const json::Array& list, bool cut_down) {
    std::vector<std::string> names;
    for (const json::Value& mount : list) {
        std::string name = text_of(mount, "Name");
        if (name.empty()) name = text_of(mount, "Source");
        names.push_back(cut_down ? ellipsis(name, 15) : name);
    }
    return join(names, ",");
}

}  // namespace

const std::span<const Column> kContainerColumns = kColumns;

Row container_row(const json::Value& item, bool cut_down) {
    const std::int64_t created = int_of(item, "Created");
    const std::string id = text_of(item, "Id");
    const std::string command = text_of(item, "Command");
    const double written = static_cast<double>(int_of(item, "SizeRw"));
    const std::int64_t whole = int_of(item, "SizeRootFs");
    std::string size = human_size(written, 3);
    if (whole > 0) size += format(" (virtual {})", human_size(static_cast<double>(whole), 3));
    std::vector<std::string> networks;
    if (const json::Value* settings = item.find("NetworkSettings")) {
        for (const json::Member& network : object_of(*settings, "Networks")) {
            networks.push_back(network.key);
        }
    }
    const auto local =
        std::count_if(array_of(item, "Mounts").begin(), array_of(item, "Mounts").end(),
                      [](const json::Value& mount) { return text_of(mount, "Driver") == "local"; });
    const json::Value* labels = item.find("Labels");

    Row row;
    row.labels = labels != nullptr ? *labels : json::Value();
    // In the order of their names, as {{json .}} prints them.
    row.fields = json::Object{
        {"Command", quoted(cut_down ? ellipsis(command, 20) : command)},
        {"CreatedAt", local_time(created)},
        {"ID", cut_down ? short_id(id) : id},
        {"Image", displayed_image(item, cut_down)},
        {"Labels", joined_labels(row.labels)},
        {"LocalVolumes", format("{}", local)},
        {"Mounts", displayed_mounts(array_of(item, "Mounts"), cut_down)},
        {"Names", displayed_names(array_of(item, "Names"), cut_down)},
        {"Networks", join(networks, ",")},
        {"Platform", nullptr},
        {"Ports", displayed_ports(array_of(item, "Ports"))},
        {"RunningFor", human_duration(now() - Time(std::chrono::seconds(created))) + " ago"},
        {"Size", size},
        {"State", text_of(item, "State")},
        {"Status", text_of(item, "Status")},
    };
    return row;
}

namespace {

Query list_query(const Values& flags) {
    std::int64_t last = flags.number("last");
    if (flags.is_set("latest") && last == -1) last = 1;
    Query query;
    if (flags.is_set("all")) query.emplace("all", "1");
    if (last > 0) query.emplace("limit", format("{}", last));
    add_filters(query, flags.list("filter"));
    return query;
}

Result<int> watch(Invocation& call) {
    for (const std::string_view flag : {"format", "quiet", "size"}) {
        if (call.flags.given(flag)) {
            return fail(Code::InvalidArgument, "--watch goes without --{}", flag);
        }
    }
    if (!is_terminal(STDOUT_FILENO)) {
        return fail(Code::InvalidArgument, "--watch needs a terminal to write to");
    }
    const LiveView view = TRY(LiveView::begin(LiveView::Screen::Whole));
    std::map<std::string, UsageHistory> histories;
    do {
        std::map<std::string, UsageHistory> present;
        std::string table =
            "NAMES\tIMAGE\tSTATUS\tPORTS\tCPU %\tCPU HISTORY\tMEM USAGE\tMEM HISTORY\n";
        const json::Value list = TRY(call.api.get("/containers/json", list_query(call.flags)));
        for (const json::Value& item : array_of(list, "")) {
            const std::string id = text_of(item, "Id");
            UsageHistory& history = present[id];
            if (const auto known = histories.find(id); known != histories.end()) {
                history = std::move(known->second);
            }
            auto sample =
                call.api.get(container_path(id, "/stats"), {{"stream", "0"}, {"one-shot", "1"}});
            if (sample) history.add(*std::move(sample));
            const json::Value cells = container_row(item, true).fields;
            const Usage& use = history.latest();
            table +=
                format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", text_of(cells, "Names"),
                       text_of(cells, "Image"), text_of(cells, "Status"), text_of(cells, "Ports"),
                       use.runs ? format("{:.2f}%", use.cpu_percent) : "-", history.cpu_line(),
                       use.runs ? binary_size(use.memory) : "-", history.memory_line());
        }
        histories = std::move(present);
        TRY(view.draw(table));
    } while (view.wait_for_next());
    return 0;
}

Result<int> ps(Invocation& call) {
    const Values& flags = call.flags;
    if (flags.is_set("watch")) return watch(call);
    std::string pattern = flags.text("format");
    const bool quiet = flags.is_set("quiet");
    if (!pattern.empty() && quiet) {
        warn_line("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    }
    bool size = flags.is_set("size");
    if (!pattern.empty() && pattern != "json" && pattern != "raw" && !quiet &&
        !flags.given("size")) {
        std::string_view text = pattern;
        if (text.starts_with("table")) text.remove_prefix(5);
        size = TRY(Template::parse(text)).uses("Size");
    }
    if (pattern == "json" && !flags.given("size")) size = true;
    if (pattern == "raw") pattern = std::string(kRaw) + (size ? "size: {{.Size}}\n" : "");

    Query query = list_query(flags);
    if (size) query.emplace("size", "1");
    const json::Value reply = TRY(call.api.get("/containers/json", query));
    std::vector<Row> rows;
    for (const json::Value& item : array_of(reply, "")) {
        rows.push_back(container_row(item, !flags.is_set("no-trunc")));
    }
    const std::string table = std::string(kTable) + (size ? "\t{{.Size}}" : "");
    TRY(print_list({kColumns, table, "*formatter.ContainerContext"}, pattern,
                   quiet ? Quiet::Yes : Quiet::No, rows));
    return 0;
}

constexpr std::string_view kSpellings = "container ls, container list, container ps, ps";

}  // namespace

namespace commands {

constinit const Command kPs{
    .name = "ps",
    .arguments = "[OPTIONS]",
    .summary = "List containers",
    .run = &ps,
    .flags = {kFlags},
    .spellings = kSpellings,
    .common = 3,
};
constinit const Command kContainerLs{
    .name = "ls",
    .arguments = "[OPTIONS]",
    .summary = "List containers",
    .run = &ps,
    .flags = {kFlags},
    .spellings = kSpellings,
    .other_names = "list,ps",
};

}  // namespace commands

}  // namespace coffer::cli
