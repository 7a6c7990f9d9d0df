#include <algorithm>

#include "archive/pax.hpp"
#include "archive/tar.hpp"

namespace coffer::archive {

namespace {

constexpr std::size_t kBlock = 512;

char flag_of(EntryType type) {
    switch (type) {
        case EntryType::Regular:
            return '0';
        case EntryType::HardLink:
            return '1';
        case EntryType::Symlink:
            return '2';
        case EntryType::CharDevice:
            return '3';
        case EntryType::BlockDevice:
            return '4';
        case EntryType::Directory:
            return '5';
        case EntryType::Fifo:
            return '6';
    }
    return '0';
}

// Octal with a NUL behind it; what does not fit is zero here and in a pax record instead.
void put_number(std::string& block, std::size_t offset, std::size_t size, std::uint64_t value) {
    std::string digits = format("{:0{}o}", value, size - 1);
    if (digits.size() > size - 1) digits = std::string(size - 1, '0');
    block.replace(offset, size - 1, digits);
}

bool fits(std::uint64_t value, std::size_t digits) {
    return value >> (3 * digits) == 0;
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

void put_text(std::string& block, std::size_t offset, std::size_t size, std::string_view text) {
    text = text.substr(0, size);
    block.replace(offset, text.size(), text);
}

std::string header(const TarEntry& entry, char flag, std::uint64_t size) {
    std::string block(kBlock, '\0');
    const std::int64_t seconds = unix_seconds(entry.mtime);
    put_text(block, 0, 100, entry.name);
    put_number(block, 100, 8, entry.mode);
    put_number(block, 108, 8, entry.uid);
    put_number(block, 116, 8, entry.gid);
    put_number(block, 124, 12, size);
    put_number(block, 136, 12, seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds));
    block[156] = flag;
    put_text(block, 157, 100, entry.link_target);
    block.replace(257, 8, "ustar\00000", 8);
    put_number(block, 329, 8, entry.device_major);
    put_number(block, 337, 8, entry.device_minor);
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    block.replace(148, 7, format("{:06o}", sum) + '\0');
    return block;
}

std::string pad(std::uint64_t size) {
    return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

std::string pax_time(Time time) {
    const auto count = time.time_since_epoch().count();
    const auto magnitude =
        count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
    std::string text = format("{}{}.{:09}", count < 0 ? "-" : "", magnitude / 1'000'000'000,
                              magnitude % 1'000'000'000);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

// The records that the plain header has no room for.
std::string pax_of(const TarEntry& entry, std::uint64_t size) {
    std::string records;
    const auto add = [&](std::string_view key, std::string_view value) {
        records += pax_record(key, value);
    };
    if (entry.name.size() > 100 || !is_ascii(entry.name)) add("path", entry.name);
    if (entry.link_target.size() > 100 || !is_ascii(entry.link_target)) {
        add("linkpath", entry.link_target);
    }
    if (!fits(size, 11)) add("size", std::to_string(size));
    if (!fits(entry.uid, 7)) add("uid", std::to_string(entry.uid));
    if (!fits(entry.gid, 7)) add("gid", std::to_string(entry.gid));
    const auto count = entry.mtime.time_since_epoch().count();
    if (count < 0 || count % 1'000'000'000 != 0) add("mtime", pax_time(entry.mtime));
    for (const auto& [name, value] : entry.xattrs) add("SCHILY.xattr." + name, value);
    return records;
}

}  // namespace

Result<void> TarWriter::add(const TarEntry& entry) {
    TRY(end_entry());
    const std::uint64_t size = entry.type == EntryType::Regular ? entry.size : 0;
    const std::string records = pax_of(entry, size);
    std::string out;
    if (!records.empty()) {
        TarEntry extended;
        extended.name = "PaxHeaders/" + entry.name.substr(entry.name.find_last_of('/') + 1);
        extended.name.resize(std::min<std::size_t>(extended.name.size(), 100));
        extended.mode = 0644;
        out = header(extended, 'x', records.size()) + records + pad(records.size());
    }
    out += header(entry, flag_of(entry.type), size);
    left_ = size;
    padding_ = pad(size).size();
    return sink_(out);
}

Result<void> TarWriter::write(std::string_view bytes) {
    if (bytes.size() > left_) return fail(Code::Internal, "tar: more content than announced");
    left_ -= bytes.size();
    return bytes.empty() ? Result<void>() : sink_(bytes);
}

Result<void> TarWriter::end_entry() {
    if (left_ != 0) return fail(Code::Internal, "tar: less content than announced");
    const std::string zeros(padding_, '\0');
    padding_ = 0;
    return zeros.empty() ? Result<void>() : sink_(zeros);
}

Result<void> TarWriter::add_file(const TarEntry& entry, std::string_view content) {
    TarEntry sized = entry;
    sized.size = content.size();
    TRY(add(sized));
    return write(content);
}

Result<void> TarWriter::finish() {
    TRY(end_entry());
    return sink_(std::string(2 * kBlock, '\0'));
}

}  // namespace coffer::archive
