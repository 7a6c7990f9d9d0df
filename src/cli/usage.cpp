#include "cli/usage.hpp"

#include <algorithm>
#include <array>

#include "cli/api_client.hpp"

namespace coffer::cli {

namespace {

double number_of(const json::Value& value, std::string_view path) {
    const json::Value* found = value.at_path(path);
    return found == nullptr ? 0 : found->to_double().value_or(0);
}

double cpu_percent(const json::Value& sample, const json::Value& before) {
    const auto grown = [&](std::string_view path) {
        return number_of(sample, path) - number_of(before, path);
    };
    const double used = grown("cpu_stats.cpu_usage.total_usage");
    const double passed = grown("cpu_stats.system_cpu_usage");
    double processors = number_of(sample, "cpu_stats.online_cpus");
    if (processors == 0) {
        processors =
            static_cast<double>(array_of(sample, "cpu_stats.cpu_usage.percpu_usage").size());
    }
    return used > 0 && passed > 0 ? used / passed * processors * 100 : 0;
}

// Without the page cache that no process has touched for a while: cgroup v1 and v2 name it
// differently.
double memory_used(const json::Value& sample) {
    const double usage = number_of(sample, "memory_stats.usage");
    for (const char* name : {"total_inactive_file", "inactive_file"}) {
        const json::Value* found = sample.at_path(std::string("memory_stats.stats.") + name);
        if (found == nullptr) continue;
        const double idle = found->to_double().value_or(0);
        return idle < usage ? usage - idle : usage;
    }
    return usage;
}

}  // namespace

Usage usage_of(const json::Value& sample, const json::Value& before) {
    Usage usage;
    usage.runs = int_of(sample, "pids_stats.current") > 0 ||
                 number_of(sample, "cpu_stats.system_cpu_usage") > 0;
    if (number_of(before, "cpu_stats.system_cpu_usage") > 0) {
        usage.cpu_percent = cpu_percent(sample, before);
    }
    usage.memory = memory_used(sample);
    usage.memory_limit = number_of(sample, "memory_stats.limit");
    if (const json::Value* networks = sample.find("networks")) {
        for (const json::Member& network : object_of(*networks, "")) {
            usage.received += number_of(network.value, "rx_bytes");
            usage.sent += number_of(network.value, "tx_bytes");
        }
    }
    for (const json::Value& row : array_of(sample, "blkio_stats.io_service_bytes_recursive")) {
        const std::string operation = text_of(row, "op");
        if (operation.starts_with('r') || operation.starts_with('R')) {
            usage.read += number_of(row, "value");
        } else if (operation.starts_with('w') || operation.starts_with('W')) {
            usage.written += number_of(row, "value");
        }
    }
    usage.pids = int_of(sample, "pids_stats.current");
    return usage;
}

std::string sparkline(const std::deque<double>& values, double full, std::size_t columns) {
    static constexpr std::array<std::string_view, 8> kBars = {"▁", "▂", "▃", "▄",
                                                              "▅", "▆", "▇", "█"};
    const std::size_t shown = std::min(values.size(), columns);
    std::string line(columns - shown, ' ');
    for (std::size_t i = values.size() - shown; i < values.size(); ++i) {
        const double part = full > 0 ? std::clamp(values[i] / full, 0.0, 1.0) : 0;
        line += kBars.at(std::min<std::size_t>(static_cast<std::size_t>(part * 8), 7));
    }
    return line;
}

namespace {

constexpr std::size_t kHistory = 24;

void remember(std::deque<double>& history, double value) {
    history.push_back(value);
    if (history.size() > kHistory) history.pop_front();
}

std::string bars(const std::deque<double>& history, double least) {
    const double most = history.empty()
                            ? least
                            : std::max(least, *std::max_element(history.begin(), history.end()));
    return sparkline(history, most, kHistory);
}

}  // namespace

void UsageHistory::add(json::Value sample) {
    latest_ = usage_of(sample, sample_);
    sample_ = std::move(sample);
    remember(cpu_, latest_.cpu_percent);
    remember(memory_, latest_.memory);
}

std::string UsageHistory::cpu_line() const {
    return bars(cpu_, 100);
}

std::string UsageHistory::memory_line() const {
    return bars(memory_, 0);
}

}  // namespace coffer::cli
