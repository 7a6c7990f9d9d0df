#include "json/writer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace coffer::json {

namespace {

template <class T>
void append_number(std::string& out, T value) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
}

void append_code_point(std::string& out, unsigned point) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out.append("\\u");
    for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kHex[point >> shift & 0xF]);
}

}  // namespace

void Writer::integer(std::int64_t value) {
    append_number(out_, value);
}

void Writer::integer(std::uint64_t value) {
    append_number(out_, value);
}

// ES6 number form, as Go: plain digits between 1e-6 and 1e21, else an exponent without zeros.
void Writer::number(double value) {
    if (!std::isfinite(value)) return null();
    const double size = std::fabs(value);
    const bool scientific = size != 0 && (size < 1e-6 || size >= 1e21);
    std::array<char, 400> buffer;
    const auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                      scientific ? std::chars_format::scientific : std::chars_format::fixed)
            .ptr;
    std::string_view digits(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    if (scientific && digits.size() > 4 && digits.substr(digits.size() - 4, 3) == "e-0") {
        out_.append(digits.substr(0, digits.size() - 2));
        digits.remove_prefix(digits.size() - 1);
    }
    out_.append(digits);
}

void Writer::string(std::string_view text) {
    if (!is_utf8(text)) {
        const std::string valid = to_utf8(text);
        return string(valid);
    }
    out_.push_back('"');
    std::size_t done = 0;
    const auto flush = [&](std::size_t i, std::size_t skip) {
        out_.append(text, done, i - done);
        done = i + skip;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0xE2)
            continue;
        if (c == '<' || c == '>' || c == '&') {
            if (options_.escape != Escape::Html) continue;
            flush(i, 1);
            append_code_point(out_, c);
        } else if (c == 0xE2) {
            const std::string_view three = text.substr(i, 3);
            if (three != "\u2028" && three != "\u2029") continue;
            flush(i, 3);
            append_code_point(out_, three == "\u2028" ? 0x2028 : 0x2029);
        } else {
            flush(i, 1);
            switch (c) {
                case '"':
                    raw("\\\"");
                    break;
                case '\\':
                    raw("\\\\");
                    break;
                case '\b':
                    raw("\\b");
                    break;
                case '\f':
                    raw("\\f");
                    break;
                case '\n':
                    raw("\\n");
                    break;
                case '\r':
                    raw("\\r");
                    break;
                case '\t':
                    raw("\\t");
                    break;
                default:
                    append_code_point(out_, c);
            }
        }
    }
    flush(text.size(), 0);
    out_.push_back('"');
}

void Writer::value(const Value& value) {
    switch (value.kind()) {
        case Kind::Null:
            return null();
        case Kind::Bool:
            return boolean(*value.to_bool());
        case Kind::Int:
            return integer(*value.to_int());
        case Kind::Uint:
            return integer(*value.to_uint());
        case Kind::Double:
            return number(*value.to_double());
        case Kind::String:
            return string(*value.if_string());
        case Kind::Array:
            begin_array();
            for (const Value& item : *value.if_array()) {
                element();
                this->value(item);
            }
            return end_array();
        case Kind::Object:
            begin_object();
            for (const Member& member : *value.if_object()) {
                key(member.key);
                this->value(member.value);
            }
            return end_object();
    }
}

void Writer::key(std::string_view name) {
    separate();
    string(name);
    raw(options_.indent > 0 ? ": " : ":");
}

void Writer::begin(char bracket) {
    out_.push_back(bracket);
    ++depth_;
    first_ = true;
}

void Writer::end(char bracket) {
    --depth_;
    if (!first_) line();
    out_.push_back(bracket);
    first_ = false;
}

void Writer::separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
    line();
}

void Writer::line() {
    if (options_.indent == 0) return;
    out_.push_back('\n');
    out_.append(depth_ * static_cast<std::size_t>(options_.indent), ' ');
}

}  // namespace coffer::json
