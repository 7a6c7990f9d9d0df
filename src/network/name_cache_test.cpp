#include "network/name_cache.hpp"

#include <gtest/gtest.h>

#include "network/dns.hpp"

namespace coffer::network {
namespace {

using namespace std::string_literals;
using std::chrono::seconds;

const std::string kQuery = "\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01"s;
const std::string kQuestion = kQuery.substr(12);

std::string counted(char rcode, char answers, char authorities, const std::string& records) {
    return "\x12\x34\x81"s + rcode + "\0\x01\0"s + answers + "\0"s + authorities + "\0\0"s +
           kQuestion + records;
}
std::string address(char ttl) {
    return "\xC0\x0C\0\x01\0\x01\0\0\0"s + ttl + "\0\x04\x0A\0\0\x02"s;
}
// A name of two labels by pointer, then five numbers of which the last is `minimum`.
std::string soa(char ttl, char minimum) {
    return "\xC0\x0C\0\x06\0\x01\0\0\0"s + ttl + "\0\x18"s + "\xC0\x0C\xC0\x0C"s +
           std::string(16, 'n') + "\0\0\0"s + minimum;
}

TEST(NameCache, an_answer_lives_as_long_as_its_shortest_record) {
    NameCache cache;
    const auto start = NameCache::Clock::now();
    const std::string reply = counted('\0', 2, 0, address(60) + address(20));
    cache.store("a", kQuery, reply, start);
    std::string again = kQuery;
    dns::set_id(again, 0x7777);
    const auto found = cache.find("a", again, start + seconds(15));
    ASSERT_TRUE(found);
    std::string expected = counted('\0', 2, 0, address(45) + address(5));
    dns::set_id(expected, 0x7777);
    EXPECT_EQ(*found, expected);
    EXPECT_FALSE(cache.find("b", kQuery, start)) << "of another container";
    EXPECT_FALSE(cache.find("a", kQuery, start + seconds(20)));
    EXPECT_EQ(cache.bytes(), 0U);
}

TEST(NameCache, a_no_lives_as_long_as_the_zone_says) {
    NameCache cache;
    const auto start = NameCache::Clock::now();
    cache.store("a", kQuery, counted('\3', 0, 1, soa(60, 9)), start);
    EXPECT_TRUE(cache.find("a", kQuery, start + seconds(8)));
    EXPECT_FALSE(cache.find("a", kQuery, start + seconds(9)));
}

TEST(NameCache, keeps_no_failure_nothing_cut_off_and_no_no_of_unknown_age) {
    for (std::string reply :
         {counted('\2', 0, 1, soa(60, 60)), counted('\3', 0, 0, ""), counted('\0', 0, 0, ""),
          counted('\0', 1, 0, address(0)), counted('\0', 2, 0, address(60))}) {
        EXPECT_EQ(dns::lifetime(reply), 0U);
    }
    std::string cut = counted('\0', 1, 0, address(60));
    EXPECT_EQ(dns::lifetime(cut), 60U);
    cut[2] = '\x83';
    EXPECT_EQ(dns::lifetime(cut), 0U);
}

TEST(NameCache, is_bounded_and_what_was_used_last_stays) {
    NameCache cache;
    const auto start = NameCache::Clock::now();
    const auto reply = counted('\0', 1, 0, address(60));
    cache.store("used", kQuery, reply, start);
    for (int i = 0; i < 20'000; ++i) {
        cache.store("other" + std::to_string(i), kQuery, reply, start);
        ASSERT_TRUE(cache.find("used", kQuery, start)) << i;
    }
    EXPECT_FALSE(cache.find("other0", kQuery, start));
    EXPECT_LE(cache.bytes(), 2U << 20U);
    cache.drop("other");
    EXPECT_TRUE(cache.find("used", kQuery, start));
    cache.drop("used");
    EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace coffer::network
