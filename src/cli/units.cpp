#include "cli/units.hpp"

#include <array>
#include <cstdint>
#include <ctime>
#include <span>

#include "base/text.hpp"

namespace coffer::cli {

namespace {

std::string scaled(double size, double base, std::span<const std::string_view> names,
                   int precision) {
    std::size_t unit = 0;
    while (size >= base && unit + 1 < names.size()) {
        size /= base;
        ++unit;
    }
    return format("{:.{}g}{}", size, precision, names[unit]);
}

// Code points and their lengths; an invalid byte is one of its own.
std::size_t code_point_length(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    std::size_t length = 1;
    if (first >= 0xC0) length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    return std::min(length, text.size());
}

char32_t code_point(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (text.size() == 1) return first;
    char32_t point = first & (0x7FU >> text.size());
    for (const char c : text.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3F);
    return point;
}

std::size_t columns_of(char32_t point) {
    static constexpr std::array<std::pair<char32_t, char32_t>, 12> kWide = {{
        {0x1100, 0x115F},
        {0x2E80, 0x303E},
        {0x3041, 0x33FF},
        {0x3400, 0x4DBF},
        {0x4E00, 0x9FFF},
        {0xA000, 0xA4CF},
        {0xAC00, 0xD7A3},
        {0xF900, 0xFAFF},
        {0xFE30, 0xFE6F},
        {0xFF00, 0xFF60},
        {0x1F300, 0x1F64F},
        {0x20000, 0x3FFFD},
    }};
    for (const auto& [low, high] : kWide) {
        if (point >= low && point <= high) return 2;
    }
    return 1;
}

}  // namespace

std::string human_duration(std::chrono::nanoseconds duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    const auto whole = [](double value) { return static_cast<std::int64_t>(value); };
    if (whole(seconds) < 1) return "Less than a second";
    if (whole(seconds) == 1) return "1 second";
    if (whole(seconds) < 60) return format("{} seconds", whole(seconds));
    const std::int64_t minutes = whole(seconds / 60);
    if (minutes == 1) return "About a minute";
    if (minutes < 60) return format("{} minutes", minutes);
    const std::int64_t hours = whole(seconds / 3600 + 0.5);
    if (hours == 1) return "About an hour";
    if (hours < 48) return format("{} hours", hours);
    if (hours < 24 * 7 * 2) return format("{} days", hours / 24);
    if (hours < 24 * 30 * 2) return format("{} weeks", hours / 24 / 7);
    if (hours < 24 * 365 * 2) return format("{} months", hours / 24 / 30);
    return format("{} years", whole(seconds / 3600) / 24 / 365);
}

std::string age_of(const std::string& time) {
    const auto parsed = parse_rfc3339(time);
    return parsed ? human_duration(now() - *parsed) + " ago" : "";
}

std::string human_size(double bytes, int precision) {
    static constexpr std::array<std::string_view, 9> kNames = {"B",  "kB", "MB", "GB", "TB",
                                                               "PB", "EB", "ZB", "YB"};
    return scaled(bytes, 1000, kNames, precision);
}

std::string binary_size(double bytes) {
    static constexpr std::array<std::string_view, 9> kNames = {"B",   "KiB", "MiB", "GiB", "TiB",
                                                               "PiB", "EiB", "ZiB", "YiB"};
    return scaled(bytes, 1024, kNames, 4);
}

std::string local_time(std::int64_t unix_seconds) {
    const std::time_t seconds = unix_seconds;
    std::tm parts{};
    if (::localtime_r(&seconds, &parts) == nullptr) return {};
    std::array<char, 64> text{};
    const std::size_t length =
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S %z %Z", &parts);
    return {text.data(), length};
}

std::string short_id(std::string_view id) {
    if (const auto sides = cut(id, ":")) id = sides->second;
    return std::string(id.substr(0, 12));
}

std::size_t display_width(std::string_view text) {
    std::size_t columns = 0;
    while (!text.empty()) {
        const std::size_t length = code_point_length(text);
        columns += columns_of(code_point(text.substr(0, length)));
        text.remove_prefix(length);
    }
    return columns;
}

std::string ellipsis(std::string_view text, std::size_t columns) {
    if (display_width(text) <= columns) return std::string(text);
    std::string out;
    std::size_t used = 0;
    while (!text.empty()) {
        const std::size_t length = code_point_length(text);
        const std::size_t width = columns_of(code_point(text.substr(0, length)));
        if (used + width > columns - 1) break;
        used += width;
        out += text.substr(0, length);
        text.remove_prefix(length);
    }
    return out + "…";
}

}  // namespace coffer::cli
