#include "logs/format.hpp"

#include <array>

namespace coffer::logs {

namespace {

constexpr unsigned kIsStderr = 1;
constexpr unsigned kIsPart = 2;
constexpr unsigned kIsLast = 4;
constexpr std::size_t kHead = 1 + 8;
constexpr std::size_t kPartHead = kHead + 8 + 4;

void append_escaped(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    constexpr std::string_view kLineSeparators = "\xE2\x80";  // U+2028 and U+2029: ...A8, ...A9
    std::size_t plain = 0;                                    // start of what is copied as it is
    std::size_t i = 0;
    const auto replace = [&](std::string_view with, std::size_t length) {
        out.append(text, plain, i - plain);
        out.append(with);
        i += length;
        plain = i;
    };
    while (i < text.size()) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x80) {
            const std::size_t length = utf8_length(text.substr(i));
            if (length == 0) {
                replace("\\ufffd", 1);
            } else if (length == 3 && text.substr(i, 2) == kLineSeparators &&
                       (text[i + 2] == '\xA8' || text[i + 2] == '\xA9')) {
                replace(text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029", 3);
            } else {
                i += length;
            }
        } else if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' &&
                   byte != '&') {
            ++i;
        } else if (byte == '"' || byte == '\\') {
            replace(byte == '"' ? "\\\"" : "\\\\", 1);
        } else if (byte == '\n' || byte == '\r' || byte == '\t') {
            replace(byte == '\n' ? "\\n" : byte == '\r' ? "\\r" : "\\t", 1);
        } else {
            const std::array<char, 6> code = {
                '\\', 'u', '0', '0', kHex[byte >> 4U], kHex[byte & 15U]};
            replace(std::string_view(code.data(), code.size()), 1);
        }
    }
    out.append(text, plain, text.size() - plain);
}

}  // namespace

void append_number(std::string& out, std::uint64_t number, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8U * i)));
}

std::uint64_t read_number(std::string_view bytes, unsigned count) {
    std::uint64_t number = 0;
    for (unsigned i = 0; i < count; ++i) {
        number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8U * i);
    }
    return number;
}

void append_json(std::string& out, const Message& message, std::string_view attributes) {
    out.append("{\"log\":\"");
    append_escaped(out, message.text);
    if (message.ends_line()) out.append("\\n");
    out.append(message.stream == Stream::Stdout ? "\",\"stream\":\"stdout\""
                                                : "\",\"stream\":\"stderr\"");
    if (!attributes.empty()) {
        out.append(",\"attrs\":");
        out.append(attributes);
    }
    out.append(",\"time\":\"");
    out.append(to_rfc3339_short(message.time));
    out.append("\"}\n");
}

void append_local(std::string& out, const Message& message) {
    const std::size_t length = (message.part ? kPartHead : kHead) + message.text.size();
    append_number(out, length, kLocalFrame);
    const unsigned flags = (message.stream == Stream::Stderr ? kIsStderr : 0U) |
                           (message.part ? kIsPart : 0U) |
                           (message.part && message.part->last ? kIsLast : 0U);
    out.push_back(static_cast<char>(flags));
    append_number(out, static_cast<std::uint64_t>(message.time.time_since_epoch().count()), 8);
    if (message.part) {
        append_number(out, message.part->id, 8);
        append_number(out, message.part->ordinal, 4);
    }
    out.append(message.text);
    append_number(out, length, kLocalFrame);
}

std::uint32_t local_length(std::string_view frame) {
    return static_cast<std::uint32_t>(read_number(frame, kLocalFrame));
}

std::optional<std::size_t> measure(Format format, std::string_view bytes) {
    if (format == Format::Json) {
        const std::size_t newline = bytes.find('\n');
        return newline == std::string_view::npos ? 0 : newline + 1;
    }
    if (bytes.size() < kLocalFrame) return 0;
    const std::size_t length = local_length(bytes);
    if (length < kHead || length > kLongestRecord) return std::nullopt;
    const std::size_t whole = length + 2 * kLocalFrame;
    if (bytes.size() < whole) return 0;
    if (local_length(bytes.substr(kLocalFrame + length)) != length) return std::nullopt;
    return whole;
}

std::optional<Message> decode_local(std::string_view record) {
    const auto whole = measure(Format::Local, record);
    if (!whole || *whole != record.size()) return std::nullopt;
    std::string_view body = record.substr(kLocalFrame, record.size() - 2 * kLocalFrame);
    const unsigned flags = static_cast<unsigned char>(body[0]);
    if (flags > (kIsStderr | kIsPart | kIsLast)) return std::nullopt;
    Message message;
    message.stream = (flags & kIsStderr) != 0 ? Stream::Stderr : Stream::Stdout;
    message.time =
        Time(std::chrono::nanoseconds(static_cast<std::int64_t>(read_number(body.substr(1), 8))));
    body.remove_prefix(kHead);
    if ((flags & kIsPart) != 0) {
        if (body.size() < kPartHead - kHead) return std::nullopt;
        message.part =
            Part{read_number(body, 8), static_cast<std::uint32_t>(read_number(body.substr(8), 4)),
                 (flags & kIsLast) != 0};
        body.remove_prefix(kPartHead - kHead);
    }
    message.text = body;
    return message;
}

}  // namespace coffer::logs
