#include "network/dns.hpp"

#include <algorithm>

namespace coffer::network::dns {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxLabel = 63;
constexpr std::uint16_t kInternet = 1;
constexpr std::uint32_t kTimeToLive = 600;
constexpr std::uint32_t kMostKept = 3600;   // seconds
constexpr std::uint32_t kMostKeptNo = 300;  // of an answer that says no
constexpr unsigned kResponse = 0x8000;
constexpr unsigned kTruncated = 0x0200;
constexpr unsigned kOpcode = 0x7800;
constexpr unsigned kRecursionDesired = 0x0100;
constexpr unsigned kRecursionAvailable = 0x0080;
// A pointer to the name of the question, which stands right behind the header.
constexpr std::uint16_t kQuestionName = 0xC000U | kHeader;

std::uint16_t get16(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8U |
                                      static_cast<unsigned char>(bytes[at + 1]));
}

void put16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8U & 0xFFU);
    out += static_cast<char>(value & 0xFFU);
}

void put32(std::string& out, std::uint32_t value) {
    put16(out, value >> 16U);
    put16(out, value & 0xFFFFU);
}

std::uint32_t get32(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint32_t>(get16(bytes, at)) << 16U | get16(bytes, at + 2);
}

bool is_plain(char c) {
    return c > ' ' && c < '\x7f' && c != '.' && c != '\\';
}

// The name at `at`, moved behind it; a question has no compression. False when it is malformed.
bool read_name(std::string_view message, std::size_t& at, std::string& name) {
    const std::size_t start = at;
    bool plain = true;
    for (;;) {
        if (at >= message.size()) return false;
        const std::size_t length = static_cast<unsigned char>(message[at++]);
        if (length == 0) break;
        if (length > kMaxLabel || length > message.size() - at) return false;
        if (at + length - start >= kMaxName) return false;
        if (!name.empty()) name += '.';
        for (const char c : message.substr(at, length)) plain = plain && is_plain(c);
        name += message.substr(at, length);
        at += length;
    }
    name = plain ? to_lower(name) : std::string();
    return true;
}

// Behind a name that may end in a pointer; false when it is malformed.
bool skip_name(std::string_view message, std::size_t& at) {
    while (at < message.size()) {
        const std::size_t length = static_cast<unsigned char>(message[at++]);
        if (length == 0) return true;
        if (length >= 0xC0U) return ++at <= message.size();
        if (length > kMaxLabel) return false;
        at += length;
    }
    return false;
}

// Header and question, with room for the records that follow.
std::string begin_answer(std::string_view message, const Query& query, Rcode code,
                         std::size_t answers) {
    std::string out;
    put16(out, query.id);
    const unsigned kept = get16(message, 2) & (kOpcode | kRecursionDesired);
    put16(out, kResponse | kept | kRecursionAvailable | static_cast<unsigned>(code));
    put16(out, 1);
    put16(out, static_cast<unsigned>(answers));
    put32(out, 0);  // no authority, nothing additional
    out += message.substr(kHeader, query.size - kHeader);
    return out;
}

void begin_record(std::string& out, std::uint16_t type, std::size_t size) {
    put16(out, kQuestionName);
    put16(out, type);
    put16(out, kInternet);
    put32(out, kTimeToLive);
    put16(out, static_cast<unsigned>(size));
}

}  // namespace

std::optional<Query> parse_query(std::string_view message) {
    if (message.size() < kHeader || message.size() > kMaxQuery) return std::nullopt;
    const unsigned flags = get16(message, 2);
    if ((flags & kResponse) != 0 || get16(message, 4) != 1) return std::nullopt;
    Query query;
    query.id = get16(message, 0);
    query.standard = (flags & kOpcode) == 0;
    std::size_t at = kHeader;
    if (!read_name(message, at, query.question.name)) return std::nullopt;
    if (message.size() - at < 4) return std::nullopt;
    query.question.type = get16(message, at);
    query.question.internet = get16(message, at + 2) == kInternet;
    query.size = at + 4;
    return query;
}

std::string error_answer(std::string_view message, const Query& query, Rcode code) {
    return begin_answer(message, query, code, 0);
}

std::string address_answer(std::string_view message, const Query& query,
                           const std::vector<Address>& addresses) {
    constexpr std::size_t kSmallest = 512;
    std::string records;
    std::size_t count = 0;
    for (const Address& address : addresses) {
        std::string record;
        const std::string bytes = address.bytes();
        begin_record(record, type_of(address), bytes.size());
        record += bytes;
        if (query.size + records.size() + record.size() > kSmallest) break;
        records += record;
        ++count;
    }
    return begin_answer(message, query, Rcode::NoError, count) + records;
}

std::string pointer_answer(std::string_view message, const Query& query, std::string_view name) {
    std::string encoded;
    for (const std::string& label : split(name, '.')) {
        if (label.empty() || label.size() > kMaxLabel)
            return error_answer(message, query, Rcode::NxDomain);
        encoded += static_cast<char>(label.size());
        encoded += label;
    }
    encoded += '\0';
    if (encoded.size() > kMaxName) return error_answer(message, query, Rcode::NxDomain);
    std::string out = begin_answer(message, query, Rcode::NoError, 1);
    begin_record(out, kPtr, encoded.size());
    return out + encoded;
}

bool is_answer_to(std::string_view reply, std::string_view message) {
    const auto query = parse_query(message);
    if (!query || reply.size() < kHeader || reply.size() > kMaxMessage) return false;
    if (get16(reply, 0) != query->id || (get16(reply, 2) & kResponse) == 0) return false;
    // A server that could not even read the question may leave it out of its error.
    if (get16(reply, 4) == 0) return rcode_of(reply) != Rcode::NoError;
    if (get16(reply, 4) != 1 || reply.size() < query->size) return false;
    return equals_ignoring_case(reply.substr(kHeader, query->size - kHeader),
                                message.substr(kHeader, query->size - kHeader));
}

Rcode rcode_of(std::string_view reply) {
    return static_cast<Rcode>(get16(reply, 2) & 0x000FU);
}

void set_id(std::string& message, std::uint16_t id) {
    message[0] = static_cast<char>(id >> 8U);
    message[1] = static_cast<char>(id & 0xFFU);
}

std::optional<std::vector<Record>> read_records(std::string_view message) {
    if (message.size() < kHeader) return std::nullopt;
    std::size_t at = kHeader;
    for (unsigned i = get16(message, 4); i > 0; --i) {
        if (!skip_name(message, at)) return std::nullopt;
        at += 4;
    }
    const std::size_t answers = get16(message, 6);
    const std::size_t count = answers + get16(message, 8) + get16(message, 10);
    std::vector<Record> records;
    while (records.size() < count) {
        constexpr std::size_t kFixed = 10;
        if (!skip_name(message, at) || message.size() - at < kFixed) return std::nullopt;
        const std::size_t size = get16(message, at + 8);
        if (message.size() - at - kFixed < size) return std::nullopt;
        records.push_back({get16(message, at), records.size() < answers, at + 4,
                           get32(message, at + 4), message.substr(at + kFixed, size)});
        at += kFixed + size;
    }
    return records;
}

std::uint32_t lifetime(std::string_view reply) {
    const auto records = read_records(reply);
    if (!records || (get16(reply, 2) & kTruncated) != 0) return 0;
    const Rcode code = rcode_of(reply);
    const bool answered = std::any_of(records->begin(), records->end(),
                                      [](const Record& record) { return record.answers; });
    const bool is_no = code == Rcode::NxDomain || (code == Rcode::NoError && !answered);
    if (code != Rcode::NoError && !is_no) return 0;
    std::uint32_t least = is_no ? kMostKeptNo : kMostKept;
    bool says_how_long = !is_no;
    for (const Record& record : *records) {
        if (record.type == kOpt) continue;
        least = std::min(least, record.ttl);
        constexpr std::size_t kNumbers = 20;  // that end an SOA record: the last is for a no
        if (record.type != kSoa || record.answers || record.data.size() < kNumbers) continue;
        least = std::min(least, get32(record.data, record.data.size() - 4));
        says_how_long = true;
    }
    return says_how_long ? least : 0;
}

void age(std::string& reply, std::uint32_t seconds) {
    const auto records = read_records(reply);
    if (!records) return;
    for (const Record& record : *records) {
        if (record.type == kOpt) continue;
        const std::uint32_t left = record.ttl - std::min(record.ttl, seconds);
        for (unsigned i = 0; i < 4; ++i)
            reply[record.ttl_at + i] = static_cast<char>(left >> (24U - 8U * i) & 0xFFU);
    }
}

std::optional<Address> parse_reverse(std::string_view name) {
    constexpr std::string_view kV4 = ".in-addr.arpa";
    constexpr std::string_view kV6 = ".ip6.arpa";
    const bool is_v6 = name.ends_with(kV6);
    if (!is_v6 && !name.ends_with(kV4)) return std::nullopt;
    auto parts = split(name.substr(0, name.size() - (is_v6 ? kV6 : kV4).size()), '.');
    std::reverse(parts.begin(), parts.end());
    if (!is_v6) return parse_ipv4(join(parts, "."));
    if (parts.size() != 32) return std::nullopt;
    std::string text;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].size() != 1) return std::nullopt;
        if (i != 0 && i % 4 == 0) text += ':';
        text += parts[i];
    }
    return parse_ipv6(text);
}

}  // namespace coffer::network::dns
