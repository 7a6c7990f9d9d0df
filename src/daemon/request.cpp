#include "daemon/request.hpp"

#include <limits>

namespace coffer::daemon {

namespace {

// No JSON body of the API comes near it; archives and images are streams.
constexpr std::size_t kMaxJsonBody = 4 * 1024 * 1024;

Result<std::vector<std::string>> filter_values(const json::Value& value) {
    std::vector<std::string> values;
    if (const json::Array* list = value.if_array()) {
        for (const json::Value& entry : *list) {
            if (entry.if_string() == nullptr) {
                return fail(Code::InvalidArgument, "invalid filter: values must be strings");
            }
            values.push_back(*entry.if_string());
        }
        return values;
    }
    if (!value.is_object()) {
        return fail(Code::InvalidArgument, "invalid filter: expected an object or a list");
    }
    for (const json::Member& member : *value.if_object()) {
        if (member.value.to_bool().value_or(false)) values.push_back(member.key);
    }
    return values;
}

}  // namespace

std::optional<ApiVersion> parse_api_version(std::string_view text) {
    const auto sides = cut(text, ".");
    if (!sides) return std::nullopt;
    const auto major = parse_uint(sides->first);
    const auto minor = parse_uint(sides->second);
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<int>::max());
    if (!major || !minor || *major > kMost || *minor > kMost) return std::nullopt;
    return ApiVersion{static_cast<int>(*major), static_cast<int>(*minor)};
}

std::string to_string(ApiVersion version) {
    return format("{}.{}", version.major, version.minor);
}

std::string Request::text(std::string_view parameter) const {
    return std::string(http_.query.get(parameter));
}

bool Request::flag(std::string_view parameter, bool otherwise) const {
    const std::string* value = http_.query.find(parameter);
    if (value == nullptr) return otherwise;
    const std::string word = to_lower(trim(*value));
    return !(word.empty() || word == "0" || word == "no" || word == "false" || word == "none");
}

Result<std::optional<std::int64_t>> Request::number(std::string_view parameter) const {
    const std::string value = text(parameter);
    if (value.empty()) return std::optional<std::int64_t>();
    const auto parsed = parse_int(value);
    if (!parsed) {
        return fail(Code::InvalidArgument, "strconv.ParseInt: parsing \"{}\": invalid syntax",
                    value);
    }
    return parsed;
}

Result<std::int64_t> Request::number(std::string_view parameter, std::int64_t otherwise) const {
    return TRY(number(parameter)).value_or(otherwise);
}

Result<WindowSize> Request::window_size() const {
    const auto height = parse_uint(text("h"));
    const auto width = parse_uint(text("w"));
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
    if (!height || *height > kMost) {
        return fail(Code::InvalidArgument, "invalid resize height \"{}\"", text("h"));
    }
    if (!width || *width > kMost) {
        return fail(Code::InvalidArgument, "invalid resize width \"{}\"", text("w"));
    }
    return WindowSize{static_cast<unsigned>(*height), static_cast<unsigned>(*width)};
}

Result<engine::Filters> Request::filters() const {
    const std::string given = text("filters");
    std::map<std::string, std::vector<std::string>> values;
    if (given.empty()) return engine::Filters();
    const json::Value parsed = TRY_CONTEXT(json::parse(given), "invalid filter");
    if (!parsed.is_object()) return fail(Code::InvalidArgument, "invalid filter: not an object");
    for (const json::Member& member : *parsed.if_object()) {
        values[member.key] = TRY(filter_values(member.value));
    }
    return engine::Filters(std::move(values));
}

Result<std::optional<std::string>> Request::json_text(NeedBody need) const {
    if (!has_body()) {
        if (need == NeedBody::No) return std::optional<std::string>();
        return fail(Code::InvalidArgument, "invalid JSON: got EOF while reading request body");
    }
    const std::string_view type = http_.headers.get("Content-Type");
    const auto parameters = cut(type, ";");
    if (!equals_ignoring_case(trim(parameters ? parameters->first : type), "application/json")) {
        return fail(Code::InvalidArgument,
                    "unsupported Content-Type header ({}): must be 'application/json'", type);
    }
    std::string text = TRY(http_.body->read_all(kMaxJsonBody));
    if (text.empty()) return std::optional<std::string>();
    return std::optional(std::move(text));
}

}  // namespace coffer::daemon
