#pragma once
// Messages of the Domain Name System, as far as a resolver that answers for its own names and
// passes everything else on needs them (RFC 1035): one question read, answers of addresses and
// names written. The bytes come from containers and from name servers: nothing in them is trusted.
// Pure functions, safe from any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "network/ipam.hpp"

namespace coffer::network::dns {

constexpr std::size_t kMaxMessage = 65535;
constexpr std::size_t kMaxQuery = 4096;  // a question and its EDNS options are far smaller

enum Type : std::uint16_t {
    kA = 1,
    kSoa = 6,
    kPtr = 12,
    kMx = 15,
    kAaaa = 28,
    kOpt = 41,
    kAny = 255
};
enum class Rcode : std::uint8_t {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5
};

struct Question {
    // Lower case, without the last dot. Empty for the root and for a name with bytes in it that no
    // name of ours can have.
    std::string name;
    std::uint16_t type = 0;
    bool internet = true;  // class IN
};

struct Query {
    std::uint16_t id = 0;
    bool standard = true;  // opcode QUERY
    Question question;
    std::size_t size = 0;  // of header and question: what an answer begins with
};

// nullopt for what is no query with exactly one well-formed question.
std::optional<Query> parse_query(std::string_view message);

// `message` is the query that `query` was read from.
std::string error_answer(std::string_view message, const Query& query, Rcode code);
// As many as fit the smallest datagram that every client takes. No address at all says that the
// name exists and has none of that type.
std::string address_answer(std::string_view message, const Query& query,
                           const std::vector<Address>& addresses);
std::string pointer_answer(std::string_view message, const Query& query, std::string_view name);

// Whether `reply` answers `message`: same id, same question, marked as a response.
bool is_answer_to(std::string_view reply, std::string_view message);
Rcode rcode_of(std::string_view reply);
void set_id(std::string& message, std::uint16_t id);

// One record of a message, in its place there.
struct Record {
    std::uint16_t type = 0;
    bool answers = false;    // stands in the answer section
    std::size_t ttl_at = 0;  // where its time to live stands, 4 bytes
    std::uint32_t ttl = 0;   // seconds; of kOpt it means something else
    std::string_view data;
};
// nullopt for what is malformed.
std::optional<std::vector<Record>> read_records(std::string_view message);
// How many seconds an answer may be kept (RFC 2308 for one that says no); 0: not at all.
std::uint32_t lifetime(std::string_view reply);
// Takes the seconds that an answer was kept for off what it has left to live.
void age(std::string& reply, std::uint32_t seconds);

// A or AAAA.
constexpr Type type_of(const Address& address) {
    return address.is_v4() ? kA : kAaaa;
}
// "4.3.2.1.in-addr.arpa" -> 1.2.3.4, and 32 digits before "ip6.arpa"
std::optional<Address> parse_reverse(std::string_view name);

}  // namespace coffer::network::dns
