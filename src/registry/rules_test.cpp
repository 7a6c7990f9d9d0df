#include "registry/rules.hpp"

#include <gtest/gtest.h>

namespace coffer::registry {
namespace {

Result<RulesFile> parse(std::string_view text) {
    return parse_rules(text, "file");
}

std::string refusal(std::string_view text) {
    const auto file = parse(text);
    return file ? "accepted" : file.error().message;
}

TEST(Rules, prefixes_match_whole_parts_of_a_name) {
    EXPECT_EQ(match_prefix("docker.io", "docker.io/library/busybox"), 9U);
    EXPECT_EQ(match_prefix("docker.io/library", "docker.io/library/busybox"), 17U);
    EXPECT_EQ(match_prefix("docker.io/lib", "docker.io/library/busybox"), 0U);
    EXPECT_EQ(match_prefix("docker.io", "docker.io.evil/x"), 0U);
    EXPECT_EQ(match_prefix("a.example:5000", "a.example:5000/x"), 14U);
    EXPECT_EQ(match_prefix("a.example", "a.example:5000/x"), 0U);
    EXPECT_GT(match_prefix("*.example.com", "a.b.example.com/x"), 0U);
    EXPECT_GT(match_prefix("*.example.com", "a.example.com:5000/x"), 0U);
    EXPECT_EQ(match_prefix("*.example.com", "example.com/x"), 0U);
    EXPECT_EQ(match_prefix("*.example.com", "x/a.example.com"), 0U);
}

TEST(Rules, what_follows_the_prefix_is_kept) {
    const auto at = [](std::string_view location, std::string_view prefix, std::string_view name) {
        return rewrite(MUST(parse_location(location)), prefix, name);
    };
    EXPECT_EQ(at("m:5000", "docker.io", "docker.io/library/busybox"), "library/busybox");
    EXPECT_EQ(at("m:5000/hub", "docker.io", "docker.io/library/busybox"), "hub/library/busybox");
    EXPECT_EQ(at("m/hub", "docker.io/library", "docker.io/library/busybox"), "hub/busybox");
    EXPECT_EQ(at("m/box", "docker.io/library/busybox", "docker.io/library/busybox"), "box");
    EXPECT_EQ(at("m/all", "*.example.com", "a.example.com/x/y"), "all/x/y");
    EXPECT_EQ(rewrite(Host(), "docker.io/library", "docker.io/library/busybox"), "library/busybox");
}

TEST(Rules, locations) {
    const Host plain = MUST(parse_location("http://m.example:5000/a/b/"));
    EXPECT_EQ(plain.address, "m.example:5000");
    EXPECT_EQ(plain.path, "a/b");
    EXPECT_EQ(plain.scheme, Scheme::Http);
    EXPECT_EQ(MUST(parse_location("[::1]:5000/a")).address, "[::1]:5000");
    for (const char* bad : {"", "https://", "/a", "user@m/a", "m/../a", "m/a//b", "m/A", "m/a?b",
                            "ftp://m/a", "m/a b", "m\r\n/a"})
        EXPECT_FALSE(parse_location(bad)) << bad;
}

TEST(Rules, own_file) {
    const auto file = MUST(parse(R"({"registries":[{"prefix":"docker.io","location":"own.example/h",
        "insecure":true,"credentials":"/f","mirrors":[
        {"location":"m1.example","capabilities":["pull"],"ca":"/ca.pem"},
        {"location":"http://m2:5000","client-cert":"/c","client-key":"/k"}]},
        {"prefix":"bad.example","blocked":true,"message":"no"}],
        "hosts-toml":["/etc/x"],"registries-conf":"/etc/y"})"));
    ASSERT_EQ(file.rules.size(), 2U);
    const auto& hosts = file.rules[0].hosts;
    ASSERT_EQ(hosts.size(), 3U);
    EXPECT_EQ(file.rules[0].source, "file: registries.0");
    EXPECT_EQ(hosts[0].address, "m1.example");
    EXPECT_EQ(hosts[0].tls.authorities, std::vector<std::string>{"/ca.pem"});
    EXPECT_TRUE(hosts[0].can.pull && !hosts[0].can.resolve && !hosts[0].can.push);
    EXPECT_TRUE(hosts[1].can.pull && hosts[1].can.resolve && !hosts[1].can.push);
    EXPECT_EQ(hosts[1].tls.client_key, "/k");
    EXPECT_EQ(hosts[2].address, "own.example");
    EXPECT_TRUE(hosts[2].can.push && hosts[2].insecure);
    EXPECT_TRUE(file.rules[1].blocked);
    EXPECT_EQ(file.rules[1].message, "no");
    EXPECT_EQ(file.hosts_toml, std::vector<std::string>{"/etc/x"});
    EXPECT_EQ(file.registries_conf, std::vector<std::string>{"/etc/y"});
}

TEST(Rules, what_is_wrong_is_named) {
    EXPECT_EQ(refusal(R"({"registry":[]})"), "file: unknown key \"registry\"");
    EXPECT_EQ(refusal(R"({"registries":[{"prefix":"a","mirror":[]}]})"),
              "file: registries.0: unknown key \"mirror\"");
    EXPECT_EQ(refusal(R"({"registries":[{"prefix":"a","mirrors":[{"location":"m","pull":1}]}]})"),
              "file: registries.0.mirrors.0: unknown key \"pull\"");
    EXPECT_EQ(refusal(R"({"registries":[{"prefix":"a","blocked":"yes"}]})"),
              "file: registries.0.blocked: expected true or false, got string");
    EXPECT_EQ(refusal(R"({"registries":{}})"), "file: registries: expected a list, got object");
    EXPECT_EQ(refusal(R"({"registries":[{"prefix":"a","mirrors":[{"location":"m",
                          "capabilities":["fetch"]}]}]})"),
              "file: registries.0.mirrors.0: unknown capability \"fetch\" (pull, resolve or push)");
    for (const char* bad :
         {"", "[]", "{", R"({"registries":[{}]})", R"({"registries":[{"prefix":"a/"}]})",
          R"({"registries":[{"prefix":"*.a/b"}]})",
          R"({"registries":[{"prefix":"a","mirrors":[{}]}]})",
          R"({"registries":[{"prefix":"a","client-cert":"/c"}]})",
          R"({"registries":[{"prefix":"a","location":"a/../b"}]})"})
        EXPECT_NE(refusal(bad), "accepted") << bad;
}

TEST(Rules, hosts_toml_keeps_the_order_of_the_file) {
    const auto file = MUST(parse_hosts_toml(R"(
server = "https://registry-1.docker.io"
capabilities = ["pull", "resolve"]
[host."https://z.example/prefix"]
  capabilities = ["pull"]
  ca = "ca.pem"
  client = [["c.pem", "/k.pem"]]
[host."http://a.example:5000/v2/other"]
  override_path = true
  skip_verify = true
  [host."http://a.example:5000/v2/other".header]
    x-name = ["one", "two"]
)",
                                            "/d/hosts.toml"));
    ASSERT_EQ(file.rules.size(), 1U);
    const auto& hosts = file.rules[0].hosts;
    ASSERT_EQ(hosts.size(), 3U);
    EXPECT_EQ(hosts[0].address, "z.example");
    EXPECT_EQ(hosts[0].api_root, "/prefix/v2/");
    EXPECT_EQ(hosts[0].path, "");
    EXPECT_EQ(hosts[0].tls.authorities, std::vector<std::string>{"/d/ca.pem"});
    EXPECT_EQ(hosts[0].tls.client_certificate, "/d/c.pem");
    EXPECT_EQ(hosts[0].tls.client_key, "/k.pem");
    EXPECT_TRUE(hosts[0].can.pull && !hosts[0].can.resolve && hosts[0].names_origin);
    EXPECT_EQ(hosts[1].api_root, "/v2/other/");
    EXPECT_EQ(hosts[1].scheme, Scheme::Http);
    EXPECT_TRUE(hosts[1].insecure);
    EXPECT_EQ(hosts[1].headers, (std::vector<std::string>{"x-name: one", "x-name: two"}));
    EXPECT_EQ(hosts[2].address, "registry-1.docker.io");
    EXPECT_EQ(hosts[2].api_root, "/v2/");
    EXPECT_FALSE(hosts[2].can.push || hosts[2].names_origin);
    for (const char* bad :
         {"server = 1", "[host.\"ftp://x\"]", "[[host]]\na=1", "host = 'a'", "x",
          "[host.\"a.example\"]\nclient = 3", "[host.\"a.example\".header]\nx = \"a\\r\\nb\""})
        EXPECT_FALSE(parse_hosts_toml(bad, "/d/hosts.toml")) << bad;
}

TEST(Rules, registries_conf) {
    const auto file = MUST(parse_registries_conf(R"(
unqualified-search-registries = ["a.example"]
[[registry]]
prefix = "docker.io/library"
location = "hub.example/lib"
[[registry.mirror]]
location = "m.example/x"
insecure = true
[[registry.mirror]]
location = "d.example"
pull-from-mirror = "digest-only"
[[registry]]
location = "bad.example"
blocked = true
)",
                                                 "r.conf"));
    ASSERT_EQ(file.rules.size(), 2U);
    const auto& hosts = file.rules[0].hosts;
    ASSERT_EQ(hosts.size(), 3U);
    EXPECT_EQ(file.rules[0].source, "r.conf:3");
    EXPECT_EQ(hosts[0].path, "x");
    EXPECT_TRUE(hosts[0].insecure && hosts[0].can.resolve && !hosts[0].can.push);
    EXPECT_TRUE(hosts[1].can.pull && !hosts[1].can.resolve);
    EXPECT_EQ(hosts[2].path, "lib");
    EXPECT_EQ(file.rules[1].prefix, "bad.example");
    EXPECT_TRUE(file.rules[1].blocked);
    const auto wrong = parse_registries_conf("[[registry]]\nblocked = 1\n", "r.conf");
    EXPECT_FALSE(wrong);
    const auto syntax = parse_registries_conf("a = \n", "r.conf");
    ASSERT_FALSE(syntax);
    EXPECT_TRUE(syntax.error().message.starts_with("r.conf: line ")) << syntax.error().message;
}

}  // namespace
}  // namespace coffer::registry
