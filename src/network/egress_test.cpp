#include "network/egress.hpp"

#include <gtest/gtest.h>

namespace coffer::network {
namespace {

EgressRule rule_of(const std::string& word) {
    return MUST(parse_egress("deny " + word)).rules.at(0);
}

TEST(Egress, targets) {
    EXPECT_EQ(rule_of("allow:10.0.0.0/8").prefixes, std::vector{*parse_prefix("10.0.0.0/8")});
    const EgressRule full = rule_of("allow:10.1.2.3:80,8000-8999/tcp");
    EXPECT_EQ(full.prefixes, std::vector{*parse_prefix("10.1.2.3/32")});
    EXPECT_EQ(full.ports, "80, 8000-8999");
    EXPECT_EQ(full.protocol, "tcp");
    const EgressRule net = rule_of("deny:10.0.0.0/8:53/udp");
    EXPECT_EQ(net.prefixes, std::vector{*parse_prefix("10.0.0.0/8")});
    EXPECT_EQ(net.ports, "53");
    EXPECT_EQ(rule_of("allow:10.0.0.0/8/icmp").protocol, "icmp");
    EXPECT_EQ(rule_of("allow:fd00::/8").prefixes, std::vector{*parse_prefix("fd00::/8")});
    const EgressRule six = rule_of("allow:[fd00::1]:443");
    EXPECT_EQ(six.prefixes, std::vector{*parse_prefix("fd00::1/128")});
    EXPECT_EQ(six.ports, "443");
    EXPECT_EQ(rule_of("allow:[fd00::1]").prefixes, six.prefixes);
    EXPECT_EQ(rule_of("allow:Deb.Debian.org:80,443").name, "deb.debian.org");
    EXPECT_EQ(rule_of("allow:*.debian.org/tcp").name, "*.debian.org");
    EXPECT_TRUE(rule_of("allow:any:53").prefixes.empty());
    EXPECT_TRUE(rule_of("allow:any:53").name.empty());
    EXPECT_GT(rule_of("deny:private").prefixes.size(), 3U);
    EXPECT_GT(rule_of("deny:metadata").prefixes.size(), 3U);
}

TEST(Egress, what_is_no_policy) {
    for (const char* text : {"",
                             "allow",
                             "audit",
                             "dns",
                             "allow:any",
                             "deny allow",
                             "deny deny",
                             "forbid",
                             "deny:",
                             "deny:10.0.0.1/8",
                             "deny:10.0.0.0/33",
                             "deny:10.0.0",
                             "deny:a..b",
                             "deny:*",
                             "deny:*.",
                             "deny:a:0",
                             "deny:a:65536",
                             "deny:a:9-8",
                             "deny:a:",
                             "deny:a:80,",
                             "deny:a:80/icmp",
                             "deny:a/quic",
                             "deny:[::1",
                             "deny:a b:c",
                             "deny:-a",
                             "deny:any; drop table"}) {
        const auto policy = parse_egress(text);
        ASSERT_FALSE(policy) << text;
        EXPECT_EQ(policy.error().code, Code::InvalidArgument);
    }
    std::string many = "deny";
    for (int i = 0; i < 300; ++i) many += " allow:any";
    EXPECT_FALSE(parse_egress(many));
}

TEST(Egress, names_that_may_be_asked) {
    const auto closed = MUST(parse_egress("deny deny:bad.example.com allow:*.example.com allow:a"));
    EXPECT_TRUE(may_ask(closed, "www.Example.com"));
    EXPECT_TRUE(may_ask(closed, "A"));
    for (const char* name : {"bad.example.com", "example.com", "xexample.com", "b", ""})
        EXPECT_FALSE(may_ask(closed, name)) << name;
    const auto open = MUST(parse_egress("deny:bad.example"));
    EXPECT_TRUE(may_ask(open, "any.example"));
    EXPECT_FALSE(may_ask(open, "bad.example"));
    EXPECT_TRUE(may_ask(MUST(parse_egress("deny dns")), "b"));
}

}  // namespace
}  // namespace coffer::network
