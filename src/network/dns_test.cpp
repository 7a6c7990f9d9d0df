#include "network/dns.hpp"

#include <gmock/gmock.h>

namespace coffer::network::dns {
namespace {

using namespace std::string_literals;
using ::testing::EndsWith;
using ::testing::StartsWith;

// id 0x1234, recursion desired, one question.
std::string query_of(const std::string& name, const std::string& type = "\0\x01"s) {
    return "\x12\x34\x01\0\0\x01\0\0\0\0\0\0"s + name + type + "\0\x01"s;
}

TEST(Dns, reads_a_question) {
    const auto query = parse_query(query_of("\x03Web\x05my-NT\0"s));
    ASSERT_TRUE(query);
    EXPECT_EQ(query->id, 0x1234);
    EXPECT_TRUE(query->standard);
    EXPECT_EQ(query->question.name, "web.my-nt");
    EXPECT_EQ(query->question.type, kA);
    EXPECT_TRUE(query->question.internet);
}

TEST(Dns, what_is_no_name_of_ours_is_read_as_empty) {
    EXPECT_EQ(parse_query(query_of("\x03w.b\0"s))->question.name, "");
    EXPECT_EQ(parse_query(query_of("\x03w\0b\0"s))->question.name, "");
    EXPECT_EQ(parse_query(query_of("\0"s))->question.name, "");
}

TEST(Dns, refuses_malformed_queries) {
    EXPECT_FALSE(parse_query(""));
    EXPECT_FALSE(parse_query(query_of("\x03web"s)));   // no end, then it runs into the type
    EXPECT_FALSE(parse_query(query_of("\xC0\x0C"s)));  // a pointer, to itself
    EXPECT_FALSE(
        parse_query(query_of("\x40"
                             "a\0"s)));  // a label that is too long
    EXPECT_FALSE(parse_query("\x12\x34\x81\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01"s));  // a response
    EXPECT_FALSE(parse_query("\x12\x34\x01\0\0\x02\0\0\0\0\0\0\0\0\x01\0\x01"s));  // two questions
    std::string deep;
    for (int i = 0; i < 128; ++i) deep += "\x01x"s;
    EXPECT_FALSE(parse_query(query_of(deep + "\0"s)));
    const std::string whole = query_of("\x03web\0"s);
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_FALSE(parse_query(whole.substr(0, i)));
    EXPECT_FALSE(parse_query(query_of("\0"s) + std::string(kMaxQuery, 'x')));
}

TEST(Dns, answers_with_addresses) {
    const std::string message = query_of("\x03web\0"s);
    const auto query = *parse_query(message);
    EXPECT_EQ(address_answer(message, query, {ipv4(0x0A000002)}),
              "\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03web\0\0\x01\0\x01"
              "\xC0\x0C\0\x01\0\x01\0\0\x02\x58\0\x04\x0A\0\0\x02"s);
    EXPECT_THAT(address_answer(message, query, {}), StartsWith("\x12\x34\x81\x80\0\x01\0\0"s));
    EXPECT_EQ(address_answer(message, query, {*parse_address("fd00::2")}),
              "\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03web\0\0\x01\0\x01"
              "\xC0\x0C\0\x1C\0\x01\0\0\x02\x58\0\x10\xFD\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"s);
    EXPECT_LE(address_answer(message, query, std::vector(200, *parse_address("::1"))).size(), 512U);
    EXPECT_LE(address_answer(message, query, std::vector<Address>(200)).size(), 512U);
}

TEST(Dns, answers_with_a_name) {
    const std::string message = query_of(
        "\x01"
        "1\0"s,
        "\0\x0C"s);
    EXPECT_THAT(pointer_answer(message, *parse_query(message), "web.net"),
                EndsWith("\0\x09\x03web\x03net\0"s));
    EXPECT_EQ(rcode_of(pointer_answer(message, *parse_query(message), std::string(64, 'x'))),
              Rcode::NxDomain);
}

TEST(Dns, knows_the_answer_to_its_own_question) {
    const std::string message = query_of("\x03web\0"s);
    const auto query = *parse_query(message);
    const std::string reply = error_answer(message, query, Rcode::NxDomain);
    EXPECT_TRUE(is_answer_to(reply, message));
    EXPECT_EQ(rcode_of(reply), Rcode::NxDomain);
    std::string other = reply;
    set_id(other, 7);
    EXPECT_FALSE(is_answer_to(other, message));
    EXPECT_FALSE(is_answer_to(reply, query_of("\x03wab\0"s)));
    EXPECT_FALSE(is_answer_to(message, message));
    EXPECT_FALSE(is_answer_to("", message));
}

TEST(Dns, reads_reverse_names) {
    EXPECT_EQ(parse_reverse("4.3.2.1.in-addr.arpa"), parse_address("1.2.3.4"));
    std::string digits = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    EXPECT_EQ(parse_reverse(digits + ".ip6.arpa"), parse_address("2001:db8::1"));
    EXPECT_FALSE(parse_reverse(digits + ".in-addr.arpa"));
    EXPECT_FALSE(parse_reverse(digits.substr(2) + ".ip6.arpa"));
    EXPECT_FALSE(parse_reverse("x" + digits.substr(1) + ".ip6.arpa"));
    EXPECT_FALSE(parse_reverse("3.2.1.in-addr.arpa"));
    EXPECT_FALSE(parse_reverse("x.3.2.1.in-addr.arpa"));
    EXPECT_FALSE(parse_reverse("4.3.2.1"));
}

}  // namespace
}  // namespace coffer::network::dns
