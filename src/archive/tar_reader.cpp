#include <algorithm>
#include <limits>

#include "archive/pax.hpp"
#include "archive/tar.hpp"

namespace coffer::archive {

namespace {

constexpr std::size_t kBlock = 512;

Failure corrupt(std::string_view what) {
    return fail(Code::InvalidArgument, "tar: {}", what);
}

std::string_view field(std::string_view block, std::size_t offset, std::size_t size) {
    return block.substr(offset, size);
}

// Text up to the first NUL or the field's end.
std::string text_of(std::string_view block, std::size_t offset, std::size_t size) {
    const std::string_view raw = field(block, offset, size);
    return std::string(raw.substr(0, raw.find('\0')));
}

// Octal digits between blanks and NULs, or GNU's base-256 when the first bit is set.
Result<std::int64_t> number_of(std::string_view raw) {
    const auto first = static_cast<unsigned char>(raw[0]);
    if ((first & 0x80U) != 0) {
        const bool negative = (first & 0x40U) != 0;
        std::uint64_t value = negative ? ~0ULL : 0;
        for (std::size_t i = 0; i < raw.size(); ++i) {
            auto byte = static_cast<unsigned char>(raw[i]);
            if (i == 0 && !negative) byte &= 0x7fU;
            const std::uint64_t top = value >> 55U;
            if (top != (negative ? 0x1ffU : 0U)) return corrupt("number out of range");
            value = value << 8U | byte;
        }
        return static_cast<std::int64_t>(value);
    }
    while (!raw.empty() && (raw.front() == ' ' || raw.front() == '\0')) raw.remove_prefix(1);
    while (!raw.empty() && (raw.back() == ' ' || raw.back() == '\0')) raw.remove_suffix(1);
    std::int64_t value = 0;
    for (const char digit : raw.substr(0, raw.find('\0'))) {
        if (digit < '0' || digit > '7') return corrupt("invalid octal number");
        value = value * 8 + (digit - '0');  // twelve digits at most: no overflow
    }
    return value;
}

Result<std::uint64_t> unsigned_of(std::string_view block, std::size_t offset, std::size_t size,
                                  std::uint64_t limit) {
    const std::int64_t value = TRY(number_of(field(block, offset, size)));
    if (value < 0 || static_cast<std::uint64_t>(value) > limit)
        return corrupt("number out of range");
    return static_cast<std::uint64_t>(value);
}

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax63 = std::numeric_limits<std::int64_t>::max();

Result<std::uint64_t> size_of(std::string_view block) {
    return unsigned_of(block, 124, 12, kMax63);
}

Result<void> check_sum(std::string_view block) {
    const std::int64_t expected = TRY(number_of(field(block, 148, 8)));
    std::int64_t as_unsigned = 0;
    std::int64_t as_signed = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
        const char byte = i >= 148 && i < 156 ? ' ' : block[i];
        as_unsigned += static_cast<unsigned char>(byte);
        as_signed += static_cast<signed char>(byte);
    }
    if (expected != as_unsigned && expected != as_signed) return corrupt("wrong header checksum");
    return {};
}

bool is_zero(std::string_view block) {
    return block.find_first_not_of('\0') == std::string_view::npos;
}

bool is_gnu(std::string_view block) {
    return field(block, 257, 8) == std::string_view("ustar  \0", 8);
}

std::string header_name(std::string_view block) {
    std::string name = text_of(block, 0, 100);
    if (field(block, 257, 6) != std::string_view("ustar\0", 6)) return name;
    // star has its own fields at the end of the prefix.
    const bool star = field(block, 508, 4) == std::string_view("tar\0", 4);
    const std::string prefix = text_of(block, 345, star ? 131 : 155);
    return prefix.empty() ? name : prefix + "/" + name;
}

Result<EntryType> type_of(char flag, std::string_view name) {
    switch (flag) {
        case '\0':  // V7 has no folders of its own
            return name.ends_with('/') ? EntryType::Directory : EntryType::Regular;
        case '0':
        case '7':
        case 'S':
            return EntryType::Regular;
        case '1':
            return EntryType::HardLink;
        case '2':
            return EntryType::Symlink;
        case '3':
            return EntryType::CharDevice;
        case '4':
            return EntryType::BlockDevice;
        case '5':
            return EntryType::Directory;
        case '6':
            return EntryType::Fifo;
        default:
            return fail(Code::InvalidArgument, "tar: unknown entry type {} of '{}'",
                        static_cast<int>(flag), name);
    }
}

}  // namespace

TarReader::TarReader(Source& source, TarLimits limits) : source_(&source), limits_(limits) {}

// Up to `at_most` bytes of the stream; empty at its end.
Result<std::string_view> TarReader::take(std::uint64_t at_most) {
    if (chunk_.empty()) chunk_ = TRY(source_->next());
    const std::string_view piece = chunk_.substr(0, at_most);
    chunk_.remove_prefix(piece.size());
    stream_bytes_ += piece.size();
    if (stream_bytes_ > limits_.stream_bytes) {
        return fail(Code::InvalidArgument, "tar: larger than {} bytes", limits_.stream_bytes);
    }
    return piece;
}

// False at the end of the stream.
Result<bool> TarReader::read_block(std::string& block) {
    block.clear();
    while (block.size() < kBlock) {
        const std::string_view piece = TRY(take(kBlock - block.size()));
        if (piece.empty() && block.empty()) return false;
        if (piece.empty()) return corrupt("unexpected end of data");
        block.append(piece);
    }
    return true;
}

Result<void> TarReader::skip(std::uint64_t bytes) {
    while (bytes > 0) {
        const std::string_view piece = TRY(take(bytes));
        if (piece.empty()) return corrupt("unexpected end of data");
        bytes -= piece.size();
    }
    return {};
}

// The content of an extended header or of a long name.
Result<std::string> TarReader::read_payload(std::uint64_t size, std::uint64_t limit,
                                            std::string_view what) {
    if (size > limit) {
        return fail(Code::InvalidArgument, "tar: {} of {} bytes exceeds the limit of {}", what,
                    size, limit);
    }
    std::string payload;
    while (payload.size() < size) {
        const std::string_view piece = TRY(take(size - payload.size()));
        if (piece.empty()) return corrupt("unexpected end of data");
        payload.append(piece);
    }
    TRY(skip((kBlock - size % kBlock) % kBlock));
    return payload;
}

Result<std::optional<TarEntry>> TarReader::next() {
    TRY(skip(left_));
    // Who writes no end marker may leave the last padding out as well (umoci does).
    while (padding_ > 0) {
        const std::string_view piece = TRY(take(padding_));
        if (piece.empty()) break;
        padding_ -= piece.size();
    }
    left_ = padding_ = position_ = 0;
    extents_.reset();
    extent_ = 0;
    PaxRecords pax;
    std::string block;
    bool described = false;  // an extended header wants its entry
    while (!ended_) {
        if (!TRY(read_block(block)) || is_zero(block)) {
            if (described) return corrupt("extended header without an entry");
            ended_ = true;
            if (!block.empty() && TRY(read_block(block)) && !is_zero(block)) {
                return corrupt("data after the end marker");
            }
            break;
        }
        if (++headers_ > limits_.entries) {
            return fail(Code::InvalidArgument, "tar: more than {} entries", limits_.entries);
        }
        TRY(check_sum(block));
        const char flag = block[156];
        const bool is_header = flag == 'x' || flag == 'g' || flag == 'L' || flag == 'K';
        const std::uint64_t size = is_header ? TRY(size_of(block)) : 0;
        if (flag == 'x' || flag == 'g') {
            const std::string text = TRY(read_payload(size, limits_.pax_bytes, "extended header"));
            // Global headers (git's comment) say nothing that Docker would apply.
            if (flag == 'x') TRY(parse_pax(text, pax));
            described = described || flag == 'x';
        } else if (flag == 'L' || flag == 'K') {
            std::string name = TRY(read_payload(size, limits_.name_bytes + 1, "long name"));
            name.resize(std::min(name.find('\0'), name.size()));
            (flag == 'L' ? pax.path : pax.link_path) = std::move(name);
            described = true;
        } else {
            TarEntry entry = TRY(make_entry(block, pax));
            ++entries_;
            return std::optional<TarEntry>(std::move(entry));
        }
    }
    return std::optional<TarEntry>();
}

Result<TarEntry> TarReader::make_entry(const std::string& block, const PaxRecords& pax) {
    TarEntry entry;
    entry.name = pax.sparse_name ? *pax.sparse_name : pax.path ? *pax.path : header_name(block);
    entry.type = TRY(type_of(block[156], entry.name));
    entry.link_target = pax.link_path ? *pax.link_path : text_of(block, 157, 100);
    entry.mode = static_cast<std::uint32_t>(TRY(unsigned_of(block, 100, 8, kMax63)) & 07777U);
    entry.uid =
        pax.uid ? *pax.uid : static_cast<std::uint32_t>(TRY(unsigned_of(block, 108, 8, kMax32)));
    entry.gid =
        pax.gid ? *pax.gid : static_cast<std::uint32_t>(TRY(unsigned_of(block, 116, 8, kMax32)));
    const std::int64_t seconds = TRY(number_of(field(block, 136, 12)));
    const bool holds = seconds > -9'000'000'000 && seconds < 9'000'000'000;
    entry.mtime = pax.mtime ? *pax.mtime : Time(std::chrono::seconds(holds ? seconds : 0));
    if (entry.type == EntryType::CharDevice || entry.type == EntryType::BlockDevice) {
        entry.device_major = static_cast<std::uint32_t>(TRY(unsigned_of(block, 329, 8, kMax32)));
        entry.device_minor = static_cast<std::uint32_t>(TRY(unsigned_of(block, 337, 8, kMax32)));
    }
    entry.xattrs.assign(pax.xattrs.begin(), pax.xattrs.end());
    // Only files have content, whatever the size field of the others says (as in Go's reader).
    if (entry.type == EntryType::Regular) {
        left_ = pax.size ? *pax.size : TRY(size_of(block));
        if (left_ > kMax63 - kBlock) return corrupt("number out of range");
        padding_ = (kBlock - left_ % kBlock) % kBlock;
        entry.size = left_;
        TRY(read_sparse(block, pax, entry));
    }
    TRY(check_entry(entry));
    content_bytes_ += entry.size;
    if (content_bytes_ > limits_.content_bytes) {
        return fail(Code::InvalidArgument, "tar: more than {} bytes of files",
                    limits_.content_bytes);
    }
    return entry;
}

Result<void> TarReader::check_entry(const TarEntry& entry) {
    if (entry.name.empty()) return corrupt("entry without a name");
    if (entry.name.size() > limits_.name_bytes || entry.link_target.size() > limits_.name_bytes) {
        return fail(Code::InvalidArgument, "tar: name longer than {} bytes: '{}...'",
                    limits_.name_bytes, entry.name.substr(0, 64));
    }
    const auto slashes = std::count(entry.name.begin(), entry.name.end(), '/');
    if (static_cast<std::size_t>(slashes) > limits_.depth) {
        return fail(Code::InvalidArgument, "tar: name deeper than {} folders: '{}...'",
                    limits_.depth, entry.name.substr(0, 64));
    }
    const bool link = entry.type == EntryType::Symlink || entry.type == EntryType::HardLink;
    if (link && entry.link_target.empty()) {
        return fail(Code::InvalidArgument, "tar: link '{}' without a target", entry.name);
    }
    return {};
}

// The map of a sparse file, in any of its four forms, checked against what is stored.
Result<void> TarReader::read_sparse(const std::string& block, const PaxRecords& pax,
                                    TarEntry& entry) {
    if (block[156] == 'S') {
        if (!is_gnu(block)) return corrupt("sparse entry outside of a GNU archive");
        extents_ = TRY(read_gnu_sparse(block));
        entry.size = TRY(unsigned_of(block, 483, 12, kMax63));
    } else if (pax.sparse_1_0 || !pax.sparse_numbers.empty()) {
        if (!pax.sparse_size) return corrupt("sparse file without its size");
        if (*pax.sparse_size > kMax63) return corrupt("number out of range");
        if (pax.sparse_1_0) {
            extents_ = TRY(read_sparse_map());
        } else {
            extents_ = TRY(to_extents(pax.sparse_numbers, limits_.sparse_extents));
        }
        entry.size = *pax.sparse_size;
    } else {
        return {};
    }
    std::uint64_t end = 0;
    std::uint64_t stored = 0;
    for (const SparseExtent& extent : *extents_) {
        if (extent.offset < end || extent.offset > entry.size ||
            extent.length > entry.size - extent.offset) {
            return corrupt("sparse map out of order or out of range");
        }
        end = extent.offset + extent.length;
        stored += extent.length;
    }
    if (stored != left_) return corrupt("sparse map does not match the stored size");
    entry.sparse = extents_;
    return {};
}

// Old GNU: four extents in the header, then blocks of 21 while the "extended" byte is set.
Result<std::vector<SparseExtent>> TarReader::read_gnu_sparse(std::string block) {
    std::vector<SparseExtent> extents;
    std::size_t offset = 386;
    std::size_t count = 4;
    bool extended = block[482] != '\0';
    for (;;) {
        for (std::size_t i = 0; i < count; ++i, offset += 24) {
            if (block[offset] == '\0' && block[offset + 12] == '\0') break;
            if (extents.size() >= limits_.sparse_extents) return corrupt("sparse map too long");
            const std::uint64_t start = TRY(unsigned_of(block, offset, 12, kMax63));
            extents.push_back({start, TRY(unsigned_of(block, offset + 12, 12, kMax63))});
        }
        if (!extended) return extents;
        if (!TRY(read_block(block))) return corrupt("unexpected end of data");
        if (++headers_ > limits_.entries) return corrupt("sparse map too long");
        offset = 0;
        count = 21;
        extended = block[504] != '\0';
    }
}

// GNU 1.0: decimal lines (count, then offset and length of each) in whole blocks of the content.
Result<std::vector<SparseExtent>> TarReader::read_sparse_map() {
    std::vector<std::uint64_t> numbers;
    std::uint64_t expected = 1;
    std::string digits;
    std::string block;
    while (numbers.size() < expected) {
        if (left_ < kBlock) return corrupt("sparse map longer than the entry");
        if (!TRY(read_block(block))) return corrupt("unexpected end of data");
        left_ -= kBlock;
        for (const char c : block) {
            if (numbers.size() == expected) break;
            if (c != '\n') {
                digits.push_back(c);
                if (digits.size() > 20) return corrupt("invalid sparse map");
                continue;
            }
            const auto value = parse_uint(digits);
            if (!value) return corrupt("invalid sparse map");
            digits.clear();
            if (numbers.empty()) {
                if (*value > limits_.sparse_extents) return corrupt("sparse map too long");
                expected = 1 + 2 * *value;
            }
            numbers.push_back(*value);
        }
    }
    numbers.erase(numbers.begin());
    return to_extents(numbers, limits_.sparse_extents);
}

Result<TarReader::Piece> TarReader::read() {
    Piece piece;
    if (left_ == 0) return piece;
    std::uint64_t most = left_;
    piece.offset = position_;
    if (extents_) {
        while ((*extents_)[extent_].length == position_) {
            ++extent_;
            position_ = 0;
        }
        const SparseExtent& extent = (*extents_)[extent_];
        most = extent.length - position_;
        piece.offset = extent.offset + position_;
    }
    piece.bytes = TRY(take(most));
    if (piece.bytes.empty()) return corrupt("unexpected end of data");
    left_ -= piece.bytes.size();
    position_ += piece.bytes.size();
    return piece;
}

Result<void> TarReader::drain() {
    for (;;) {
        const std::string_view piece = TRY(take(std::numeric_limits<std::uint64_t>::max()));
        if (piece.empty()) return {};
    }
}

}  // namespace coffer::archive
