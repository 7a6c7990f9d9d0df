#include "network/ipam.hpp"

#include <gmock/gmock.h>

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

TEST(Address, parses_only_four_plain_decimal_numbers) {
    EXPECT_EQ(parse_address("172.17.0.2")->value, 0xac110002U);
    for (const char* bad :
         {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "1.2.3.-4",
          "::1", "1..2.3", "1.2.3.4\n", "99999999999.1.1.1"})
        EXPECT_FALSE(parse_address(bad)) << bad;
    EXPECT_EQ(to_string(Address{0xffffffff}), "255.255.255.255");
}

TEST(Prefix, contains_and_overlaps) {
    const Prefix all = *parse_prefix("0.0.0.0/0");
    const Prefix net = *parse_prefix("10.1.0.0/16");
    EXPECT_TRUE(all.contains(Address{0xffffffff}));
    EXPECT_TRUE(all.overlaps(net));
    EXPECT_TRUE(net.overlaps(*parse_prefix("10.1.255.0/24")));
    EXPECT_FALSE(net.overlaps(*parse_prefix("10.2.0.0/16")));
    EXPECT_EQ(to_string(net.last()), "10.1.255.255");
    EXPECT_FALSE(parse_prefix("10.1.0.1/16"));
    EXPECT_FALSE(parse_prefix("10.1.0.0/33"));
    EXPECT_EQ(to_string(parse_interface("10.1.0.1/16")->prefix), "10.1.0.0/16");
}

TEST(AddressPool, reads_the_flag_of_dockerd) {
    const auto pool = parse_address_pool("base=10.10.0.0/16,size=24");
    ASSERT_TRUE(pool);
    EXPECT_EQ(to_string(pool->base), "10.10.0.0/16");
    EXPECT_EQ(pool->size, 24U);
    for (const char* bad :
         {"", "base=10.0.0.0/8", "size=24", "base=10.0.0.0/24,size=16", "base=x,size=1",
          "base=10.0.0.0/8,size=31", "base=10.0.0.0/8,size=24,x=1"})
        EXPECT_FALSE(parse_address_pool(bad)) << bad;
}

TEST(ChooseSubnet, skips_what_overlaps_and_reaches_the_small_pools) {
    const auto pools = docker_address_pools();
    EXPECT_EQ(to_string(*choose_subnet(pools, {})), "172.17.0.0/16");
    EXPECT_EQ(to_string(*choose_subnet(pools, {*parse_prefix("172.16.0.0/15")})), "172.18.0.0/16");
    EXPECT_EQ(to_string(*choose_subnet(pools, {*parse_prefix("172.16.0.0/12")})), "192.168.0.0/20");
    EXPECT_EQ(to_string(*choose_subnet(
                  pools, {*parse_prefix("172.16.0.0/12"), *parse_prefix("192.168.3.0/24")})),
              "192.168.16.0/20");
    const auto none =
        choose_subnet(pools, {*parse_prefix("172.16.0.0/12"), *parse_prefix("192.168.0.0/16")});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, "all predefined address pools have been fully subnetted");
}

TEST(ChooseSubnet, ends_at_the_top_of_the_address_space) {
    const AddressPool top{*parse_prefix("255.255.255.0/24"), 25};
    EXPECT_FALSE(choose_subnet({top}, {*parse_prefix("255.255.255.0/24")}));
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

TEST(Subnet, refuses_a_bad_configuration) {
    const auto create = [](SubnetConfig config) { return Subnet::create(config); };
    EXPECT_EQ(create({.subnet = "x"}).error().message, "invalid CIDR address: x");
    EXPECT_EQ(create({.subnet = "10.0.0.5/24"}).error().message,
              "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24");
    EXPECT_FALSE(create({.subnet = "10.0.0.0/24", .ip_range = "10.0.0.0/16"}));
    EXPECT_FALSE(create({.subnet = "10.0.0.0/24", .gateway = "10.0.1.1"}));
    EXPECT_FALSE(create({.subnet = "10.0.0.0/24", .gateway = "10.0.0.0"}));
    EXPECT_FALSE(create({.subnet = "10.0.0.0/24", .auxiliary = {{"a", "11.0.0.1"}}}));
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
