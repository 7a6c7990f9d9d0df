#include "network/resolv.hpp"

#include <gmock/gmock.h>

namespace coffer::network {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(ResolvConf, keeps_real_servers_and_drops_loopback_and_ipv6_ones) {
    EXPECT_EQ(resolv_conf("# comment\nnameserver 127.0.0.1\nnameserver 10.0.0.1\n"
                          "nameserver fe80::1%eth0\nsearch a.example\nsearch b.example c.example\n"
                          "options ndots:2\n",
                          {}),
              "nameserver 10.0.0.1\nsearch b.example c.example\noptions ndots:2\n");
}

TEST(ResolvConf, falls_back_to_public_servers) {
    EXPECT_EQ(resolv_conf("nameserver 127.0.0.53\noptions edns0\n", {}),
              "nameserver 8.8.8.8\nnameserver 8.8.4.4\noptions edns0\n");
    EXPECT_EQ(resolv_conf("", {}), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
}

TEST(ResolvConf, what_the_container_asks_for_replaces_the_host_s) {
    EXPECT_EQ(resolv_conf("nameserver 10.0.0.1\nsearch host.example\noptions a b\n",
                          {.servers = {"1.1.1.1", "127.0.0.1"}, .search = {"."}, .options = {"c"}}),
              "nameserver 1.1.1.1\nnameserver 127.0.0.1\noptions c\n");
}

TEST(ResolvConf, survives_garbage) {
    EXPECT_EQ(resolv_conf(std::string("nameserver\nnameserver x\n\0\nsearch\n", 31), {}),
              "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
}

TEST(ResolvConf, in_the_host_s_network_it_is_the_host_s) {
    const std::string host = "# mine\nnameserver 127.0.0.53\n";
    EXPECT_EQ(host_network_resolv_conf(host, {}), host);
    EXPECT_EQ(host_network_resolv_conf(host, {.search = {"x"}}),
              "nameserver 127.0.0.53\nsearch x\n");
}

TEST(DnsOptions, refuses_what_would_add_a_line) {
    EXPECT_TRUE(
        check({.servers = {"1.1.1.1", "2001:db8::1"}, .search = {"a.b"}, .options = {"x:1"}}));
    EXPECT_FALSE(check({.servers = {"1.1.1.1\nnameserver 6.6.6.6"}}));
    EXPECT_FALSE(check({.search = {"a\nnameserver 6.6.6.6"}}));
    EXPECT_FALSE(check({.options = {""}}));
    EXPECT_FALSE(check({.servers = {"dns.example"}}));
}

TEST(Hosts, has_docker_s_lines_then_extra_hosts_then_its_own) {
    HostsOptions options;
    options.hostname = "web";
    options.domainname = "example.org";
    options.addresses = {"172.17.0.2"};
    options.extra_hosts = {"db:10.0.0.9", "gw=host-gateway", "six:2001:db8::1", "b=[::1]"};
    options.host_gateway = "172.17.0.1";
    const auto text = hosts_file(options);
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("127.0.0.1\tlocalhost\n"));
    EXPECT_THAT(*text, EndsWith("10.0.0.9\tdb\n172.17.0.1\tgw\n2001:db8::1\tsix\n::1\tb\n"
                                "172.17.0.2\tweb.example.org web\n"));
}

TEST(Hosts, refuses_a_bad_extra_host) {
    for (const char* bad : {"", "name", "name:", ":1.2.3.4", "name:1.2.3", "na me:1.2.3.4",
                            "name:1.2.3.4\n6.6.6.6 evil", "a\nb:1.2.3.4"})
        EXPECT_FALSE(parse_extra_host(bad)) << bad;
    EXPECT_EQ(parse_extra_host("x").error().message, "bad format for add-host: \"x\"");
    EXPECT_EQ(parse_extra_host("x:y").error().message, "invalid IP address in add-host: \"y\"");
    HostsOptions options;
    options.extra_hosts = {"gw:host-gateway"};
    EXPECT_FALSE(hosts_file(options));
}

}  // namespace
}  // namespace coffer::network
