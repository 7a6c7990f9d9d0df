#pragma once
// One line of a container's output as it goes to the log: what every driver is given. Plain data.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coffer::logs {

enum class Stream : std::uint8_t { Stdout, Stderr };

// Labels and variables of the container that go with its lines.
using Attributes = std::map<std::string, std::string>;

// A line of more than 16 KiB, or without a newline at the end of the stream, comes in parts.
struct Part {
    std::uint64_t id = 0;  // the same for all parts of a line
    std::uint32_t ordinal = 1;
    bool last = false;
    bool operator==(const Part&) const = default;
};

struct Message {
    Stream stream = Stream::Stdout;
    Time time;              // of the line: its parts have the same
    std::string_view text;  // without its newline; borrowed
    std::optional<Part> part;
    bool ends_line() const { return !part || part->last; }
};

}  // namespace coffer::logs
