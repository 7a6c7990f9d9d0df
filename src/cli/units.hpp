#pragma once
// Numbers and times for people, with the words that docker prints. Pure functions.

#include <chrono>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coffer::cli {

// "Less than a second", "3 minutes", "2 weeks".
std::string human_duration(std::chrono::nanoseconds duration);
// "3 minutes ago" of a time of RFC 3339; empty for what is none.
std::string age_of(const std::string& time);
// "1.21MB": decimal units with so many significant digits.
std::string human_size(double bytes, int precision);
// "12.5MiB": binary units.
std::string binary_size(double bytes);
// "2026-11-23 10:11:12 +0000 UTC", in the zone of this machine, as Go prints a time.
std::string local_time(std::int64_t unix_seconds);
// The first twelve digits of an id, without its "sha256:".
std::string short_id(std::string_view id);
// Cut to so many columns, the last of them an ellipsis.
std::string ellipsis(std::string_view text, std::size_t columns);
// Columns that UTF-8 text takes.
std::size_t display_width(std::string_view text);

}  // namespace coffer::cli
