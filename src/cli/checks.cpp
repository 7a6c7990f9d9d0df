#include "cli/checks.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "base/time.hpp"
#include "cli/flags.hpp"

namespace coffer::cli {

namespace {

Failure syntax_error(std::string_view function, std::string_view value) {
    return fail(Code::InvalidArgument, "strconv.{}: parsing {}: invalid syntax", function,
                quoted(value));
}

Failure range_error(std::string_view function, std::string_view value) {
    return fail(Code::InvalidArgument, "strconv.{}: parsing {}: value out of range", function,
                quoted(value));
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The digits after Go's prefix and their base.
std::pair<std::string_view, int> split_base(std::string_view digits) {
    if (digits.size() > 1 && digits[0] == '0') {
        switch (digits[1]) {
            case 'x':
            case 'X':
                return {digits.substr(2), 16};
            case 'o':
            case 'O':
                return {digits.substr(2), 8};
            case 'b':
            case 'B':
                return {digits.substr(2), 2};
            default:
                return {digits.substr(1), 8};
        }
    }
    return {digits, 10};
}

Result<std::uint64_t> base0_magnitude(std::string_view function, std::string_view whole,
                                      std::string_view digits) {
    const auto [body, base] = split_base(digits);
    std::uint64_t number = 0;
    const char* end = body.data() + body.size();
    const auto [stop, error] = std::from_chars(body.data(), end, number, base);
    if (body.empty() || stop != end || error == std::errc::invalid_argument) {
        return syntax_error(function, whole);
    }
    if (error != std::errc()) return range_error(function, whole);
    return number;
}

Result<std::string> unsigned_up_to(std::string_view value, std::uint64_t limit) {
    const std::uint64_t number = TRY(base0_magnitude("ParseUint", value, value));
    if (number > limit) return range_error("ParseUint", value);
    return format("{}", number);
}

struct PathAndValue {
    std::string_view path;
    std::string_view value;
};

Result<PathAndValue> split_device(std::string_view value) {
    const auto sides = cut(value, ":");
    if (!sides || sides->first.empty()) {
        return fail(Code::InvalidArgument, "bad format: {}", value);
    }
    if (!sides->first.starts_with("/dev/")) {
        return fail(Code::InvalidArgument, "bad format for device path: {}", value);
    }
    return PathAndValue{sides->first, sides->second};
}

bool is_domain(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() >= 255) return false;
    for (const std::string& label : split(text, '.')) {
        if (label.empty() || label.front() == '-' || label.back() == '-') return false;
        for (const char c : label) {
            if (!is_letter(c) && !is_digit(c) && c != '-') return false;
        }
    }
    return true;
}

}  // namespace

Result<std::string> check_bool(std::string_view value) {
    for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"}) {
        if (value == yes) return std::string("true");
    }
    for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
        if (value == no) return std::string("false");
    }
    return syntax_error("ParseBool", value);
}

Result<std::string> check_int(std::string_view value) {
    std::string_view digits = value;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    const std::uint64_t number = TRY(base0_magnitude("ParseInt", value, digits));
    const std::uint64_t limit =
        std::uint64_t{std::numeric_limits<std::int64_t>::max()} + (negative ? 1U : 0U);
    if (number > limit) return range_error("ParseInt", value);
    return format("{}{}", negative && number != 0 ? "-" : "", number);
}

Result<std::string> check_uint16(std::string_view value) {
    return unsigned_up_to(value, std::numeric_limits<std::uint16_t>::max());
}

Result<std::string> check_uint64(std::string_view value) {
    return unsigned_up_to(value, std::numeric_limits<std::uint64_t>::max());
}

Result<std::int64_t> decimal(std::string_view text, std::string_view function) {
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    std::int64_t number = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (digits.empty() || stop != end || error == std::errc::invalid_argument) {
        return syntax_error(function, text);
    }
    if (error != std::errc()) return range_error(function, text);
    return number;
}

Result<std::string> check_duration(std::string_view value) {
    if (const auto duration = parse_duration(value)) return format("{}", duration->count());
    if (value == "0") return std::string("0");
    // Which of Go's three complaints it is.
    std::size_t at = value.starts_with('-') || value.starts_with('+') ? 1 : 0;
    const std::size_t number = at;
    while (at < value.size() && (is_digit(value[at]) || value[at] == '.')) ++at;
    if (at == number) {
        return fail(Code::InvalidArgument, "time: invalid duration {}", quoted(value));
    }
    const std::size_t unit = at;
    while (at < value.size() && !is_digit(value[at]) && value[at] != '.') ++at;
    if (at == unit) {
        return fail(Code::InvalidArgument, "time: missing unit in duration {}", quoted(value));
    }
    return fail(Code::InvalidArgument, "time: unknown unit {} in duration {}",
                quoted(value.substr(unit, at - unit)), quoted(value));
}

Result<std::int64_t> ram_in_bytes(std::string_view text) {
    const std::size_t last = text.find_last_of("01234567890. ");
    if (last == std::string_view::npos) {
        return fail(Code::InvalidArgument, "invalid size: '{}'", text);
    }
    const std::string_view number = text.substr(0, text[last] == ' ' ? last : last + 1);
    const std::string suffix = to_lower(text.substr(last + 1));
    double size = 0;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, size);
    if (number.empty() || stop != end || error != std::errc()) {
        return syntax_error("ParseFloat", number);
    }
    if (size < 0) return fail(Code::InvalidArgument, "invalid size: '{}'", text);
    static constexpr std::string_view kUnits = "bkmgtp";
    const bool plain_byte = suffix == "b";
    const bool binary = suffix.size() == 1 || (suffix.size() == 2 && suffix[1] == 'b') ||
                        (suffix.size() == 3 && suffix.substr(1) == "ib");
    if (!suffix.empty() && !plain_byte) {
        const std::size_t power = kUnits.find(suffix[0]);
        if (!binary || power == std::string_view::npos || power == 0) {
            return fail(Code::InvalidArgument, "invalid suffix: '{}'", suffix);
        }
        for (std::size_t i = 0; i < power; ++i) size *= 1024;
    }
    if (size >= 9.2e18) return std::numeric_limits<std::int64_t>::min();  // what Go's cast gives
    return static_cast<std::int64_t>(size);
}

Result<std::string> check_bytes(std::string_view value) {
    return format("{}", TRY(ram_in_bytes(value)));
}

Result<std::string> check_swap(std::string_view value) {
    if (value == "-1") return std::string(value);
    return check_bytes(value);
}

Result<std::string> check_cpus(std::string_view value) {
    const auto refuse = [&] {
        return fail(Code::InvalidArgument, "failed to parse {} as a rational number", value);
    };
    std::string_view body = value;
    const bool negative = body.starts_with('-');
    if (negative || body.starts_with('+')) body.remove_prefix(1);
    std::int64_t nano = 0;
    if (const auto fraction = cut(body, "/")) {
        const auto above = parse_uint(fraction->first);
        const auto below = parse_uint(fraction->second);
        if (!above || !below || *below == 0 || *above > 9'000'000'000U) return refuse();
        if (*above * 1'000'000'000U % *below != 0) {
            return fail(Code::InvalidArgument, "value is too precise");
        }
        nano = static_cast<std::int64_t>(*above * 1'000'000'000U / *below);
    } else {
        const auto sides = cut(body, ".");
        const std::string_view whole = sides ? sides->first : body;
        std::string decimals(sides ? sides->second : std::string_view());
        while (decimals.ends_with('0')) decimals.pop_back();
        if (whole.empty() && (!sides || sides->second.empty())) return refuse();
        const auto units = whole.empty() ? std::uint64_t{0} : parse_uint(whole);
        for (const char c : decimals) {
            if (!is_digit(c)) return refuse();
        }
        if (!units || *units > 9'000'000'000U) return refuse();
        if (decimals.size() > 9) return fail(Code::InvalidArgument, "value is too precise");
        decimals.resize(9, '0');
        nano =
            static_cast<std::int64_t>(*units * 1'000'000'000U + parse_uint(decimals).value_or(0));
    }
    return format("{}", negative ? -nano : nano);
}

Result<std::string> check_attach(std::string_view value) {
    std::string stream = to_lower(value);
    if (stream == "stdin" || stream == "stdout" || stream == "stderr") return stream;
    return fail(Code::InvalidArgument, "valid streams are STDIN, STDOUT and STDERR");
}

Result<std::string> check_env(std::string_view value) {
    const std::size_t equals = value.find('=');
    const std::string name(value.substr(0, equals));
    if (name.empty()) {
        return fail(Code::InvalidArgument, "invalid environment variable: {}", value);
    }
    if (equals != std::string_view::npos) return std::string(value);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this program never changes its environment
    const char* ours = ::getenv(name.c_str());
    return ours != nullptr ? name + "=" + ours : name;
}

Result<std::string> check_label(std::string_view value) {
    std::string_view key = value.substr(0, value.find('='));
    while (!key.empty() && (key.front() == ' ' || key.front() == '\t')) key.remove_prefix(1);
    if (key.empty()) return fail(Code::InvalidArgument, "invalid label '{}': empty name", value);
    if (key.find_first_of(" \t") != std::string_view::npos) {
        return fail(Code::InvalidArgument, "label '{}' contains whitespaces", key);
    }
    return std::string(value);
}

Result<std::string> check_sysctl(std::string_view value) {
    const auto sides = cut(value, "=");
    if (sides && !sides->first.empty()) {
        const std::string_view name = sides->first;
        if (name.starts_with("net.") || name.starts_with("fs.mqueue.")) return std::string(value);
        for (const std::string_view allowed :
             {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
              "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}) {
            if (name == allowed) return std::string(value);
        }
    }
    return fail(Code::InvalidArgument, "sysctl '{}' is not allowed", value);
}

Result<std::string> check_ulimit(std::string_view value) {
    static constexpr std::array<std::string_view, 15> kNames = {
        "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
        "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
    const auto sides = cut(value, "=");
    if (!sides) return fail(Code::InvalidArgument, "invalid ulimit argument: {}", value);
    const auto [name, limits] = *sides;
    if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) {
        return fail(Code::InvalidArgument, "invalid ulimit type: {}", name);
    }
    const std::vector<std::string> parts = split(limits, ':');
    if (parts.size() > 2) {
        return fail(Code::InvalidArgument,
                    "too many limit value arguments - {}, can only have up to two, `soft[:hard]`",
                    limits);
    }
    const std::int64_t hard = TRY(decimal(parts.back(), "ParseInt"));
    const std::int64_t soft = TRY(decimal(parts.front(), "ParseInt"));
    if (hard != -1 && soft == -1) {
        return fail(Code::InvalidArgument,
                    "ulimit soft limit must be less than or equal to hard limit: soft: -1 "
                    "(unlimited), hard: {}",
                    hard);
    }
    if (hard != -1 && soft > hard) {
        return fail(Code::InvalidArgument,
                    "ulimit soft limit must be less than or equal to hard limit: {} > {}", soft,
                    hard);
    }
    return format("{}={}:{}", name, soft, hard);
}

Result<std::string> check_link(std::string_view value) {
    if (value.empty()) return fail(Code::InvalidArgument, "empty string specified for links");
    if (split(value, ':').size() > 2) {
        return fail(Code::InvalidArgument, "bad format for links: {}", value);
    }
    return std::string(value);
}

std::optional<std::string> normal_ip(std::string_view text) {
    const std::string address(text);
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    std::array<char, INET6_ADDRSTRLEN> printed{};
    for (const int family : {AF_INET, AF_INET6}) {
        if (::inet_pton(family, address.c_str(), bytes.data()) != 1) continue;
        const auto* shown_bytes = bytes.data();
        int shown_family = family;
        if (family == AF_INET6) {
            static constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0,    0,
                                                                      0, 0, 0, 0, 0xFF, 0xFF};
            if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
                shown_bytes += kMapped.size();
                shown_family = AF_INET;
            }
        }
        ::inet_ntop(shown_family, shown_bytes, printed.data(), printed.size());
        return std::string(printed.data());
    }
    return std::nullopt;
}

Result<std::string> check_add_host(std::string_view value) {
    auto sides = cut(value, "=");
    if (!sides) sides = cut(value, ":");
    if (!sides || sides->first.empty() || sides->first.find(':') != std::string_view::npos) {
        return fail(Code::InvalidArgument, "bad format for add-host: {}", quoted(value));
    }
    std::string_view address = sides->second;
    if (address != "host-gateway") {
        if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
            address = address.substr(1, address.size() - 2);
        }
        if (!normal_ip(trim(address))) {
            return fail(Code::InvalidArgument, "invalid IP address in add-host: {}",
                        quoted(address));
        }
    }
    return format("{}:{}", sides->first, address);
}

Result<std::string> check_ip(std::string_view value) {
    if (value.empty()) return std::string();
    const auto ip = normal_ip(trim(value));
    if (!ip) return fail(Code::InvalidArgument, "failed to parse IP: {}", quoted(value));
    return *ip;
}

Result<std::string> check_dns(std::string_view value) {
    const auto ip = normal_ip(trim(value));
    if (!ip) {
        return fail(Code::InvalidArgument, "IP address is not correctly formatted: {}", value);
    }
    return *ip;
}

Result<std::string> check_dns_search(std::string_view value) {
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.ends_with(' ')) value.remove_suffix(1);
    if (value == ".") return std::string(value);
    bool has_letter = false;
    for (const char c : value) has_letter = has_letter || is_letter(c);
    if (!has_letter || !is_domain(trim(value))) {
        return fail(Code::InvalidArgument, "{} is not a valid domain", value);
    }
    std::string_view domain = trim(value);
    if (domain.ends_with('.')) domain.remove_suffix(1);
    return std::string(domain);
}

Result<std::string> check_device_rule(std::string_view value) {
    const auto is_number = [](std::string_view text) {
        if (text == "*") return true;
        for (const char c : text) {
            if (!is_digit(c)) return false;
        }
        return !text.empty();
    };
    const std::vector<std::string> words = split(value, ' ');
    if (words.size() == 3 && (words[0] == "a" || words[0] == "c" || words[0] == "b")) {
        const auto numbers = cut(words[1], ":");
        const bool modes = !words[2].empty() && words[2].size() <= 3 &&
                           words[2].find_first_not_of("rwm") == std::string::npos;
        if (modes && numbers && is_number(numbers->first) && is_number(numbers->second)) {
            return std::string(value);
        }
    }
    return fail(Code::InvalidArgument, "invalid device cgroup format '{}'", value);
}

Result<std::string> check_weight_device(std::string_view value) {
    const PathAndValue device = TRY(split_device(value));
    const auto weight = parse_uint(device.value);
    if (!weight || *weight > 1000 || (*weight > 0 && *weight < 10)) {
        return fail(Code::InvalidArgument, "invalid weight for device: {}", value);
    }
    return std::string(value);
}

Result<std::string> check_bps_device(std::string_view value) {
    const PathAndValue device = TRY(split_device(value));
    const Result<std::int64_t> rate = ram_in_bytes(device.value);
    if (!rate || *rate < 0) {
        return fail(Code::InvalidArgument,
                    "invalid rate for device: {}. The correct format is "
                    "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is "
                    "optional and can be kb, mb, or gb",
                    value);
    }
    return format("{}:{}", device.path, *rate);
}

Result<std::string> check_iops_device(std::string_view value) {
    const PathAndValue device = TRY(split_device(value));
    if (!parse_uint(device.value)) {
        return fail(Code::InvalidArgument,
                    "invalid rate for device: {}. The correct format is <device-path>:<number>. "
                    "Number must be a positive integer",
                    value);
    }
    return std::string(value);
}

Result<std::string> check_filter(std::string_view value) {
    if (value.empty()) return std::string();
    const auto sides = cut(value, "=");
    if (!sides) {
        return fail(Code::InvalidArgument, "bad format of filter (expected name=value)");
    }
    return format("{}={}", to_lower(trim(sides->first)), trim(sides->second));
}

}  // namespace coffer::cli
