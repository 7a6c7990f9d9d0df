#include "registry/config.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace coffer::registry {
namespace {

TEST(Insecure, loopback_always_and_nothing_else) {
    const Config config;
    EXPECT_TRUE(is_insecure(config, "127.0.0.1:5000"));
    EXPECT_TRUE(is_insecure(config, "127.200.3.4"));
    EXPECT_TRUE(is_insecure(config, "localhost:5000"));
    EXPECT_TRUE(is_insecure(config, "[::1]:5000"));
    EXPECT_FALSE(is_insecure(config, "128.0.0.1:5000"));
    EXPECT_FALSE(is_insecure(config, "10.0.0.1"));
}

TEST(Insecure, listed_hosts_match_with_their_port_and_blocks_by_address) {
    Config config;
    config.insecure_registries = {"10.1.0.1:5000", "192.168.4.0/22", "2001:db8::/33", "9.9.9.9/99"};
    EXPECT_TRUE(is_insecure(config, "10.1.0.1:5000"));
    EXPECT_FALSE(is_insecure(config, "10.1.0.1:5001"));
    EXPECT_TRUE(is_insecure(config, "192.168.7.255:443"));
    EXPECT_FALSE(is_insecure(config, "192.168.8.0"));
    EXPECT_TRUE(is_insecure(config, "[2001:db8:7fff::1]:80"));
    EXPECT_FALSE(is_insecure(config, "[2001:db8:8000::1]:80"));
    EXPECT_FALSE(is_insecure(config, "9.9.9.9"));
}

TEST(Proxies, a_host_is_asked_through_one_or_not) {
    const Proxies proxies{.http = "plain:1",
                          .https = "tls:2",
                          .none = "a.example, .b.example,*.c.example,10.0.0.0/8,D.example:81,::1"};
    const auto proxy = [&](const std::string& host) { return proxy_for(proxies, "https", host); };
    EXPECT_EQ(proxy_for(proxies, "http", "x.example"), "plain:1");
    for (const char* host : {"x.example", "xa.example", "b.example", "c.example", "d.example:80",
                             "11.0.0.1", "[fd00::1]:5000"})
        EXPECT_EQ(proxy(host), "tls:2") << host;
    for (const char* host :
         {"a.example", "x.a.example:5000", "x.b.example", "x.c.example", "d.example:81",
          "10.1.2.3:5000", "localhost:5000", "127.0.0.2", "[::1]:1"})
        EXPECT_EQ(proxy(host), "") << host;
    EXPECT_EQ(proxy_for({.http = "p:1", .https = {}, .none = "*"}, "http", "x.example"), "");
    EXPECT_EQ(proxy_for({.http = "p:1", .https = {}, .none = {}}, "https", "x.example"), "");
}

TEST(Distance, of_addresses_in_words) {
    for (const char* host : {"127.1.2.3", "::1", "0.0.0.0", "localhost", "a.LOCALHOST.",
                             "::ffff:127.0.0.1", "127.0.0.1."})
        EXPECT_EQ(distance_of(std::string(host)), Distance::Machine) << host;
    for (const char* host : {"169.254.169.254", "fe80::1"})
        EXPECT_EQ(distance_of(std::string(host)), Distance::Links) << host;
    for (const char* host : {"10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"})
        EXPECT_EQ(distance_of(std::string(host)), Distance::Private) << host;
    for (const char* host : {"172.32.0.1", "8.8.8.8", "2001:db8::1"})
        EXPECT_EQ(distance_of(std::string(host)), Distance::World) << host;
    EXPECT_EQ(distance_of(std::string("registry.example")), std::nullopt);
}

TEST(TlsFiles, first_folder_that_has_the_host) {
    const auto dir = MUST(sys::TempDir::create());
    const std::string one = dir.path() + "/one/reg:5000";
    const std::string two = dir.path() + "/two/reg:5000";
    MUST(sys::make_dirs(one));
    MUST(sys::make_dirs(two));
    for (const char* name : {"/ca.crt", "/client.cert", "/client.key", "/readme"})
        MUST(sys::write_file(one + name, "x"));
    MUST(sys::write_file(two + "/lone.cert", "x"));
    Config config;
    config.certs_dirs = {dir.path() + "/none", dir.path() + "/one", dir.path() + "/two"};
    const auto files = MUST(find_tls_files(config, "reg:5000"));
    EXPECT_EQ(files.authorities, std::vector<std::string>{one + "/ca.crt"});
    EXPECT_EQ(files.client_certificate, one + "/client.cert");
    EXPECT_EQ(files.client_key, one + "/client.key");

    config.certs_dirs = {dir.path() + "/two"};
    EXPECT_FALSE(find_tls_files(config, "reg:5000"));
    EXPECT_TRUE(MUST(find_tls_files(config, "../one")).authorities.empty());
}

}  // namespace
}  // namespace coffer::registry
