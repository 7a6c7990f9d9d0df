#include "cli/flags.hpp"

#include <gmock/gmock.h>

#include <array>

#include "cli/checks.hpp"

namespace coffer::cli {
namespace {

using ::testing::ElementsAre;

constexpr std::array kFlags = {
    list("env", 'e', nullptr, "env"),
    toggle("interactive", 'i', "stdin"),
    toggle("tty", 't', "tty"),
    value("bytes", "memory", 'm', &check_bytes, "memory"),
    list("network", 0, nullptr, "network"),
    other_spelling("net", list("network", 0, nullptr, "network")),
    with_default(toggle("sig-proxy", 0, "proxy"), "true", "true"),
    value("int", "pids-limit", 0, &check_int, "pids"),
};
constexpr FlagTable kTable{kFlags};

ParsedFlags parse(std::vector<std::string> args, Interspersed mode = Interspersed::No) {
    auto parsed = parse_flags(kTable, args, mode);
    EXPECT_TRUE(parsed) << parsed.error().message;
    return *std::move(parsed);
}

std::string error_of(std::vector<std::string> args) {
    auto parsed = parse_flags(kTable, args, Interspersed::No);
    return parsed ? "" : parsed.error().message;
}

TEST(Flags, a_value_may_look_like_a_flag) {
    const auto parsed = parse({"-e", "-x", "--env", "--y", "image"});
    EXPECT_THAT(parsed.values.list("env"), ElementsAre("-x", "--y"));
    EXPECT_THAT(parsed.args, ElementsAre("image"));
}

TEST(Flags, bundles_of_short_flags) {
    const auto parsed = parse({"-ite", "A=1", "-eB=2", "-e=C=3"});
    EXPECT_TRUE(parsed.values.is_set("interactive"));
    EXPECT_TRUE(parsed.values.is_set("tty"));
    EXPECT_THAT(parsed.values.list("env"), ElementsAre("A=1", "B=2", "C=3"));
}

TEST(Flags, after_the_first_argument_all_is_arguments) {
    const auto parsed = parse({"-i", "image", "-t", "--nope"});
    EXPECT_FALSE(parsed.values.is_set("tty"));
    EXPECT_THAT(parsed.args, ElementsAre("image", "-t", "--nope"));
}

TEST(Flags, interspersed_and_the_double_dash) {
    const auto parsed = parse({"a", "-t", "--", "-i"}, Interspersed::Yes);
    EXPECT_TRUE(parsed.values.is_set("tty"));
    EXPECT_FALSE(parsed.values.is_set("interactive"));
    EXPECT_THAT(parsed.args, ElementsAre("a", "-i"));
}

TEST(Flags, single_dash_and_empty_word_are_arguments) {
    EXPECT_THAT(parse({"-", ""}).args, ElementsAre("-", ""));
    EXPECT_THAT(parse({"", "-t"}).args, ElementsAre("", "-t"));
}

TEST(Flags, switches_take_a_value_only_with_equals) {
    EXPECT_FALSE(parse({"--sig-proxy=false"}).values.is_set("sig-proxy"));
    EXPECT_TRUE(parse({}).values.is_set("sig-proxy"));
    EXPECT_THAT(parse({"-t", "false"}).args, ElementsAre("false"));
    EXPECT_FALSE(parse({"-t=0"}).values.is_set("tty"));
}

TEST(Flags, other_spelling_counts_as_the_flag) {
    const auto parsed = parse({"--net", "a", "--network=b"});
    EXPECT_THAT(parsed.values.list("network"), ElementsAre("a", "b"));
}

TEST(Flags, the_last_value_wins) {
    EXPECT_EQ(parse({"-m", "1k", "--memory=2k"}).values.number("memory"), 2048);
    EXPECT_FALSE(parse({}).values.given("memory"));
}

TEST(Flags, numbers_of_any_base) {
    EXPECT_EQ(parse({"--pids-limit", "0x10"}).values.number("pids-limit"), 16);
    EXPECT_EQ(parse({"--pids-limit=-1"}).values.number("pids-limit"), -1);
}

TEST(Flags, mistakes_are_told_as_pflag_does) {
    EXPECT_EQ(error_of({"--nope"}), "unknown flag: --nope");
    EXPECT_EQ(error_of({"--nope=1"}), "unknown flag: --nope");
    EXPECT_EQ(error_of({"-z"}), "unknown shorthand flag: 'z' in -z");
    EXPECT_EQ(error_of({"-itz"}), "unknown shorthand flag: 'z' in -z");
    EXPECT_EQ(error_of({"-e"}), "flag needs an argument: 'e' in -e");
    EXPECT_EQ(error_of({"--env"}), "flag needs an argument: --env");
    EXPECT_EQ(error_of({"---x"}), "bad flag syntax: ---x");
    EXPECT_EQ(error_of({"--=x"}), "bad flag syntax: --=x");
    EXPECT_EQ(error_of({"-m", "foo"}),
              "invalid argument \"foo\" for \"-m, --memory\" flag: invalid size: 'foo'");
    EXPECT_EQ(error_of({"--tty=maybe"}),
              "invalid argument \"maybe\" for \"-t, --tty\" flag: strconv.ParseBool: parsing "
              "\"maybe\": invalid syntax");
    EXPECT_EQ(error_of({"--pids-limit", "99999999999999999999"}),
              "invalid argument \"99999999999999999999\" for \"--pids-limit\" flag: "
              "strconv.ParseInt: parsing \"99999999999999999999\": value out of range");
}

TEST(Flags, help_stops_the_parsing) {
    EXPECT_TRUE(parse({"--help", "--nope"}).help);
    EXPECT_TRUE(parse({"-h"}).help);
}

TEST(Checks, sizes) {
    EXPECT_EQ(*check_bytes("1.5g"), "1610612736");
    EXPECT_EQ(*check_bytes("10KiB"), "10240");
    EXPECT_EQ(*check_bytes("64 M"), "67108864");
    EXPECT_EQ(check_bytes("1x").error().message, "invalid suffix: 'x'");
    EXPECT_EQ(check_bytes("-1").error().message, "invalid size: '-1'");
    EXPECT_EQ(check_bytes("1.2.3").error().message,
              "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax");
    EXPECT_EQ(*check_swap("-1"), "-1");
}

TEST(Checks, cpus) {
    EXPECT_EQ(*check_cpus("1.5"), "1500000000");
    EXPECT_EQ(*check_cpus(".01"), "10000000");
    EXPECT_EQ(*check_cpus("1/4"), "250000000");
    EXPECT_EQ(check_cpus("x").error().message, "failed to parse x as a rational number");
    EXPECT_EQ(check_cpus("0.0000000001").error().message, "value is too precise");
}

TEST(Checks, durations) {
    EXPECT_EQ(*check_duration("1m30s"), "90000000000");
    EXPECT_EQ(check_duration("3").error().message, "time: missing unit in duration \"3\"");
    EXPECT_EQ(check_duration("3x").error().message, "time: unknown unit \"x\" in duration \"3x\"");
    EXPECT_EQ(check_duration("").error().message, "time: invalid duration \"\"");
}

TEST(Checks, ulimits) {
    EXPECT_EQ(*check_ulimit("nofile=10:20"), "nofile=10:20");
    EXPECT_EQ(*check_ulimit("core=-1"), "core=-1:-1");
    EXPECT_EQ(check_ulimit("x=1").error().message, "invalid ulimit type: x");
    EXPECT_EQ(check_ulimit("nofile=20:10").error().message,
              "ulimit soft limit must be less than or equal to hard limit: 20 > 10");
}

TEST(Checks, addresses_and_names) {
    EXPECT_EQ(*check_dns(" 2001:DB8::1 "), "2001:db8::1");
    EXPECT_EQ(check_dns("1.2.3").error().message, "IP address is not correctly formatted: 1.2.3");
    EXPECT_EQ(*check_add_host("h=[::1]"), "h:::1");
    EXPECT_EQ(*check_add_host("h:host-gateway"), "h:host-gateway");
    EXPECT_EQ(check_add_host("h").error().message, "bad format for add-host: \"h\"");
    EXPECT_EQ(*check_dns_search("."), ".");
    EXPECT_EQ(check_dns_search("-a.b").error().message, "-a.b is not a valid domain");
    EXPECT_EQ(check_label("=x").error().message, "invalid label '=x': empty name");
    EXPECT_EQ(check_sysctl("kernel.shm=1").error().message, "sysctl 'kernel.shm=1' is not allowed");
    EXPECT_EQ(check_device_rule("c 1:x rwm").error().message,
              "invalid device cgroup format 'c 1:x rwm'");
    EXPECT_TRUE(check_device_rule("c *:3 rm"));
    EXPECT_EQ(*check_bps_device("/dev/sda:1mb"), "/dev/sda:1048576");
    EXPECT_FALSE(check_weight_device("/dev/sda:5"));
}

}  // namespace
}  // namespace coffer::cli
