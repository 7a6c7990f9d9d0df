#include <algorithm>
#include <charconv>
#include <system_error>
#include <unordered_map>

#include "base/text.hpp"
#include "json/value.hpp"

namespace coffer::json {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t point) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | point >> 6);
        put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(0xE0 | point >> 12);
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    }
}

// Recursive descent; recursion is bounded by the depth limit.
class Parser {
  public:
    Parser(std::string_view text, const ParseLimits& limits)
        : text_(text), depth_left_(limits.depth), repeated_(limits.repeated) {}

    Result<Value> document() {
        Value value = TRY(any());
        skip_blanks();
        if (at_ != text_.size()) return error("unexpected text after the document");
        return value;
    }

  private:
    Failure error(std::string_view what) const {
        return fail(Code::InvalidArgument, "invalid JSON at byte {}: {}", at_, what);
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void skip_blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\r' || text_[at_] == '\t'))
            ++at_;
    }

    Result<Value> any() {
        skip_blanks();
        if (at_ == text_.size()) return error("unexpected end");
        switch (text_[at_]) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return Value(TRY(string()));
            case 't':
                return literal("true", Value(true));
            case 'f':
                return literal("false", Value(false));
            case 'n':
                return literal("null", Value());
            default:
                return number();
        }
    }

    Result<Value> literal(std::string_view word, Value value) {
        if (!text_.substr(at_).starts_with(word)) return error("expected a value");
        at_ += word.size();
        return value;
    }

    Result<Value> number() {
        const std::size_t start = at_;
        take('-');
        if (!is_digit(peek())) return error("expected a value");
        if (!take('0')) skip_digits();
        bool whole = true;
        if (take('.')) {
            whole = false;
            if (!is_digit(peek())) return error("expected a digit");
            skip_digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            whole = false;
            ++at_;
            if (!take('+')) take('-');
            if (!is_digit(peek())) return error("expected a digit");
            skip_digits();
        }
        const std::string_view digits = text_.substr(start, at_ - start);
        if (whole && digits != "-0") {
            if (const auto value = parse_int(digits)) return Value(*value);
            if (const auto value = parse_uint(digits)) return Value(*value);
        }
        double value = 0;
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (parsed.ec != std::errc()) return error("number out of range");
        return Value(value);
    }

    void skip_digits() {
        while (is_digit(peek())) ++at_;
    }

    Result<std::string> string() {
        ++at_;  // the opening quote
        std::string out;
        for (;;) {
            std::size_t end = at_;
            while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' &&
                   static_cast<unsigned char>(text_[end]) >= 0x20)
                ++end;
            out.append(text_, at_, end - at_);
            at_ = end;
            if (at_ == text_.size()) return error("unterminated string");
            if (take('"')) return out;
            if (!take('\\')) return error("control character in a string");
            TRY(escape(out));
        }
    }

    Result<void> escape(std::string& out) {
        if (at_ == text_.size()) return error("unterminated string");
        const char c = text_[at_++];
        switch (c) {
            case '"':
            case '\\':
            case '/':
                out.push_back(c);
                return {};
            case 'b':
                out.push_back('\b');
                return {};
            case 'f':
                out.push_back('\f');
                return {};
            case 'n':
                out.push_back('\n');
                return {};
            case 'r':
                out.push_back('\r');
                return {};
            case 't':
                out.push_back('\t');
                return {};
            case 'u':
                break;
            default:
                --at_;
                return error("unknown escape");
        }
        std::uint32_t point = TRY(four_hex_digits());
        if (point >= 0xD800 && point <= 0xDBFF && text_.substr(at_).starts_with("\\u")) {
            const std::size_t after_high = at_;
            at_ += 2;
            const std::uint32_t low = TRY(four_hex_digits());
            if (low >= 0xDC00 && low <= 0xDFFF)
                point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
            else
                at_ = after_high;  // not a pair: the second one stands for itself
        }
        if (point >= 0xD800 && point <= 0xDFFF) point = 0xFFFD;  // a lone half, as Go reads it
        append_utf8(out, point);
        return {};
    }

    Result<std::uint32_t> four_hex_digits() {
        const std::string_view digits = text_.substr(at_, 4);
        std::uint32_t value = 0;
        const auto parsed =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 4 || parsed.ec != std::errc() ||
            parsed.ptr != digits.data() + digits.size())
            return error("expected four hexadecimal digits");
        at_ += 4;
        return value;
    }

    Result<void> enter() {
        if (depth_left_ == 0) return error("nested too deeply");
        --depth_left_;
        ++at_;
        skip_blanks();
        return {};
    }

    Result<Value> array() {
        TRY(enter());
        Array out;
        if (!take(']')) {
            do {
                out.push_back(TRY(any()));
                skip_blanks();
            } while (take(','));
            if (!take(']')) return error("expected ',' or ']'");
        }
        ++depth_left_;
        return Value(std::move(out));
    }

    Result<Value> object() {
        TRY(enter());
        Object out;
        if (!take('}')) {
            do {
                skip_blanks();
                if (peek() != '"') return error("expected a member name");
                std::string key = TRY(string());
                skip_blanks();
                if (!take(':')) return error("expected ':'");
                Value value = TRY(any());
                out.push_back({std::move(key), std::move(value)});
                skip_blanks();
            } while (take(','));
            if (!take('}')) return error("expected ',' or '}'");
        }
        const std::size_t members = out.size();
        keep_last_of_each_key(out);
        if (repeated_ == RepeatedKeys::Refused && out.size() != members)
            return error("an object with the same member twice");
        ++depth_left_;
        return Value(std::move(out));
    }

    static void keep_last_of_each_key(Object& object) {
        if (object.size() < 2) return;
        // Small objects, nearly all of them, need no hash table.
        if (object.size() <= 16) {
            for (std::size_t i = object.size() - 1; i-- > 0;) {
                const auto after = object.begin() + static_cast<std::ptrdiff_t>(i) + 1;
                if (std::find_if(after, object.end(), [&](const Member& m) {
                        return m.key == object[i].key;
                    }) != object.end())
                    object.erase(after - 1);
            }
            return;
        }
        std::unordered_map<std::string_view, std::size_t> last;
        for (std::size_t i = 0; i < object.size(); ++i) last[object[i].key] = i;
        if (last.size() == object.size()) return;
        std::vector<bool> keep(object.size());
        for (const auto& [key, index] : last) keep[index] = true;
        Object unique;
        for (std::size_t i = 0; i < object.size(); ++i)
            if (keep[i]) unique.push_back(std::move(object[i]));
        object = std::move(unique);
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t depth_left_;
    RepeatedKeys repeated_;
};

}  // namespace

Result<Value> parse(std::string_view text, const ParseLimits& limits) {
    if (text.size() > limits.bytes)
        return fail(Code::InvalidArgument, "invalid JSON: document larger than {} bytes",
                    limits.bytes);
    if (!is_utf8(text)) return fail(Code::InvalidArgument, "invalid JSON: not valid UTF-8");
    return Parser(text, limits).document();
}

}  // namespace coffer::json
