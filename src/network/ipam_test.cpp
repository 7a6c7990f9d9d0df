#include "network/ipam.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace coffer::network {
namespace {

using ::testing::HasSubstr;

Subnet subnet_of(const std::string& prefix) {
    SubnetConfig config;
    config.subnet = prefix;
    return *Subnet::create(config);
}
std::string next(Subnet& subnet) {
    auto address = subnet.allocate();
    return address ? to_string(*address) : address.error().message;
}

TEST(AddressPool, reads_the_flag_of_dockerd) {
    const auto pool = parse_address_pool("base=10.10.0.0/16,size=24");
    ASSERT_TRUE(pool);
    EXPECT_EQ(to_string(pool->base), "10.10.0.0/16");
    EXPECT_EQ(pool->size, 24U);
    EXPECT_EQ(to_string(parse_address_pool("base=fd00:1::/48,size=64")->base), "fd00:1::/48");
    for (const char* bad : {"", "base=10.0.0.0/8", "size=24", "base=10.0.0.0/24,size=16",
                            "base=x,size=1", "base=10.0.0.0/8,size=31", "base=fd00::/48,size=40",
                            "base=fd00::/48,size=127", "base=10.0.0.0/8,size=24,x=1"})
        EXPECT_FALSE(parse_address_pool(bad)) << bad;
}

std::string chosen(const std::vector<AddressPool>& pools, const std::vector<std::string>& used,
                   Family family = Family::V4, unsigned length = 0) {
    std::vector<Prefix> prefixes;
    for (const std::string& text : used) prefixes.push_back(*parse_prefix(text));
    const auto piece = choose_subnet(pools, prefixes, family, length);
    return piece ? to_string(*piece) : piece.error().message;
}

TEST(ChooseSubnet, skips_what_overlaps_and_reaches_the_small_pools) {
    const auto pools = standard_address_pools();
    EXPECT_EQ(chosen(pools, {}), "172.17.0.0/16");
    EXPECT_EQ(chosen(pools, {"172.16.0.0/15"}), "172.18.0.0/16");
    EXPECT_EQ(chosen(pools, {"172.16.0.0/14"}), "172.20.0.0/24");
    EXPECT_EQ(chosen(pools, {"172.20.1.0/24", "172.16.0.0/14", "172.20.0.0/25"}), "172.20.2.0/24");
    EXPECT_EQ(chosen(pools, {"192.168.0.0/22", "172.16.0.0/12", "192.168.3.128/25"}),
              "192.168.4.0/24");
    EXPECT_EQ(chosen(pools, {"172.16.0.0/12", "192.168.0.0/16"}),
              "all predefined address pools have been fully subnetted");
}

TEST(ChooseSubnet, two_thousand_networks_fit) {
    const auto pools = standard_address_pools();
    std::vector<Prefix> used;
    for (int i = 0; i < 2000; ++i) {
        const auto piece = choose_subnet(pools, used, Family::V4);
        ASSERT_TRUE(piece) << i;
        used.push_back(*piece);
    }
    std::sort(used.begin(), used.end());
    for (std::size_t i = 1; i < used.size(); ++i) EXPECT_FALSE(used[i].overlaps(used[i - 1]));
}

TEST(ChooseSubnet, ends_at_the_top_of_the_address_space) {
    EXPECT_THAT(chosen({{*parse_prefix("255.255.255.0/24"), 25}}, {"255.255.255.0/24"}),
                HasSubstr("fully subnetted"));
    EXPECT_THAT(chosen({{*parse_prefix("ffff::/16"), 16}}, {"ffff::/16"}, Family::V6),
                HasSubstr("fully subnetted"));
}

TEST(ChooseSubnet, of_a_family_and_of_a_length) {
    const std::vector<AddressPool> pools{*parse_address_pool("base=10.0.0.0/16,size=24"),
                                         *parse_address_pool("base=fd00:1::/48,size=64")};
    EXPECT_EQ(chosen(pools, {}, Family::V6), "fd00:1::/64");
    EXPECT_EQ(chosen(pools, {"10.0.0.0/8", "fd00:1::/64"}, Family::V6), "fd00:1:0:1::/64");
    EXPECT_EQ(chosen(pools, {"10.0.0.0/30"}, Family::V4, 29), "10.0.0.8/29");
    EXPECT_EQ(chosen(pools, {"10.0.0.0/24"}, Family::V4, 20), "10.0.16.0/20");
    EXPECT_THAT(chosen(pools, {}, Family::V4, 8), HasSubstr("fully subnetted"));
}

TEST(LocalPool, is_an_engines_own_and_stays) {
    const AddressPool one = local_ipv6_pool("one");
    EXPECT_EQ(one.base.length, 48U);
    EXPECT_EQ(one.size, 64U);
    EXPECT_TRUE(parse_prefix("fd00::/8")->contains(one.base));
    EXPECT_EQ(local_ipv6_pool("one").base, one.base);
    EXPECT_NE(local_ipv6_pool("another").base, one.base);
}

TEST(Subnet, hands_out_the_lowest_free_address) {
    Subnet subnet = subnet_of("172.17.0.0/16");
    EXPECT_EQ(to_string(subnet.gateway()), "172.17.0.1");
    EXPECT_EQ(next(subnet), "172.17.0.2");
    EXPECT_EQ(next(subnet), "172.17.0.3");
    EXPECT_EQ(next(subnet), "172.17.0.4");
    subnet.release(*parse_address("172.17.0.3"));
    EXPECT_EQ(next(subnet), "172.17.0.3");
    EXPECT_EQ(next(subnet), "172.17.0.5");
}

TEST(Subnet, never_gives_network_broadcast_or_gateway) {
    Subnet subnet = subnet_of("10.0.0.0/30");
    EXPECT_EQ(next(subnet), "10.0.0.2");
    EXPECT_THAT(next(subnet), HasSubstr("no available IPv4 addresses"));
    subnet.release(*parse_address("10.0.0.1"));  // the gateway stays taken
    EXPECT_THAT(next(subnet), HasSubstr("no available"));
    EXPECT_FALSE(subnet.reserve(*parse_address("10.0.0.3")));
}

TEST(Subnet, reserved_addresses_are_skipped_and_refused_twice) {
    Subnet subnet = subnet_of("10.0.0.0/24");
    ASSERT_TRUE(subnet.reserve(*parse_address("10.0.0.2")));
    EXPECT_EQ(next(subnet), "10.0.0.3");
    EXPECT_EQ(subnet.reserve(*parse_address("10.0.0.2")).error().message, "Address already in use");
    EXPECT_EQ(subnet.reserve(*parse_address("10.0.1.2")).error().code, Code::InvalidArgument);
}

TEST(Subnet, range_gateway_and_auxiliary_addresses) {
    SubnetConfig config;
    config.subnet = "172.28.0.0/16";
    config.ip_range = "172.28.5.0/30";
    config.gateway = "172.28.5.254";
    config.auxiliary["router"] = "172.28.5.1";
    Subnet subnet = *Subnet::create(config);
    EXPECT_EQ(to_string(subnet.gateway()), "172.28.5.254");
    EXPECT_EQ(next(subnet), "172.28.5.0");
    EXPECT_EQ(next(subnet), "172.28.5.2");
    EXPECT_EQ(next(subnet), "172.28.5.3");
    EXPECT_FALSE(subnet.allocate());
    ASSERT_TRUE(subnet.reserve(*parse_address("172.28.9.9")));
}

TEST(Subnet, of_ipv6_has_no_broadcast) {
    Subnet subnet = subnet_of("fd00::/126");
    EXPECT_EQ(to_string(subnet.gateway()), "fd00::1");
    EXPECT_EQ(next(subnet), "fd00::2");
    EXPECT_EQ(next(subnet), "fd00::3");
    EXPECT_THAT(next(subnet), HasSubstr("no available IPv6 addresses"));
    Subnet top = subnet_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126");
    EXPECT_EQ(next(top), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    EXPECT_EQ(next(top), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    EXPECT_THAT(next(top), HasSubstr("no available"));
}

TEST(Subnet, counts_what_is_used_and_what_is_left) {
    Subnet subnet = subnet_of("10.0.0.0/29");
    EXPECT_EQ(subnet.in_use(), 3U) << "network, broadcast, gateway";
    EXPECT_EQ(subnet.available(), 5U);
    next(subnet);
    EXPECT_EQ(subnet.in_use(), 4U);
    EXPECT_EQ(subnet.available(), 4U);
    Subnet part = *Subnet::create({.subnet = "10.0.0.0/24", .ip_range = "10.0.0.8/30"});
    EXPECT_EQ(part.available(), 3U) << "the gateway is the first of the range";
    ASSERT_TRUE(part.reserve(*parse_address("10.0.0.77")));
    EXPECT_EQ(part.in_use(), 4U);
    EXPECT_EQ(part.available(), 3U);
    EXPECT_EQ(subnet_of("::/0").available(), UINT64_MAX);
}

TEST(Subnet, refuses_a_bad_configuration) {
    const auto text = [](const SubnetConfig& config) {
        const auto made = Subnet::create(config);
        return made ? "accepted" : made.error().message;
    };
    const std::string net = "10.0.0.0/24";
    EXPECT_EQ(text({.subnet = "x"}), "invalid subnet x: invalid CIDR block notation");
    EXPECT_EQ(text({.subnet = "10.0.0.5/24"}),
              "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24");
    EXPECT_EQ(text({.subnet = net, .ip_range = "10.0.0.0/16"}),
              "invalid ip-range 10.0.0.0/16: CIDR block is bigger than its parent subnet "
              "10.0.0.0/24");
    EXPECT_EQ(text({.subnet = net, .ip_range = "10.0.1.0/25"}),
              "invalid ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range");
    EXPECT_EQ(text({.subnet = net, .ip_range = "10.0.0.1/25"}),
              "invalid ip-range 10.0.0.1/25: it should be 10.0.0.0/25");
    EXPECT_EQ(text({.subnet = net, .ip_range = "fd00::/64"}),
              "invalid ip-range fd00::/64: parent subnet is an IPv4 block");
    EXPECT_EQ(text({.subnet = net, .gateway = "10.0.1.1"}),
              "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address");
    EXPECT_EQ(text({.subnet = "fd00::/64", .gateway = "10.0.1.1"}),
              "invalid gateway 10.0.1.1: parent subnet is an IPv6 block");
    EXPECT_EQ(text({.subnet = net, .gateway = "10.0.0.0"}),
              "failed to allocate gateway (10.0.0.0): Address already in use");
    EXPECT_EQ(
        text({.subnet = net, .auxiliary = {{"a", "11.0.0.1"}}}),
        "invalid auxiliary address a: parent subnet 10.0.0.0/24 doesn't contain this address");
}

TEST(Mac, follows_the_address) {
    EXPECT_EQ(mac_of(*parse_address("172.17.0.2")), "02:42:ac:11:00:02");
    EXPECT_TRUE(is_mac("02:42:AC:11:00:02"));
    for (const char* bad :
         {"", "02:42", "02:42:ac:11:00:0g", "02:42:ac:11:00:2", "02-42-ac-11-00-02"})
        EXPECT_FALSE(is_mac(bad)) << bad;
}

}  // namespace
}  // namespace coffer::network
