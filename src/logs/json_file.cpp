#include "logs/json_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "sys/file.hpp"

namespace coffer::logs {

namespace {

constexpr std::size_t kLongestPart = 16 * 1024;  // docker's buffer
constexpr std::size_t kBatch = 64 * 1024;        // written at once

std::size_t index_of(Stream stream) {
    return stream == Stream::Stdout ? 0 : 1;
}

// The length of the UTF-8 sequence at the front of `text`; 0 when it is none (overlong forms,
// surrogates and what lies above U+10FFFF are none).
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if ((first & 0xF0U) == 0xE0) {
        const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned high = first == 0xED ? 0x9F : 0xBF;
        return byte(1) >= low && byte(1) <= high && follows(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
        return byte(1) >= low && byte(1) <= high && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

// Where to cut `text` so that a character that starts before `limit` is not split.
std::size_t cut_before(std::string_view text, std::size_t limit) {
    for (std::size_t back = 1; back <= 3 && back < limit; ++back) {
        const auto byte = static_cast<unsigned char>(text[limit - back]);
        if ((byte & 0xC0U) == 0x80U) continue;
        const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        return length > back ? limit - back : limit;
    }
    return limit;
}

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
            const std::size_t length = sequence_length(text.substr(i));
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

std::string numbered(const std::string& path, std::int64_t number) {
    return format("{}.{}", path, number);
}

}  // namespace

Result<Writer> Writer::open(WriterOptions options) {
    Writer writer(std::move(options));
    TRY(writer.open_file());
    return writer;
}

Result<void> Writer::open_file() {
    file_ = TRY(sys::open_file(options_.path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0640));
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) return fail_errno("stat '{}'", options_.path);
    size_ = status.st_size;
    char last = '\n';
    if (size_ > 0 && ::pread(file_.get(), &last, 1, size_ - 1) != 1) {
        return fail_errno("read '{}'", options_.path);
    }
    torn_ = last != '\n';
    return {};
}

Result<void> Writer::write(Stream stream, std::string_view bytes) {
    std::string& partial = partial_[index_of(stream)];
    const std::string time = to_rfc3339_short(now());
    while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        const std::size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
        // The common case, a whole line, is not copied.
        if (partial.empty() && newline != std::string_view::npos && length <= kLongestPart) {
            TRY(append(stream, bytes.substr(0, length), time));
            bytes.remove_prefix(length);
            continue;
        }
        const std::size_t taken = std::min(length, kLongestPart - partial.size());
        partial.append(bytes.substr(0, taken));
        bytes.remove_prefix(taken);
        if (partial.back() == '\n') {
            TRY(append(stream, partial, time));
            partial.clear();
        } else if (partial.size() == kLongestPart) {
            const std::size_t cut = cut_before(partial, partial.size());
            TRY(append(stream, std::string_view(partial).substr(0, cut), time));
            partial.erase(0, cut);
        }
    }
    return commit();
}

Result<void> Writer::flush(Stream stream) {
    std::string& partial = partial_[index_of(stream)];
    if (partial.empty()) return {};
    partial.push_back('\n');
    const std::string line = std::exchange(partial, {});
    TRY(append(stream, line, to_rfc3339_short(now())));
    return commit();
}

Result<void> Writer::append(Stream stream, std::string_view line, std::string_view time) {
    const auto pending = static_cast<std::int64_t>(out_.size());
    if (options_.max_size > 0 && size_ + pending >= options_.max_size) {
        TRY(commit());
        TRY(rotate());
    } else if (out_.size() >= kBatch) {
        TRY(commit());
    }
    if (torn_) {
        out_.push_back('\n');
        torn_ = false;
    }
    out_.append("{\"log\":\"");
    append_escaped(out_, line);
    out_.append(stream == Stream::Stdout ? "\",\"stream\":\"stdout\",\"time\":\""
                                         : "\",\"stream\":\"stderr\",\"time\":\"");
    out_.append(time);
    out_.append("\"}\n");
    return {};
}

Result<void> Writer::commit() {
    if (out_.empty()) return {};
    std::string_view rest = out_;
    while (!rest.empty()) {
        const ssize_t n = ::write(file_.get(), rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const int error = errno;
            torn_ = torn_ || rest.size() != out_.size();
            out_.clear();
            return fail_with(error, "write log '{}'", options_.path);
        }
        size_ += n;
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
    out_.clear();
    return {};
}

Result<void> Writer::rotate() {
    const auto rename = [](const std::string& from, const std::string& to) -> Result<void> {
        if (::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
        return fail_errno("rename '{}' to '{}'", from, to);
    };
    // A new file each time, never a truncated one: a reader drains the old one by its descriptor.
    if (options_.max_files <= 1) {
        if (::unlink(options_.path.c_str()) != 0 && errno != ENOENT) {
            return fail_errno("remove '{}'", options_.path);
        }
        return open_file();
    }
    for (std::int64_t i = options_.max_files - 1; i > 1; --i) {
        TRY(rename(numbered(options_.path, i - 1), numbered(options_.path, i)));
    }
    TRY(rename(options_.path, numbered(options_.path, 1)));
    return open_file();
}

}  // namespace coffer::logs
