// Any bytes as a question from a container and as a server's answer: what is written in reply is an
// answer to the very question, and nothing is read beyond it.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "network/dns.hpp"

namespace dns = coffer::network::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    std::string reply_read(message);
    const auto records = dns::read_records(message);
    dns::age(reply_read, dns::lifetime(message));
    if (reply_read.size() != message.size() || (!records && dns::lifetime(message) != 0))
        std::abort();
    const auto query = dns::parse_query(message);
    if (!query) return 0;
    if (query->size > message.size() || query->question.name.size() > 255) std::abort();
    for (const std::string& reply :
         {dns::error_answer(message, *query, dns::Rcode::NxDomain),
          dns::address_answer(message, *query, {coffer::network::ipv4(1), {}}),
          dns::pointer_answer(message, *query, query->question.name)}) {
        if (!dns::is_answer_to(reply, message) || reply.size() > 1024) std::abort();
    }
    static_cast<void>(dns::parse_reverse(query->question.name));
    const std::string_view rest = message.substr(query->size);
    static_cast<void>(dns::is_answer_to(rest, message));
    return 0;
}
