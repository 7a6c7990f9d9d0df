#include "archive/pax.hpp"

#include <limits>

#include "base/text.hpp"

namespace coffer::archive {

namespace {

constexpr std::string_view kXattr = "SCHILY.xattr.";

Failure invalid(std::string_view key) {
    return fail(Code::InvalidArgument, "tar: invalid extended header record '{}'", key);
}

Result<std::uint64_t> number(std::string_view key, std::string_view value) {
    const auto parsed = parse_uint(value);
    if (!parsed) return invalid(key);
    return *parsed;
}

Result<std::uint32_t> owner(std::string_view key, std::string_view value) {
    const std::uint64_t id = TRY(number(key, value));
    if (id > std::numeric_limits<std::uint32_t>::max()) return invalid(key);
    return static_cast<std::uint32_t>(id);
}

Result<std::string> text(std::string_view key, std::string_view value) {
    if (value.find('\0') != std::string_view::npos) return invalid(key);
    return std::string(value);
}

Result<void> apply_sparse(std::string_view key, std::string_view value, PaxRecords& records) {
    if (key == "GNU.sparse.major") {
        records.sparse_1_0 = value == "1";
    } else if (key == "GNU.sparse.minor") {
        if (value != "0" && value != "1") return invalid(key);
    } else if (key == "GNU.sparse.name") {
        records.sparse_name = TRY(text(key, value));
    } else if (key == "GNU.sparse.size" || key == "GNU.sparse.realsize") {
        records.sparse_size = TRY(number(key, value));
    } else if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
        const bool expects_offset = records.sparse_numbers.size() % 2 == 0;
        if ((key == "GNU.sparse.offset") != expects_offset) return invalid(key);
        records.sparse_numbers.push_back(TRY(number(key, value)));
    } else if (key == "GNU.sparse.map") {
        records.sparse_numbers.clear();
        if (value.empty()) return {};
        for (const std::string& part : split(value, ',')) {
            records.sparse_numbers.push_back(TRY(number(key, part)));
        }
    }
    return {};
}

// An empty value takes the record back, as POSIX says.
Result<void> apply(std::string_view key, std::string_view value, PaxRecords& records) {
    const bool reset = value.empty();
    if (key == "path") {
        records.path.reset();
        if (!reset) records.path = TRY(text(key, value));
    } else if (key == "linkpath") {
        records.link_path.reset();
        if (!reset) records.link_path = TRY(text(key, value));
    } else if (key == "size") {
        records.size.reset();
        if (!reset) records.size = TRY(number(key, value));
    } else if (key == "uid") {
        records.uid.reset();
        if (!reset) records.uid = TRY(owner(key, value));
    } else if (key == "gid") {
        records.gid.reset();
        if (!reset) records.gid = TRY(owner(key, value));
    } else if (key == "mtime") {
        records.mtime.reset();
        if (!reset) records.mtime = parse_pax_time(value);
        if (!reset && !records.mtime) return invalid(key);
    } else if (key.starts_with(kXattr)) {
        const std::string name = TRY(text(key, key.substr(kXattr.size())));
        if (name.empty()) return invalid(key);
        records.xattrs[name] = std::string(value);
    } else if (key.starts_with("GNU.sparse.")) {
        return apply_sparse(key, value, records);
    }
    return {};
}

}  // namespace

Result<void> parse_pax(std::string_view text, PaxRecords& records) {
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        if (space == std::string_view::npos || space > 19) return invalid("no length");
        const auto length = parse_uint(text.substr(0, space));
        if (!length || *length > text.size() || *length < space + 3) return invalid("wrong length");
        std::string_view record = text.substr(space + 1, *length - space - 1);
        text.remove_prefix(*length);
        if (!record.ends_with('\n')) return invalid("no newline");
        record.remove_suffix(1);
        const std::size_t equals = record.find('=');
        if (equals == std::string_view::npos || equals == 0) return invalid("no key");
        TRY(apply(record.substr(0, equals), record.substr(equals + 1), records));
    }
    return {};
}

std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t body = key.size() + value.size() + 3;  // blank, equals, newline
    std::size_t length = body + 1;
    while (length != body + std::to_string(length).size()) {
        length = body + std::to_string(length).size();
    }
    std::string out = std::to_string(length);
    out.append(" ").append(key).append("=").append(value).append("\n");
    return out;
}

std::optional<Time> parse_pax_time(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const std::size_t dot = text.find('.');
    const std::string_view whole = text.substr(0, dot);
    std::string fraction(dot == std::string_view::npos ? "" : text.substr(dot + 1));
    const auto seconds = parse_uint(whole);
    if (!seconds || fraction.find_first_not_of("0123456789") != std::string::npos) return {};
    fraction.resize(9, '0');
    const auto nanoseconds = parse_uint(fraction);
    if (!nanoseconds) return {};
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
    if (*seconds > kMost) return Time{};
    const auto since = std::chrono::seconds(static_cast<std::int64_t>(*seconds)) +
                       std::chrono::nanoseconds(static_cast<std::int64_t>(*nanoseconds));
    return negative ? Time(-since) : Time(since);
}

Result<std::vector<SparseExtent>> to_extents(const std::vector<std::uint64_t>& numbers,
                                             std::size_t limit) {
    if (numbers.size() % 2 != 0) return fail(Code::InvalidArgument, "tar: odd sparse map");
    if (numbers.size() / 2 > limit) {
        return fail(Code::InvalidArgument, "tar: more than {} extents in a sparse file", limit);
    }
    std::vector<SparseExtent> extents;
    extents.reserve(numbers.size() / 2);
    for (std::size_t i = 0; i < numbers.size(); i += 2) {
        extents.push_back({numbers[i], numbers[i + 1]});
    }
    return extents;
}

}  // namespace coffer::archive
