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
