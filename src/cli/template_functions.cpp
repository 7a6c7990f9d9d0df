#include "cli/template_functions.hpp"

#include <array>
#include <compare>

#include "base/text.hpp"
#include "cli/flags.hpp"
#include "cli/template_parse.hpp"

namespace coffer::cli {

namespace {

using json::Kind;
using json::Value;

Result<std::string> string_at(const Arguments& args, std::size_t index, std::string_view name) {
    if (index >= args.size()) {
        return fail(Code::InvalidArgument, "wrong number of args for {}: want at least {} got {}",
                    name, index + 1, args.size());
    }
    const std::string* text = args[index].if_string();
    return text != nullptr ? *text : template_text(args[index]);
}

Result<std::int64_t> integer_at(const Arguments& args, std::size_t index, std::string_view name) {
    const auto number = index < args.size() ? args[index].to_int() : std::nullopt;
    if (!number) return fail(Code::InvalidArgument, "wrong type for value; {} wants an int", name);
    return *number;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

std::string title(std::string_view text) {
    std::string out(text);
    bool start = true;
    for (char& c : out) {
        if (start) c = upper(std::string_view(&c, 1))[0];
        start = c == ' ' || c == '\t' || c == '\n' || c == '-' || c == '/' || c == '.';
    }
    return out;
}

// printf with %s %d %v %q %x %t %%, flags "-" and "0" and a width.
Result<std::string> print_formatted(const Arguments& args) {
    const std::string pattern = TRY(string_at(args, 0, "printf"));
    std::size_t next = 1;
    std::string out;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            out += pattern[i];
            continue;
        }
        std::string spec;
        while (++i < pattern.size() &&
               std::string_view("-+ 0123456789.#").find(pattern[i]) != std::string_view::npos) {
            spec += pattern[i];
        }
        const char verb = i < pattern.size() ? pattern[i] : '!';
        if (verb == '%') {
            out += '%';
            continue;
        }
        if (next >= args.size()) {
            out += format("%!{}(MISSING)", verb);
            continue;
        }
        const Value& value = args[next++];
        std::string text = template_text(value);
        if (verb == 'q') text = quoted(text);
        if (verb == 'x') {
            const auto number = value.to_int();
            text = number ? format("{:x}", *number) : to_hex(text);
        }
        const bool left = spec.starts_with('-');
        if (left) spec.erase(0, 1);
        const bool zero = spec.starts_with('0');
        const auto sides = cut(spec, ".");
        if (sides && verb == 'f') {
            const auto digits = parse_uint(sides->second).value_or(6);
            text = format("{:.{}f}", value.to_double().value_or(0),
                          std::min<std::uint64_t>(digits, 30));
        } else if (sides && (verb == 's' || verb == 'v')) {
            text.resize(std::min<std::size_t>(text.size(), parse_uint(sides->second).value_or(0)));
        }
        const std::size_t width =
            std::min<std::size_t>(parse_uint(sides ? sides->first : spec).value_or(0), 1000);
        const std::string fill(width > text.size() ? width - text.size() : 0,
                               zero && !left ? '0' : ' ');
        out += left ? text + fill : fill + text;
    }
    return out;
}

// As fmt.Print: blanks between operands when neither is a string.
std::string printed(const Arguments& args) {
    std::string out;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (i > 0 && args[i].kind() != Kind::String && args[i - 1].kind() != Kind::String) {
            out += ' ';
        }
        out += template_text(args[i]);
    }
    return out;
}

std::string printed_line(const Arguments& args) {
    std::string out;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (i > 0) out += ' ';
        out += template_text(args[i]);
    }
    return out + '\n';
}

Result<Value> indexed(const Arguments& args) {
    if (args.empty()) return fail(Code::InvalidArgument, "wrong number of args for index");
    const Value* item = &args[0];
    for (std::size_t i = 1; i < args.size(); ++i) {
        if (const auto* list = item->if_array()) {
            const auto at = args[i].to_int();
            if (!at)
                return fail(Code::InvalidArgument, "cannot index slice/array with type string");
            if (*at < 0 || static_cast<std::size_t>(*at) >= list->size()) {
                return fail(Code::InvalidArgument, "index out of range: {}", *at);
            }
            item = &(*list)[static_cast<std::size_t>(*at)];
        } else if (const std::string* text = item->if_string()) {
            const auto at = args[i].to_int();
            if (!at || *at < 0 || static_cast<std::size_t>(*at) >= text->size()) {
                return fail(Code::InvalidArgument, "index out of range");
            }
            return Value(
                std::int64_t{static_cast<unsigned char>((*text)[static_cast<std::size_t>(*at)])});
        } else if (item->is_object()) {
            item = item->find(TRY(string_at(args, i, "index")));
            if (item == nullptr) return Value("");
        } else {
            return fail(Code::InvalidArgument, "index of untyped nil");
        }
    }
    return *item;
}

Result<Value> length(const Arguments& args) {
    if (args.size() != 1) return fail(Code::InvalidArgument, "wrong number of args for len");
    if (const auto* list = args[0].if_array()) return Value(list->size());
    if (const auto* object = args[0].if_object()) return Value(object->size());
    if (const auto* text = args[0].if_string()) return Value(text->size());
    if (args[0].is_null()) return Value(0);
    return fail(Code::InvalidArgument, "len of type {}", json::kind_name(args[0].kind()));
}

Result<Value> compared(std::string_view name, const Arguments& args) {
    if (args.size() < 2) return fail(Code::InvalidArgument, "missing argument for comparison");
    const auto order = [&](const Value& a, const Value& b) -> Result<std::partial_ordering> {
        const auto left = a.to_double();
        const auto right = b.to_double();
        if (left && right) return *left <=> *right;
        const std::string* one = a.if_string();
        const std::string* other = b.if_string();
        if (one != nullptr && other != nullptr) {
            return std::partial_ordering(one->compare(*other) <=> 0);
        }
        if (a.kind() == b.kind() || a.is_null() || b.is_null()) {
            return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
        }
        return fail(Code::InvalidArgument, "incompatible types for comparison");
    };
    if (name == "eq") {  // true if the first equals any other
        for (std::size_t i = 1; i < args.size(); ++i) {
            if (std::is_eq(TRY(order(args[0], args[i])))) return Value(true);
        }
        return Value(false);
    }
    const std::partial_ordering result = TRY(order(args[0], args[1]));
    if (name == "ne") return Value(!std::is_eq(result));
    if (name == "lt") return Value(std::is_lt(result));
    if (name == "le") return Value(std::is_lteq(result));
    if (name == "gt") return Value(std::is_gt(result));
    return Value(std::is_gteq(result));
}

Result<Value> split_words(const Arguments& args) {
    const std::string text = TRY(string_at(args, 0, "split"));
    const std::string separator = TRY(string_at(args, 1, "split"));
    json::Array out;
    std::string_view rest = text;
    while (!separator.empty()) {
        const auto sides = cut(rest, separator);
        if (!sides) break;
        out.emplace_back(sides->first);
        rest = sides->second;
    }
    out.emplace_back(rest);
    return Value(std::move(out));
}

Result<Value> join_words(const Arguments& args) {
    const std::string separator = TRY(string_at(args, 1, "join"));
    const auto* list = args[0].if_array();
    if (list == nullptr && !args[0].is_null()) {
        return fail(Code::InvalidArgument, "wrong type for value; expected []string");
    }
    std::vector<std::string> words;
    for (const Value& item : list != nullptr ? *list : json::Array{}) {
        words.push_back(template_text(item));
    }
    return Value(join(words, separator));
}

constexpr std::array<std::string_view, 23> kFunctions = {
    "json",  "split",   "join",   "title", "lower", "upper", "pad",  "truncate",
    "print", "println", "printf", "index", "len",   "eq",    "ne",   "lt",
    "le",    "gt",      "ge",     "and",   "or",    "not",   "slice"};

}  // namespace

bool is_template_function(std::string_view name) {
    return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end();
}

bool is_truth(const Value& value) {
    switch (value.kind()) {
        case Kind::Null:
            return false;
        case Kind::Bool:
            return *value.to_bool();
        case Kind::Int:
        case Kind::Uint:
        case Kind::Double:
            return value.to_double() != 0.0;
        case Kind::String:
            return !value.if_string()->empty();
        case Kind::Array:
            return !value.if_array()->empty();
        case Kind::Object:
            return !value.if_object()->empty();
    }
    return false;
}

Result<Value> call_template_function(std::string_view name, const Arguments& args) {
    if (name == "json") {
        if (args.empty()) return fail(Code::InvalidArgument, "wrong number of args for json");
        return Value(json::write(args[0], {.escape = json::Escape::Plain}));
    }
    if (name == "split") return split_words(args);
    if (name == "join") return join_words(args);
    if (name == "title") return Value(title(TRY(string_at(args, 0, name))));
    if (name == "lower") return Value(to_lower(TRY(string_at(args, 0, name))));
    if (name == "upper") return Value(upper(TRY(string_at(args, 0, name))));
    if (name == "pad") {
        const std::string text = TRY(string_at(args, 0, name));
        const auto before =
            static_cast<std::size_t>(std::max<std::int64_t>(0, TRY(integer_at(args, 1, name))));
        const auto after =
            static_cast<std::size_t>(std::max<std::int64_t>(0, TRY(integer_at(args, 2, name))));
        if (text.empty()) return Value(text);
        return Value(std::string(before, ' ') + text + std::string(after, ' '));
    }
    if (name == "truncate") {
        const std::string text = TRY(string_at(args, 0, name));
        const auto length_limit = TRY(integer_at(args, 1, name));
        return Value(
            text.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(0, length_limit))));
    }
    if (name == "print") return Value(printed(args));
    if (name == "println") return Value(printed_line(args));
    if (name == "printf") return Value(TRY(print_formatted(args)));
    if (name == "index") return indexed(args);
    if (name == "len") return length(args);
    if (name == "not") return Value(args.size() == 1 && !is_truth(args[0]));
    if (name == "slice") {
        const std::string text = TRY(string_at(args, 0, name));
        const auto from = args.size() > 1 ? TRY(integer_at(args, 1, name)) : 0;
        const auto to = args.size() > 2 ? TRY(integer_at(args, 2, name))
                                        : static_cast<std::int64_t>(text.size());
        if (from < 0 || to < from || to > static_cast<std::int64_t>(text.size())) {
            return fail(Code::InvalidArgument, "index out of range: {}", to);
        }
        return Value(
            text.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)));
    }
    if (name == "and" || name == "or") {
        if (args.empty()) return fail(Code::InvalidArgument, "wrong number of args for {}", name);
        for (const Value& value : args) {
            if (is_truth(value) == (name == "or")) return value;
        }
        return args.back();
    }
    return compared(name, args);
}

}  // namespace coffer::cli
