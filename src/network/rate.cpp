#include "network/rate.hpp"

#include <algorithm>
#include <array>

namespace coffer::network {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t bits;
};
constexpr std::array kUnits = {Unit{"gbit", 1'000'000'000}, Unit{"mbit", 1'000'000},
                               Unit{"kbit", 1'000}, Unit{"bit", 1}};
// Below, no packet of usual size is sent within the time that one may wait.
constexpr std::uint64_t kLeastBits = 8'000;
constexpr std::uint64_t kMostBits = 1'000'000'000'000;

std::uint64_t parse_bits(std::string_view text) {
    for (const Unit& unit : kUnits) {
        if (!text.ends_with(unit.name)) continue;
        const auto number = parse_uint(text.substr(0, text.size() - unit.name.size()));
        return number && *number <= kMostBits / unit.bits ? *number * unit.bits : 0;
    }
    return 0;
}

std::uint64_t least(std::uint64_t a, std::uint64_t b) {
    return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

Result<RateLimit> parse_rate(std::string_view text) {
    RateLimit limit;
    if (text.empty()) return limit;
    for (const std::string& part : split(to_lower(text), ',')) {
        const auto sides = cut(part, "=");
        std::uint64_t* side = nullptr;
        if (sides && sides->first == "in") side = &limit.in;
        if (sides && sides->first == "out") side = &limit.out;
        const std::uint64_t bits = side == nullptr ? 0 : parse_bits(sides->second);
        if (bits < kLeastBits || *side != 0) {
            return fail(Code::InvalidArgument,
                        "invalid rate '{}': say in=RATE, out=RATE or both, with a RATE such as "
                        "512kbit, 10mbit or 1gbit, from 8kbit",
                        text);
        }
        *side = bits / 8;
    }
    return limit;
}

RateLimit tighter(const RateLimit& a, const RateLimit& b) {
    return {least(a.in, b.in), least(a.out, b.out)};
}

}  // namespace coffer::network
