#include "base/time.hpp"

#include <array>

#include "base/text.hpp"

namespace coffer {

namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// Exactly `count` digits at the front of `text`, which are removed.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

// ".5" becomes 500000000; digits past the ninth are dropped.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
    std::int64_t value = 0;
    std::size_t count = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        if (count < 9) value = value * 10 + (text.front() - '0');
        ++count;
        text.remove_prefix(1);
    }
    if (count == 0) return std::nullopt;
    for (; count < 9; ++count) value *= 10;
    return value;
}

}  // namespace

Time now() {
    return std::chrono::time_point_cast<nanoseconds>(std::chrono::system_clock::now());
}

std::int64_t unix_seconds(Time time) {
    return std::chrono::floor<seconds>(time).time_since_epoch().count();
}

std::string to_rfc3339(Time time) {
    if (time == kZeroTime) return "0001-01-01T00:00:00Z";
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::int64_t rest = (time - day).count();
    const std::int64_t second = rest / 1'000'000'000;
    return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  second / 3600, second / 60 % 60, second % 60, rest % 1'000'000'000);
}

std::string to_rfc3339_short(Time time) {
    std::string text = to_rfc3339(time);
    const std::size_t dot = text.find('.');
    if (dot == std::string::npos) return text;
    text.pop_back();
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text + "Z";
}

std::optional<Time> parse_rfc3339(std::string_view text) {
    const auto year = take_digits(text, 4);
    if (!year || !take(text, '-')) return std::nullopt;
    const auto month = take_digits(text, 2);
    if (!month || !take(text, '-')) return std::nullopt;
    const auto day = take_digits(text, 2);
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    if (*year == 1) return kZeroTime;
    if (*year < 1900 || *year > 2200) return std::nullopt;
    Time time{std::chrono::sys_days(date).time_since_epoch()};
    if (text.empty()) return time;
    if (!take(text, 'T') && !take(text, ' ')) return std::nullopt;
    const auto hour = take_digits(text, 2);
    if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
    const auto minute = take_digits(text, 2);
    if (!minute || *minute > 59) return std::nullopt;
    std::optional<int> second = 0;
    if (take(text, ':')) second = take_digits(text, 2);
    if (!second || *second > 60) return std::nullopt;
    time += seconds(*hour * 3600 + *minute * 60 + *second);
    if (take(text, '.')) {
        const auto fraction = take_fraction(text);
        if (!fraction) return std::nullopt;
        time += nanoseconds(*fraction);
    }
    if (text.empty() || text == "Z" || text == "z") return time;
    const bool east = text.front() == '+';
    if (!east && text.front() != '-') return std::nullopt;
    text.remove_prefix(1);
    const auto zone_hour = take_digits(text, 2);
    if (!zone_hour || !take(text, ':')) return std::nullopt;
    const auto zone_minute = take_digits(text, 2);
    if (!zone_minute || !text.empty()) return std::nullopt;
    const seconds zone(*zone_hour * 3600 + *zone_minute * 60);
    return east ? time - zone : time + zone;
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t nanos;
    };
    static constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                                    {"us", 1'000},
                                                    {"\xC2\xB5s", 1'000},
                                                    {"\xCE\xBCs", 1'000},
                                                    {"ms", 1'000'000},
                                                    {"s", 1'000'000'000},
                                                    {"m", 60'000'000'000},
                                                    {"h", 3'600'000'000'000}}};
    const bool negative = take(text, '-');
    if (!negative) static_cast<void>(take(text, '+'));
    if (text == "0") return nanoseconds(0);
    if (text.empty()) return std::nullopt;
    long double total = 0;
    while (!text.empty()) {
        std::size_t digits = 0;
        while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
        if (digits > 18) return std::nullopt;
        const std::uint64_t whole = parse_uint(text.substr(0, digits)).value_or(0);
        text.remove_prefix(digits);
        std::int64_t fraction = 0;
        if (take(text, '.')) {
            const auto parsed = take_fraction(text);
            if (!parsed) return std::nullopt;
            fraction = *parsed;
        } else if (digits == 0) {
            return std::nullopt;
        }
        std::size_t end = 0;
        while (end < text.size() && text[end] != '.' && !(text[end] >= '0' && text[end] <= '9'))
            ++end;
        const Unit* unit = nullptr;
        for (const Unit& candidate : kUnits) {
            if (candidate.name == text.substr(0, end)) unit = &candidate;
        }
        if (unit == nullptr) return std::nullopt;
        text.remove_prefix(end);
        total += (static_cast<long double>(whole) + static_cast<long double>(fraction) / 1e9L) *
                 static_cast<long double>(unit->nanos);
    }
    if (total > 9.2e18L) return std::nullopt;
    const auto nanos = static_cast<std::int64_t>(total + 0.5L);
    return nanoseconds(negative ? -nanos : nanos);
}

std::optional<Time> parse_timestamp(std::string_view text, Time reference) {
    std::string_view rest = text;
    std::size_t digits = 0;
    while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
    if (digits > 0 && digits <= 10 && (digits == rest.size() || rest[digits] == '.')) {
        Time time{seconds(static_cast<std::int64_t>(*parse_uint(rest.substr(0, digits))))};
        rest.remove_prefix(digits);
        if (take(rest, '.')) {
            const auto fraction = take_fraction(rest);
            if (!fraction || !rest.empty()) return std::nullopt;
            time += nanoseconds(*fraction);
        }
        return time;
    }
    if (const auto time = parse_rfc3339(text)) return time;
    if (const auto back = parse_duration(text)) return reference - *back;
    return std::nullopt;
}

}  // namespace coffer
