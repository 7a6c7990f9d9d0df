#include "network/dns.hpp"

namespace coffer::network::dns {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxLabel = 63;
constexpr std::uint16_t kInternet = 1;
constexpr std::uint32_t kTimeToLive = 600;
constexpr unsigned kResponse = 0x8000;
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
    // What fits the smallest datagram that every client takes.
    constexpr std::size_t kMost = 12;
    const std::size_t count = std::min(addresses.size(), kMost);
    std::string out = begin_answer(message, query, Rcode::NoError, count);
    for (std::size_t i = 0; i < count; ++i) {
        begin_record(out, kA, 4);
        put32(out, addresses[i].value);
    }
    return out;
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

std::optional<Address> parse_reverse(std::string_view name) {
    constexpr std::string_view kSuffix = ".in-addr.arpa";
    if (!name.ends_with(kSuffix)) return std::nullopt;
    const auto parts = split(name.substr(0, name.size() - kSuffix.size()), '.');
    if (parts.size() != 4) return std::nullopt;
    return parse_address(format("{}.{}.{}.{}", parts[3], parts[2], parts[1], parts[0]));
}

}  // namespace coffer::network::dns
