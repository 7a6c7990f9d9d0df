// coffer stats: what containers use, once or as a live view.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <map>
#include <thread>

#include "base/text.hpp"
#include "cli/checks.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/formats.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"
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

constexpr std::chrono::milliseconds kPeriod(1000);
constexpr std::size_t kHistory = 24;

// One container that is watched.
struct Watched {
    std::string asked;  // as the user named it
    std::string id;
    std::string name;
    json::Value sample;
    Usage usage;
    std::deque<double> cpu;
    std::deque<double> memory;
};

class Watch {
  public:
    explicit Watch(Invocation& call)
        : call_(call), all_(call.flags.is_set("all")), cut_down_(!call.flags.is_set("no-trunc")) {}

    // Asks for a sample of each; containers that come and go are followed, named ones must be.
    Result<void> update();
    std::vector<Row> rows() const;
    // The table with lines of history, as far as `rows` lines have room.
    std::string screen(const WindowSize& size) const;
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

void remember(std::deque<double>& history, double value) {
    history.push_back(value);
    if (history.size() > kHistory) history.pop_front();
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
        one.usage = usage_of(*sample, one.sample);
        one.sample = *std::move(sample);
        remember(one.cpu, one.usage.cpu_percent);
        remember(one.memory, one.usage.memory);
        now.push_back(std::move(one));
    }
    containers_ = std::move(now);
    return {};
}

json::Object Watch::fields(const Watched& one) const {
    const Usage& usage = one.usage;
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

std::string Watch::screen(const WindowSize& size) const {
    std::string table =
        "NAME\tCPU %\tCPU HISTORY\tMEM USAGE / LIMIT\tMEM HISTORY\tNET I/O\t"
        "BLOCK I/O\tPIDS\n";
    for (const Watched& one : containers_) {
        const json::Value cells = fields(one);
        const double most_cpu = std::max(100.0, *std::max_element(one.cpu.begin(), one.cpu.end()));
        const double most_memory = *std::max_element(one.memory.begin(), one.memory.end());
        table += format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", text_of(cells, "Name"),
                        text_of(cells, "CPUPerc"), sparkline(one.cpu, most_cpu, kHistory),
                        text_of(cells, "MemUsage"), sparkline(one.memory, most_memory, kHistory),
                        text_of(cells, "NetIO"), text_of(cells, "BlockIO"), text_of(cells, "PIDs"));
    }
    std::string out = "\033[H";
    std::size_t left = size.rows > 1 ? size.rows - 1 : containers_.size() + 1;
    for (const std::string& line : split(align_columns(table), '\n')) {
        if (line.empty() || left-- == 0) break;
        out += ellipsis(line, size.columns == 0 ? line.size() : size.columns) + "\033[K\r\n";
    }
    return out + "\033[J";
}

// The second screen of the terminal, in raw mode, until destruction.
class FullScreen {
  public:
    static Result<FullScreen> enter() {
        FullScreen screen;
        if (is_terminal(STDIN_FILENO)) screen.raw_ = TRY(RawTerminal::enter(STDIN_FILENO));
        TRY(print("\033[?1049h\033[?25l"));
        screen.entered_ = true;
        return screen;
    }
    ~FullScreen() {
        if (entered_) ignore(print("\033[?25h\033[?1049l"), "the terminal may be gone");
    }
    FullScreen(FullScreen&& other) noexcept
        : raw_(std::move(other.raw_)), entered_(std::exchange(other.entered_, false)) {}
    FullScreen& operator=(FullScreen&&) = delete;
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

  private:
    FullScreen() = default;
    RawTerminal raw_;
    bool entered_ = false;
};

// Waits for the next sample; false when the user wants to leave.
bool wait_for_next(const CaughtSignals& signals, bool with_keys) {
    const auto end = std::chrono::steady_clock::now() + kPeriod;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return true;
        std::array<pollfd, 2> ready = {
            {{signals.fd(), POLLIN, 0}, {with_keys ? STDIN_FILENO : -1, POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), static_cast<int>(left.count())) <= 0) continue;
        if (ready[0].revents != 0) {
            const int number = signals.take();
            if (number == SIGWINCH) return true;
            if (number != 0) return false;
        }
        if (ready[1].revents != 0) {
            char key = 0;
            constexpr char kInterrupt = 3;
            constexpr char kQuit = 4;
            if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == kInterrupt ||
                key == kQuit) {
                return false;
            }
        }
    }
}

Result<int> live(Invocation& call, Watch& watch) {
    const std::string pattern = call.flags.text("format");
    const bool terminal = is_terminal(STDOUT_FILENO);
    const ListStyle style{kColumns, kTable, "*container.statsContext"};
    const CaughtSignals signals = TRY(CaughtSignals::start(CaughtSignals::Which::Ending));
    std::optional<FullScreen> screen;
    if (terminal && pattern.empty()) screen.emplace(TRY(FullScreen::enter()));
    do {
        TRY(watch.update());
        if (screen) {
            TRY(print(watch.screen(window_size(STDOUT_FILENO))));
        } else {
            if (terminal) TRY(print("\033[H\033[J"));
            TRY(print_list(style, pattern, Quiet::No, watch.rows()));
        }
    } while (wait_for_next(signals, screen && is_terminal(STDIN_FILENO)));
    return 0;
}

Result<int> stats(Invocation& call) {
    Watch watch(call);
    TRY(watch.update());
    if (!call.flags.is_set("no-stream")) return live(call, watch);
    // Use is what happens between two samples.
    if (!watch.empty()) {
        std::this_thread::sleep_for(kPeriod);
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
