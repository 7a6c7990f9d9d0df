#include "yaml/parse.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/text.hpp"

namespace coffer::yaml {

namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 100'000;
constexpr std::string_view kCore = "tag:yaml.org,2002:";

bool all_of(std::string_view text, std::string_view digits) {
    return !text.empty() && text.find_first_not_of(digits) == std::string_view::npos;
}

std::optional<std::int64_t> integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    std::string_view digits = text.substr(negative || text.starts_with('+') ? 1 : 0);
    int base = 10;
    if (digits.size() == text.size() && digits.starts_with("0x")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits.starts_with('0')) {
        base = 8;
        digits.remove_prefix(digits[1] == 'o' ? 2 : 1);
    }
    std::int64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, value, base);
    if (error != std::errc() || at != end || digits.starts_with('-')) return std::nullopt;
    return negative ? -value : value;
}

std::optional<double> real(const std::string& text) {
    if (!all_of(text, "0123456789+-.eE") || text.find_first_of("0123456789") == std::string::npos)
        return std::nullopt;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size()) return std::nullopt;
    return value;
}

json::Value plain(const std::string& text) {
    for (const char* null : {"", "~", "null", "Null", "NULL"})
        if (text == null) return nullptr;
    for (const char* yes : {"true", "True", "TRUE"})
        if (text == yes) return true;
    for (const char* no : {"false", "False", "FALSE"})
        if (text == no) return false;
    if (const auto number = integer(text)) return *number;
    if (const auto number = real(text)) return *number;
    return text;
}

class Converter {
  public:
    Result<json::Value> convert(const YAML::Node& node, int depth = 0) {
        if (depth > kMaxDepth) return fail(Code::InvalidArgument, "nested too deeply");
        if (++nodes_ > kMaxNodes) return fail(Code::InvalidArgument, "too many values");
        switch (node.Type()) {
            case YAML::NodeType::Scalar:
                return scalar(node);
            case YAML::NodeType::Sequence: {
                json::Array array;
                for (const YAML::Node& item : node) array.push_back(TRY(convert(item, depth + 1)));
                return json::Value(std::move(array));
            }
            case YAML::NodeType::Map:
                return map(node, depth);
            case YAML::NodeType::Null:
            case YAML::NodeType::Undefined:
                break;
        }
        return json::Value(nullptr);
    }

  private:
    static Result<json::Value> scalar(const YAML::Node& node) {
        const std::string& tag = node.Tag();
        const std::string& text = node.Scalar();
        if (tag.empty() || tag == "?") return plain(text);
        if (tag == "!" || tag == std::string(kCore) + "str") return json::Value(text);
        if (tag.starts_with(kCore)) return plain(text);
        return fail(Code::InvalidArgument, "line {}: tag '{}' is not known", node.Mark().line + 1,
                    tag);
    }

    Result<json::Value> map(const YAML::Node& node, int depth) {
        json::Object object;
        for (const auto& pair : node) {
            const YAML::Node& key = pair.first;
            if (!key.IsScalar())
                return fail(Code::InvalidArgument, "line {}: a key is no scalar",
                            node.Mark().line + 1);
            const std::string& name = key.Scalar();
            if (std::any_of(object.begin(), object.end(),
                            [&](const json::Member& member) { return member.key == name; }))
                return fail(Code::InvalidArgument, "line {}: key '{}' is there twice",
                            key.Mark().line + 1, name);
            // Apart: a compiler forgets the key when it leaves a half-made member.
            json::Value value = TRY(convert(pair.second, depth + 1));
            object.push_back({name, std::move(value)});
        }
        return json::Value(std::move(object));
    }

    int nodes_ = 0;
};

}  // namespace

Result<json::Value> parse(std::string_view text) {
    try {
        return Converter().convert(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& error) {
        return fail(Code::InvalidArgument, "line {}: {}", error.mark.line + 1, error.msg);
    }
}

}  // namespace coffer::yaml
