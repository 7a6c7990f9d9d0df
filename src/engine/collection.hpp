#pragma once
// Which images an automatic collection takes: the watermarks, the rules that keep images, and the
// choice of what goes. Plain data and pure functions.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace coffer::engine {

// How full the disk may be.
struct Watermark {
    enum class Unit : std::uint8_t {
        Percent,  // of the file system of the data root, whoever fills it
        Bytes,    // that images take on disk, as `system df` shows it
    };
    Unit unit = Unit::Percent;
    std::uint64_t value = 0;
};
// "85%", "20g".
Result<Watermark> parse_watermark(std::string_view text);
std::string to_string(const Watermark& mark);

struct CollectionRules {
    // A collection begins above `high` and goes down to `low`. Without `high` none begins by
    // itself.
    std::optional<Watermark> high;
    std::optional<Watermark> low;
    // Patterns of names ("base/*", "app:stable", as of the filter `reference`), or
    // "label=KEY[=VALUE]".
    std::vector<std::string> keep;
    // Its images stay: the host of a registry of our own. Empty: there is none.
    std::string own_registry;
    // What was used more recently stays.
    std::chrono::seconds min_age = std::chrono::hours(24);
};
// Gives a high watermark without a low one nine tenths of it; InvalidArgument when the low one is
// the higher, or of the other unit.
Result<void> settle(CollectionRules& rules);

// What is in use, as far as the unit of a watermark needs it.
struct DiskFill {
    std::uint64_t size = 0;  // of the file system, without what is reserved
    std::uint64_t used = 0;
    std::uint64_t images = 0;
};
// How many bytes are in use beyond a watermark; 0: it is not passed.
std::uint64_t bytes_beyond(const Watermark& mark, const DiskFill& fill);

// What can go as one.
struct Candidate {
    bool stays = false;
    Time used{};
    // What it has on disk, with the bytes; it may have parts in common with others.
    std::map<std::string, std::uint64_t> parts;
};
struct Choice {
    std::size_t candidate = 0;  // its index
    std::uint64_t bytes = 0;    // that are free once it, and those before it, are gone
};
// The least recently used first, until `bytes` are free or nothing is left. What frees next to
// nothing stays: its parts are those of something that stays.
std::vector<Choice> choose(const std::vector<Candidate>& candidates, std::uint64_t bytes);

}  // namespace coffer::engine
