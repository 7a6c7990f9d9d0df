#pragma once
// Text: formatting, splitting and strict number parsing. Pure functions, safe from any thread.

#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

template <class... Args>
std::string format(fmt::format_string<Args...> text, Args&&... args) {
    return fmt::format(text, std::forward<Args>(args)...);
}

// Splits at every separator; "a,,b" gives three parts, "" gives one empty part.
std::vector<std::string> split(std::string_view text, char separator);
// Splits at runs of blanks, as strings.Fields of Go does; "" gives no part.
std::vector<std::string> split_fields(std::string_view text);
// The two sides of the first separator; nullopt when it does not occur.
std::optional<std::pair<std::string_view, std::string_view>> cut(std::string_view text,
                                                                 std::string_view separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);

// Whole-string decimal numbers: no blanks, no sign for the unsigned one, no overflow.
std::optional<std::uint64_t> parse_uint(std::string_view text);
std::optional<std::int64_t> parse_int(std::string_view text);
// The same in octal: "0644".
std::optional<std::uint32_t> parse_octal(std::string_view text);

std::string to_hex(std::string_view bytes);
bool is_hex(std::string_view text);

// Base64 with padding; `Base64::Url` uses the alphabet of RFC 4648 section 5. Decoding accepts
// both alphabets and absent padding.
enum class Base64 { Standard, Url };
std::string to_base64(std::string_view bytes, Base64 alphabet = Base64::Standard);
std::optional<std::string> from_base64(std::string_view text);

// "512", "64m", "1.5g", "10KB": bytes with binary units, the way docker reads --memory.
std::optional<std::int64_t> parse_bytes(std::string_view text);
// "1.21MB": decimal units and four significant digits, as docker prints image sizes.
std::string human_size(double bytes);

// True if `text` is valid UTF-8 (JSON and log lines need it).
bool is_utf8(std::string_view text);
// Length of the valid UTF-8 sequence at the front of `text`, which is not empty; 0 when it is
// invalid (overlong forms, surrogates and what lies above U+10FFFF are).
std::size_t utf8_length(std::string_view text);
// Invalid sequences become U+FFFD, as encoding/json does.
std::string to_utf8(std::string_view text);

}  // namespace coffer
