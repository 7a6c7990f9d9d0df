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
    EXPECT_EQ(add_ports("t", kPorts),
              "add element ip t coffer_ports { tcp . 8080 : 172.17.0.2 . 80 }\n"
              "add element ip t coffer_ports_at { udp . 127.0.0.1 . 53 : 172.17.0.3 . 5353 }\n");
    EXPECT_EQ(add_ports("t", {}), "");
    EXPECT_THAT(remove_ports("t", kPorts),
                HasSubstr("delete element ip t coffer_ports { tcp . 8080 }\n"));
    EXPECT_EQ(remove_ports("t", {}), "");
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
    EXPECT_THAT(remove_isolated("t", "cof1"),
                HasSubstr("delete element bridge t coffer_isolated { \"cof1\" }\n"));
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
