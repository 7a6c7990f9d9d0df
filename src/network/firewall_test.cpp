#include "network/firewall.hpp"

#include <gmock/gmock.h>

namespace coffer::network::firewall {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::vector<PublishedPort> kPorts = {
    {Protocol::Tcp, "0.0.0.0", 8080, "172.17.0.2", 80},
    {Protocol::Udp, "127.0.0.1", 53, "172.17.0.3", 5353},
};

TEST(Firewall, table_names_are_plain_words) {
    EXPECT_EQ(table_name("coffer0"), "coffer_coffer0");
    EXPECT_EQ(table_name("br-a.b;flush ruleset"), "coffer_br_a_b_flush_ruleset");
}

TEST(Firewall, the_table_is_replaced_as_a_whole) {
    const std::string text =
        replace_table("coffer_t", {{"b0", {"172.17.0.0/16"}, false, false, true}}, kPorts, nullptr);
    EXPECT_THAT(text, StartsWith("add table inet coffer_t\ndelete table inet coffer_t\n"));
    EXPECT_THAT(text, HasSubstr("add element inet coffer_t coffer_bridges { \"b0\" }\n"));
    EXPECT_THAT(text, HasSubstr("add element inet coffer_t coffer_subnets4 { 172.17.0.0/16 }\n"));
    EXPECT_THAT(text, HasSubstr("coffer_ports4 { tcp . 8080 : 172.17.0.2 . 80 }\n"));
    EXPECT_THAT(text, Not(HasSubstr("element inet coffer_t coffer_talking")));
}

TEST(Firewall, one_element_for_each_port) {
    using namespace std::string_literals;
    const auto elements = port_elements("t", kPorts);
    ASSERT_EQ(elements.size(), 2U);
    EXPECT_EQ(elements[0].set, "coffer_ports4");
    EXPECT_EQ(elements[0].key, "\6\0\0\0\x1f\x90\0\0"s);
    EXPECT_EQ(elements[0].value, "\xac\x11\0\2\0\x50\0\0"s);
    EXPECT_EQ(elements[1].set, "coffer_ports_at4");
    EXPECT_EQ(elements[1].key, "\x11\0\0\0\x7f\0\0\1\0\x35\0\0"s);
    EXPECT_EQ(elements[1].value, "\xac\x11\0\3\x14\xe9\0\0"s);
    EXPECT_TRUE(port_elements("t", {}).empty());
}

TEST(Firewall, one_element_for_a_range_that_keeps_its_ports) {
    using namespace std::string_literals;
    const std::vector<PublishedPort> ranges = {
        {Protocol::Udp, "0.0.0.0", 10000, "172.17.0.2", 10000, 10001},
        {Protocol::Tcp, "127.0.0.1", 8000, "172.17.0.2", 80, 3},
    };
    const auto elements = port_elements("t", ranges);
    ASSERT_EQ(elements.size(), 4U);
    EXPECT_EQ(elements[0].set, "coffer_ranges4");
    EXPECT_EQ(elements[0].key, "\x11\0\0\0\x27\x10\0\0"s);
    EXPECT_EQ(elements[0].key_end, "\x11\0\0\0\x4e\x20\0\0"s);
    EXPECT_EQ(elements[0].value, "\xac\x11\0\2"s);
    EXPECT_EQ(elements[3].set, "coffer_ports_at4");
    EXPECT_EQ(elements[3].key_end, "");
    const std::string text = replace_table("t", {}, ranges, nullptr);
    EXPECT_THAT(text, HasSubstr("coffer_ranges4 { udp . 10000-20000 : 172.17.0.2 }\n"));
    EXPECT_THAT(text, HasSubstr("coffer_ports_at4 { tcp . 127.0.0.1 . 8002 : 172.17.0.2 . 82 }\n"));
}

TEST(Firewall, a_named_network_talks_and_an_internal_one_is_not_masqueraded) {
    const std::string named = add_bridge("t", {"br-1", {"172.18.0.0/16"}, true, false, true});
    EXPECT_THAT(named, HasSubstr("coffer_talking { \"br-1\" . \"br-1\" }"));
    EXPECT_THAT(named, HasSubstr("coffer_subnets4 { 172.18.0.0/16 }"));
    const std::string internal = add_bridge("t", {"br-2", {"172.19.0.0/16"}, true, true, true});
    EXPECT_THAT(internal, HasSubstr("coffer_internal { \"br-2\" }"));
    EXPECT_THAT(internal, Not(HasSubstr("coffer_subnets")));
}

TEST(Firewall, passes_docker_once) {
    const std::vector<BridgeRules> bridges = {{"b0", {}, false, false, true}};
    const std::string rules = pass_host(kHostChains[0], "chain DOCKER-USER { return }", bridges);
    EXPECT_EQ(rules,
              "insert rule ip filter DOCKER-USER iifname \"b0\" accept\n"
              "insert rule ip filter DOCKER-USER oifname \"b0\" accept\n");
    EXPECT_EQ(pass_host(kHostChains[0], rules, bridges), "");
    const std::string forward = "chain FORWARD { type filter hook forward priority filter; policy ";
    EXPECT_EQ(pass_host(kHostChains[1], forward + "accept; }", bridges), "");
    EXPECT_THAT(pass_host(kHostChains[1], forward + "drop; }", bridges),
                StartsWith("insert rule ip filter FORWARD iifname \"b0\" accept\n"));
    EXPECT_EQ(unpass_host(kHostChains[0],
                          "chain DOCKER-USER { # handle 9\n"
                          "  iifname \"b0\" accept # handle 4\n"
                          "  iifname \"b01\" accept # handle 5\n"
                          "  oifname \"b0\" accept # handle 6\n}",
                          "b0"),
              "delete rule ip filter DOCKER-USER handle 4\n"
              "delete rule ip filter DOCKER-USER handle 6\n");
}

}  // namespace
}  // namespace coffer::network::firewall
