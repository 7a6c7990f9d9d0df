#include "logs/cutter.hpp"

#include <algorithm>

#include "base/id.hpp"

namespace coffer::logs {

namespace {

constexpr std::size_t kLongestPart = 16 * 1024;  // docker's buffer

std::uint64_t new_part_id() {
    std::uint64_t id = 0;
    for (const char digit : random_hex(8)) {
        id = id << 4U | static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return id;
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

}  // namespace

void Cutter::deliver_line(Stream stream, Open& open, std::string_view text,
                          const Deliver& deliver) {
    Message message{stream, open.part ? open.time : now(), text, open.part};
    if (message.part) message.part->last = true;
    deliver(message);
    open.part.reset();
}

void Cutter::deliver_part(Stream stream, Open& open, std::string_view text,
                          const Deliver& deliver) {
    if (!open.part) {
        open.part = Part{.id = new_part_id()};
        open.time = now();
    }
    deliver(Message{stream, open.time, text, open.part});
    ++open.part->ordinal;
}

void Cutter::feed(Stream stream, std::string_view bytes, const Deliver& deliver) {
    Open& open = open_[static_cast<std::size_t>(stream)];
    while (!bytes.empty()) {
        const std::size_t newline = bytes.find('\n');
        // The common case, a whole line, is not copied.
        if (open.text.empty() && newline < kLongestPart) {
            deliver_line(stream, open, bytes.substr(0, newline), deliver);
            bytes.remove_prefix(newline + 1);
            continue;
        }
        const std::size_t taken =
            std::min({newline, bytes.size(), kLongestPart - open.text.size()});
        open.text.append(bytes.substr(0, taken));
        bytes.remove_prefix(taken);
        if (open.text.size() == kLongestPart) {
            const std::size_t cut = cut_before(open.text, open.text.size());
            deliver_part(stream, open, std::string_view(open.text).substr(0, cut), deliver);
            open.text.erase(0, cut);
        } else if (!bytes.empty()) {
            deliver_line(stream, open, open.text, deliver);
            open.text.clear();
            bytes.remove_prefix(1);
        }
    }
}

void Cutter::end(Stream stream, const Deliver& deliver) {
    Open& open = open_[static_cast<std::size_t>(stream)];
    if (!open.text.empty()) deliver_part(stream, open, open.text, deliver);
    open = {};
}

}  // namespace coffer::logs
