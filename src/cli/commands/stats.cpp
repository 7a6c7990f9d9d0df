// coffer stats: what containers use, once or as a live view.
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/live_view.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "cli/units.hpp"
#include "cli/usage.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kFlags = {
    toggle("all", 'a', "Show all containers (default shows just running)"),
    text("format", 0, kListFormatHelp),
    toggle("no-stream", 0, "Disable streaming stats and only pull the first result"),
    toggle("no-trunc", 0, "Do not truncate output"),
};

constexpr std::array kColumns = {
    Column{"Container", "CONTAINER"},
    Column{"Name", "NAME"},
    Column{"ID", "CONTAINER ID"},
    Column{"CPUPerc", "CPU %"},
    Column{"MemUsage", "MEM USAGE / LIMIT"},
    Column{"MemPerc", "MEM %"},
    Column{"NetIO", "NET I/O"},
    Column{"BlockIO", "BLOCK I/O"},
    Column{"PIDs", "PIDS"},
};
constexpr std::string_view kTable =
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t"
    "{{.PIDs}}";

// One container that is watched.
struct Watched {
    std::string asked;  // as the user named it
    std::string id;
    std::string name;
    UsageHistory use;
};

class Watch {
  public:
    explicit Watch(Invocation& call)
        : call_(call), all_(call.flags.is_set("all")), cut_down_(!call.flags.is_set("no-trunc")) {}

    // Asks for a sample of each; containers that come and go are followed, named ones must be.
    Result<void> update();
    std::vector<Row> rows() const;
    // With lines of history; cells apart by tabs.
    std::string table() const;
    bool named() const { return !call_.args.empty(); }
    bool empty() const { return containers_.empty(); }

  private:
    Result<std::vector<std::string>> names() const;
    json::Object fields(const Watched& one) const;

    Invocation& call_;
    bool all_;
    bool cut_down_;
    std::vector<Watched> containers_;
};

Result<std::vector<std::string>> Watch::names() const {
    if (named()) return call_.args;
    Query query;
    if (all_) query.emplace("all", "1");
    const json::Value list = TRY(call_.api.get("/containers/json", query));
    std::vector<std::string> ids;
    for (const json::Value& item : array_of(list, "")) ids.push_back(text_of(item, "Id"));
    return ids;
}

Result<void> Watch::update() {
    std::vector<Watched> now;
    for (const std::string& name : TRY(names())) {
        auto sample =
            call_.api.get(container_path(name, "/stats"), {{"stream", "0"}, {"one-shot", "1"}});
        if (!sample) {
            // Gone since the list was made.
            if (!named() && sample.error().code == Code::NotFound) continue;
            return fail(sample.error());
        }
        Watched one;
        const auto before = std::find_if(containers_.begin(), containers_.end(),
                                         [&](const Watched& w) { return w.asked == name; });
        if (before != containers_.end()) one = std::move(*before);
        one.asked = name;
        one.id = text_of(*sample, "id");
        one.name = text_of(*sample, "name");
        if (one.name.starts_with('/')) one.name.erase(0, 1);
        one.use.add(*std::move(sample));
        now.push_back(std::move(one));
    }
    containers_ = std::move(now);
    return {};
}

json::Object Watch::fields(const Watched& one) const {
    const Usage& usage = one.use.latest();
    const std::string id = cut_down_ ? short_id(one.id) : one.id;
    const auto pair = [](double a, double b, auto text) {
        return format("{} / {}", text(a), text(b));
    };
    const auto decimal = [](double bytes) { return human_size(bytes, 3); };
    return json::Object{{"BlockIO", pair(usage.read, usage.written, decimal)},
                        {"CPUPerc", format("{:.2f}%", usage.cpu_percent)},
                        {"Container", named() ? one.asked : id},
                        {"ID", id},
                        {"MemPerc", format("{:.2f}%", usage.memory_percent())},
                        {"MemUsage", pair(usage.memory, usage.memory_limit, binary_size)},
                        {"Name", one.name},
                        {"NetIO", pair(usage.received, usage.sent, decimal)},
                        {"PIDs", format("{}", usage.pids)}};
}

std::vector<Row> Watch::rows() const {
    std::vector<Row> rows;
    for (const Watched& one : containers_) {
        Row row;
        row.fields = fields(one);
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string Watch::table() const {
    std::string table =
        "NAME\tCPU %\tCPU HISTORY\tMEM USAGE / LIMIT\tMEM HISTORY\tNET I/O\t"
        "BLOCK I/O\tPIDS\n";
    for (const Watched& one : containers_) {
        const json::Value cells = fields(one);
        table += format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", text_of(cells, "Name"),
                        text_of(cells, "CPUPerc"), one.use.cpu_line(), text_of(cells, "MemUsage"),
                        one.use.memory_line(), text_of(cells, "NetIO"), text_of(cells, "BlockIO"),
                        text_of(cells, "PIDs"));
    }
    return table;
}

Result<int> live(Invocation& call, Watch& watch) {
    const std::string pattern = call.flags.text("format");
    const bool terminal = is_terminal(STDOUT_FILENO);
    const ListStyle style{kColumns, kTable, "*container.statsContext"};
    const bool whole_screen = terminal && pattern.empty();
    const LiveView view =
        TRY(LiveView::begin(whole_screen ? LiveView::Screen::Whole : LiveView::Screen::AsItIs));
    do {
        TRY(watch.update());
        if (whole_screen) {
            TRY(view.draw(watch.table()));
        } else {
            if (terminal) TRY(print("\033[H\033[J"));
            TRY(print_list(style, pattern, Quiet::No, watch.rows()));
        }
    } while (view.wait_for_next());
    return 0;
}

Result<int> stats(Invocation& call) {
    Watch watch(call);
    TRY(watch.update());
    if (!call.flags.is_set("no-stream")) return live(call, watch);
    // Use is what happens between two samples.
    if (!watch.empty()) {
        std::this_thread::sleep_for(kLivePeriod);
        TRY(watch.update());
    }
    TRY(print_list({kColumns, kTable, "*container.statsContext"}, call.flags.text("format"),
                   Quiet::No, watch.rows()));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kStats{
    .name = "stats",
    .arguments = "[OPTIONS] [CONTAINER...]",
    .summary = "Display a live stream of container(s) resource usage statistics",
    .run = &stats,
    .flags = {kFlags},
    .max_args = kAnyNumber,
    .completes = Completes::RunningContainers,
    .spellings = "container stats, stats",
};

}  // namespace commands

}  // namespace coffer::cli
