#include "daemon/config.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace coffer::daemon {
namespace {

class ConfigFile : public testing::Test {
  protected:
    Result<Config> load(const std::string& text, std::vector<std::string> arguments = {}) {
        const std::string path = folder_->path() + "/daemon.json";
        EXPECT_TRUE(sys::write_file(path, text));
        arguments.push_back("--config-file=" + path);
        return load_config(arguments);
    }
    std::string error(const std::string& text, std::vector<std::string> arguments = {}) {
        const auto config = load(text, std::move(arguments));
        return config ? "no error" : config.error().message;
    }
    void SetUp() override {
        auto folder = sys::TempDir::create();
        ASSERT_TRUE(folder);
        folder_ = std::make_unique<sys::TempDir>(*std::move(folder));
    }
    std::unique_ptr<sys::TempDir> folder_;
};

TEST_F(ConfigFile, Flags) {
    const auto config =
        load("{}", {"--data-root", "/d", "--exec-root=/e", "-H", "unix:///a.sock",
                    "-Htcp://127.0.0.1:99", "-D", "--tls=false", "-l=warn", "--firewall=respect",
                    "--default-address-pool", "base=10.5.0.0/16,size=24"});
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->data_root, "/d");
    EXPECT_EQ(config->exec_root, "/e");
    EXPECT_EQ(config->hosts, (std::vector<std::string>{"unix:///a.sock", "tcp://127.0.0.1:99"}));
    EXPECT_TRUE(config->debug);
    EXPECT_TRUE(config->respect_host_firewall);
    EXPECT_EQ(config->level(), log::Level::Debug);
    EXPECT_EQ(config->default_address_pools.size(), 1U);
}

TEST_F(ConfigFile, MirrorsAreAddresses) {
    for (const char* bad : {"m.example", "ftp://m", "https://m/path", "https://u@m", ""})
        EXPECT_NE(error("{}", {std::string("--registry-mirror=") + bad}).find("invalid mirror"),
                  std::string::npos)
            << bad;
}

TEST_F(ConfigFile, WrongFlags) {
    EXPECT_EQ(error("{}", {"--nope"}), "unknown flag: --nope");
    EXPECT_EQ(error("{}", {"--nope=1"}), "unknown flag: --nope");
    EXPECT_EQ(error("{}", {"-x"}), "unknown shorthand flag: 'x' in -x");
    EXPECT_EQ(error("{}", {"serve"}), "\"cofferd\" accepts no arguments.");
    EXPECT_EQ(load_config(std::vector<std::string>{"--data-root"}).error().message,
              "flag needs an argument: --data-root");
    EXPECT_EQ(error("{}", {"--log-level=loud"}),
              "invalid argument \"loud\" for \"--log-level\" flag: invalid logging level: loud");
    EXPECT_NE(error("{}", {"-Hftp://x"}).find("invalid bind address format"), std::string::npos);
    EXPECT_NE(error("{}", {"--firewall=off"}).find("invalid firewall"), std::string::npos);
    EXPECT_NE(error("{}", {"--security-level=max"}).find("invalid security level"),
              std::string::npos);
}

TEST_F(ConfigFile, FileValues) {
    const auto config = load(R"({"data-root":"/d","hosts":["unix:///x.sock"],"debug":true,
        "insecure-registries":["a:5000"],"registry-mirrors":["https://m.example/"],
        "proxies":{"https-proxy":"http://p:1","no-proxy":"a"},"default-address-pools":[{"base":"10.5.0.0/16","size":24}]})");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->data_root, "/d");
    EXPECT_TRUE(config->debug);
    EXPECT_EQ(config->insecure_registries, std::vector<std::string>{"a:5000"});
    EXPECT_EQ(config->registry_mirrors, std::vector<std::string>{"https://m.example/"});
    EXPECT_EQ(config->proxies.https, "http://p:1");
    EXPECT_EQ(config->proxies.none, "a");
    EXPECT_EQ(config->default_address_pools.size(), 1U);
}

TEST_F(ConfigFile, Watermarks) {
    const auto config =
        load(R"({"gc-high":"85%","gc-keep":["base/*","label=keep"],"gc-min-age":"2h"})");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(engine::to_string(*config->collection.high), "85%");
    EXPECT_EQ(engine::to_string(*config->collection.low), "77%");
    EXPECT_EQ(config->collection.keep, (std::vector<std::string>{"base/*", "label=keep"}));
    EXPECT_EQ(config->collection.min_age, std::chrono::hours(2));
    EXPECT_FALSE(load("{}")->collection.high);
    EXPECT_NE(error(R"({"gc-high":"50%","gc-low":"60%"})").find("is above the high one"),
              std::string::npos);
    EXPECT_NE(error("{}", {"--gc-min-age=soon"}).find("invalid duration"), std::string::npos);
}

TEST_F(ConfigFile, WrongFiles) {
    EXPECT_NE(error(R"({"data-root":"/d"})", {"--data-root=/e"})
                  .find("specified both as a flag and in the configuration file: data-root"),
              std::string::npos);
    EXPECT_NE(error(R"({"data-rot":"/d"})")
                  .find("directives don't match any configuration option: data-rot"),
              std::string::npos);
    for (const char* text :
         {"[]", "{", R"({"debug":"yes"})", R"({"hosts":"unix:///x"})", R"({"data-root":1})",
          R"({"proxies":{"ftp-proxy":"x"}})", R"({"proxies":{"data-root":"/d"}})",
          R"({"default-address-pools":[1]})"}) {
        EXPECT_NE(error(text).find("unable to configure the engine with file"), std::string::npos)
            << text;
    }
    EXPECT_FALSE(load_config(std::vector<std::string>{"--config-file=/nonexistent/x.json"}));
}

TEST_F(ConfigFile, PlainTcpIsForLoopbackOnly) {
    EXPECT_EQ(error("{}", {"-Htcp://localhost:1"}), "no error");
    EXPECT_EQ(error("{}", {"-Htcp://:1"}), "no error");
    EXPECT_NE(error("{}", {"-Htcp://0.0.0.0:1"}).find("without --tlsverify"), std::string::npos);
    EXPECT_NE(error("{}", {"-Htcp://0.0.0.0:1", "--tls"}).find("without --tlsverify"),
              std::string::npos);
    EXPECT_EQ(error("{}", {"-Htcp://0.0.0.0:1", "--tlsverify"}), "no error");
    EXPECT_NE(error(R"({"hosts":["tcp://10.0.0.1"]})").find("without --tlsverify"),
              std::string::npos);
}

TEST(Config, HelpNamesEveryFlag) {
    const std::string help = help_text();
    for (const char* flag : {"--data-root string", "-H, --host list", "--validate", "--bip"}) {
        EXPECT_NE(help.find(flag), std::string::npos) << flag;
    }
    EXPECT_TRUE(load_config(std::vector<std::string>{"--help", "--config-file=x"})->help);
}

TEST(Config, Hosts) {
    EXPECT_EQ(parse_host("unix:///a", false)->path, "/a");
    EXPECT_EQ(parse_host("/a", false)->path, "/a");
    EXPECT_EQ(parse_host("tcp://:0", false)->host, "localhost");
    EXPECT_EQ(parse_host("tcp://h", true)->port, 2376);
    EXPECT_EQ(parse_host("127.0.0.1:5", false)->port, 5);
    EXPECT_EQ(parse_host("fd://", false)->kind, HostAddress::Kind::Inherited);
    EXPECT_FALSE(parse_host("unix://a", false));
    EXPECT_FALSE(parse_host("npipe://a", false));
}

}  // namespace
}  // namespace coffer::daemon
