#include "network/address.hpp"

#include <gtest/gtest.h>

namespace coffer::network {
namespace {

TEST(Address, parses_only_four_plain_decimal_numbers) {
    EXPECT_EQ(parse_address("172.17.0.2")->v4(), 0xac110002U);
    for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ",
                            "a.b.c.d", "1.2.3.-4", "1..2.3", "1.2.3.4\n", "99999999999.1.1.1"})
        EXPECT_FALSE(parse_address(bad)) << bad;
    EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0x", 9)));
    EXPECT_EQ(to_string(ipv4(0xffffffff)), "255.255.255.255");
    EXPECT_FALSE(parse_ipv4("::1"));
    EXPECT_FALSE(parse_ipv6("1.2.3.4"));
}

// RFC 5952: lower case, no leading zeros, the first of the longest runs of zeros shortened, and
// never a run of one.
TEST(Address, is_printed_in_the_one_way_of_ipv6) {
    const std::pair<const char*, const char*> cases[] = {
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"::c000:201", "::c000:201"},
        {"fd00:0:0:1::", "fd00:0:0:1::"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (const auto& [text, canonical] : cases) {
        const auto address = parse_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(to_string(*address), canonical);
        EXPECT_EQ(address_from_bytes(address->bytes()), address);
    }
    for (const char* bad : {":", ":::", "1:2", "fe80::1%eth0", "::g", "1::2::3", "12345::"})
        EXPECT_FALSE(parse_address(bad)) << bad;
}

TEST(Address, those_of_two_families_are_never_the_same) {
    EXPECT_NE(*parse_address("0.0.0.0"), *parse_address("::"));
    EXPECT_FALSE(parse_prefix("::/0")->contains(*parse_address("1.2.3.4")));
    EXPECT_FALSE(parse_prefix("0.0.0.0/0")->overlaps(*parse_prefix("::/0")));
    EXPECT_EQ(to_string(advance(*parse_address("255.255.255.255"), 1)), "0.0.0.0");
    EXPECT_EQ(to_string(advance(*parse_address("fd00::ffff:ffff:ffff:ffff"), 1)), "fd00:0:0:1::");
}

TEST(Prefix, contains_and_overlaps) {
    const Prefix all = *parse_prefix("0.0.0.0/0");
    const Prefix net = *parse_prefix("10.1.0.0/16");
    EXPECT_TRUE(all.contains(ipv4(0xffffffff)));
    EXPECT_TRUE(all.overlaps(net));
    EXPECT_TRUE(net.overlaps(*parse_prefix("10.1.255.0/24")));
    EXPECT_TRUE(net.contains(*parse_prefix("10.1.255.0/24")));
    EXPECT_FALSE(net.contains(all));
    EXPECT_FALSE(net.overlaps(*parse_prefix("10.2.0.0/16")));
    EXPECT_EQ(to_string(net.last()), "10.1.255.255");
    EXPECT_FALSE(parse_prefix("10.1.0.1/16"));
    EXPECT_FALSE(parse_prefix("10.1.0.0/33"));
    EXPECT_EQ(to_string(parse_interface("10.1.0.1/16")->prefix), "10.1.0.0/16");
    EXPECT_EQ(to_string(*parse_interface("10.1.0.1/16")), "10.1.0.1/16");

    const Prefix local = *parse_prefix("fd00:1:2:3::/64");
    EXPECT_TRUE(local.contains(*parse_address("fd00:1:2:3:ffff::1")));
    EXPECT_FALSE(local.contains(*parse_address("fd00:1:2:4::")));
    EXPECT_EQ(to_string(local.last()), "fd00:1:2:3:ffff:ffff:ffff:ffff");
    EXPECT_TRUE(parse_prefix("::/0")->contains(local.last()));
    EXPECT_EQ(to_string(prefix_of(local.last(), 48)), "fd00:1:2::/48");
    EXPECT_FALSE(parse_prefix("fd00::/129"));
}

}  // namespace
}  // namespace coffer::network
