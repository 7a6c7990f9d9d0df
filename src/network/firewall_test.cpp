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
        replace_table("coffer_t", {{"b0", {"172.17.0.0/16"}, false, false, true}}, kPorts);
    EXPECT_THAT(text, StartsWith("add table ip coffer_t\ndelete table ip coffer_t\n"));
    EXPECT_THAT(text, HasSubstr("add element ip coffer_t coffer_bridges { \"b0\" }\n"));
    EXPECT_THAT(text, HasSubstr("add element ip coffer_t coffer_subnets { 172.17.0.0/16 }\n"));
    EXPECT_THAT(text, HasSubstr("coffer_ports { tcp . 8080 : 172.17.0.2 . 80 }\n"));
    EXPECT_THAT(text, Not(HasSubstr("element ip coffer_t coffer_talking")));
}

TEST(Firewall, one_element_for_each_port) {
    using namespace std::string_literals;
    const auto elements = port_elements("t", kPorts);
    ASSERT_EQ(elements.size(), 2U);
    EXPECT_EQ(elements[0].set, "coffer_ports");
    EXPECT_EQ(elements[0].key, "\6\0\0\0\x1f\x90\0\0"s);
    EXPECT_EQ(elements[0].value, "\xac\x11\0\2\0\x50\0\0"s);
    EXPECT_EQ(elements[1].set, "coffer_ports_at");
    EXPECT_EQ(elements[1].key, "\x11\0\0\0\x7f\0\0\1\0\x35\0\0"s);
    EXPECT_EQ(elements[1].value, "\xac\x11\0\3\x14\xe9\0\0"s);
    EXPECT_TRUE(port_elements("t", {}).empty());
}

TEST(Firewall, a_named_network_talks_and_an_internal_one_is_not_masqueraded) {
    const std::string named = add_bridge("t", {"br-1", {"172.18.0.0/16"}, true, false, true});
    EXPECT_THAT(named, HasSubstr("coffer_talking { \"br-1\" . \"br-1\" }"));
    EXPECT_THAT(named, HasSubstr("coffer_subnets { 172.18.0.0/16 }"));
    const std::string internal = add_bridge("t", {"br-2", {"172.19.0.0/16"}, true, true, true});
    EXPECT_THAT(internal, HasSubstr("coffer_internal { \"br-2\" }"));
    EXPECT_THAT(internal, Not(HasSubstr("coffer_subnets")));
}

TEST(Firewall, keeps_ports_apart_in_a_table_of_the_bridge_family) {
    const std::string text = replace_isolation("t", {"cof1", "cof2"});
    EXPECT_THAT(text, StartsWith("add table bridge t\ndelete table bridge t\ntable bridge t {"));
    EXPECT_THAT(text, HasSubstr("add element bridge t coffer_isolated { \"cof2\" }\n"));
    const auto element = isolated_element("t", "cof1");
    EXPECT_EQ(element.family, sys::nft::Family::Bridge);
    EXPECT_EQ(element.key, "cof1" + std::string(12, '\0'));
}

TEST(Firewall, passes_docker_once) {
    const std::vector<BridgeRules> bridges = {{"b0", {}, false, false, true}};
    const std::string rules = pass_docker("chain DOCKER-USER { return }", bridges);
    EXPECT_EQ(rules,
              "insert rule ip filter DOCKER-USER iifname \"b0\" accept\n"
              "insert rule ip filter DOCKER-USER oifname \"b0\" accept\n");
    EXPECT_EQ(pass_docker(rules, bridges), "");
    EXPECT_EQ(unpass_docker("chain DOCKER-USER { # handle 9\n"
                            "  iifname \"b0\" accept # handle 4\n"
                            "  iifname \"b01\" accept # handle 5\n"
                            "  oifname \"b0\" accept # handle 6\n}",
                            "b0"),
              "delete rule ip filter DOCKER-USER handle 4\n"
              "delete rule ip filter DOCKER-USER handle 6\n");
}

}  // namespace
}  // namespace coffer::network::firewall
