#pragma once
// Rate limits of a container's interface, as text: "in=10mbit,out=512kbit", either alone. Bits per
// second, with the units bit, kbit, mbit and gbit of tc(8). Pure functions.

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace coffer::network {

struct RateLimit {
    std::uint64_t in = 0;  // to the container, bytes per second; 0: no limit
    std::uint64_t out = 0;
    bool operator==(const RateLimit&) const = default;
};

// "" is no limit.
Result<RateLimit> parse_rate(std::string_view text);
// Both hold.
RateLimit tighter(const RateLimit& a, const RateLimit& b);

}  // namespace coffer::network
