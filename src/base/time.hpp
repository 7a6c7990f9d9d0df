#pragma once
// Wall-clock time and the text forms that Go and Docker use for it. Pure but for now().

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace coffer {

// Nanoseconds since 1970 UTC. The zero time of Go ("0001-01-01T00:00:00Z") is kZeroTime.
using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
constexpr Time kZeroTime = Time::min();

Time now();
// "2026-11-23T10:11:12.123456789Z" with exactly nine fractional digits.
std::string to_rfc3339(Time time);
// The same without trailing zeros in the fraction, as Go's RFC3339Nano.
std::string to_rfc3339_short(Time time);
std::optional<Time> parse_rfc3339(std::string_view text);
// Docker's since and until: unix seconds with an optional fraction, RFC 3339, or a Go duration
// counted back from `reference`.
std::optional<Time> parse_timestamp(std::string_view text, Time reference);
// Go's durations: "1h2m3.5s", "300ms", "10us".
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
std::int64_t unix_seconds(Time time);

}  // namespace coffer
