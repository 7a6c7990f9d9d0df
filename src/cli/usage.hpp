#pragma once
// What the samples of a container's stats say: percentages and sums, as docker stats computes them,
// and lines of history. Pure functions.

#include <cstdint>
#include <deque>
#include <string>

#include "json/value.hpp"

namespace coffer::cli {

struct Usage {
    bool runs = false;
    double cpu_percent = 0;  // 100: one processor
    double memory = 0;       // bytes, without what the kernel would give back at once
    double memory_limit = 0;
    double received = 0;
    double sent = 0;
    double read = 0;
    double written = 0;
    std::int64_t pids = 0;

    double memory_percent() const { return memory_limit > 0 ? memory / memory_limit * 100 : 0; }
};

// `before` is an older sample of the same container, or null.
Usage usage_of(const json::Value& sample, const json::Value& before);

// The newest `columns` of `values` as bars of one line, 0 to `full` in eight steps.
std::string sparkline(const std::deque<double>& values, double full, std::size_t columns);

// What one container used lately, a sample at a time.
class UsageHistory {
  public:
    void add(json::Value sample);
    const Usage& latest() const { return latest_; }
    // Bars of the last samples: of one processor or the most it used, and of the most memory.
    std::string cpu_line() const;
    std::string memory_line() const;

  private:
    json::Value sample_;
    Usage latest_;
    std::deque<double> cpu_;
    std::deque<double> memory_;
};

}  // namespace coffer::cli
