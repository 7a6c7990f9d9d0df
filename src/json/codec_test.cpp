#include "json/codec.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace coffer::json {

namespace {

struct Limits {
    std::int64_t memory = 0;
    std::optional<std::int64_t> pids;
    std::vector<std::string> cpus;
};
void describe(Fields& f, const Limits& s) {
    f("Memory", s.memory);
    f("PidsLimit", s.pids);
    f("Cpus", s.cpus, kNullIfEmpty);
}

struct Node {
    std::string name;
    std::vector<Node> children;
    std::unique_ptr<Node> twin;
};
void describe(Fields& f, const Node& s) {
    f("name", s.name);
    f("children", s.children, kOmitEmpty);
    f("twin", s.twin, kOmitEmpty);
}

struct Host {
    std::vector<std::string> binds;
    Limits limits;  // embedded
    bool privileged = false;
    std::uint8_t small = 7;
    std::map<std::string, Empty> ports;
    std::map<std::string, std::optional<std::vector<std::string>>> maps;
    Value raw;
    double load = 0;
    std::optional<Limits> nested;
    std::uint64_t big = 0;
    std::string note;
    std::optional<std::vector<std::string>> cmd;
};
void describe(Fields& f, const Host& s) {
    f("Binds", s.binds);
    describe(f, s.limits);
    f("Privileged", s.privileged);
    f("Small", s.small);
    f("Ports", s.ports);
    f("Maps", s.maps, kOmitEmpty);
    f("Raw", s.raw, kOmitEmpty);
    f("Load", s.load, kOmitEmpty);
    f("Nested", s.nested, kOmitEmpty);
    f("Big", s.big, kOmitEmpty);
    f("Note", s.note, kOmitEmpty);
    f.words("Cmd", s.cmd, kOmitEmpty);
}

std::string why(const Result<Host>& result) {
    return result ? "no error" : result.error().message;
}

TEST(Codec, WritesEmptyValuesByPolicy) {
    EXPECT_EQ(encode(Host{}),
              R"({"Binds":[],"Memory":0,"PidsLimit":null,"Cpus":null,"Privileged":false,)"
              R"("Small":7,"Ports":{}})");
}

TEST(Codec, KeepsEverythingInARoundTrip) {
    const std::string text =
        R"({"Binds":["/a:/b"],"Memory":-9223372036854775808,"PidsLimit":0,"Cpus":["1","2"],)"
        R"("Privileged":true,"Small":255,"Ports":{"80/tcp":{}},"Maps":{"a":null,"b":[],"c":["x"]},)"
        R"("Raw":{"z":1,"a":[true,null]},"Load":0.25,)"
        R"("Nested":{"Memory":1,"PidsLimit":null,"Cpus":null},"Big":18446744073709551615,)"
        R"("Note":"\u003cb\u003e"})";
    const auto host = decode<Host>(text);
    ASSERT_TRUE(host) << why(host);
    EXPECT_EQ(host->limits.memory, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(host->note, "<b>");
    EXPECT_EQ(encode(*host), text);
    EXPECT_EQ(write(to_value(*host)), text);
}

TEST(Codec, ReadsNamesWithoutCaseAndIgnoresUnknownOnes) {
    const auto host = decode<Host>(R"({"PRIVILEGED":true,"memory":5,"Nobody":[1,{"x":2}]})");
    ASSERT_TRUE(host);
    EXPECT_TRUE(host->privileged);
    EXPECT_EQ(host->limits.memory, 5);
}

TEST(Codec, TakesTheLastOfRepeatedFields) {
    const auto host =
        decode<Host>(R"({"Memory":1,"memory":2,"Memory":3,"Binds":["a"],"BINDS":["b"]})");
    ASSERT_TRUE(host);
    EXPECT_EQ(host->limits.memory, 3);
    EXPECT_EQ(host->binds, std::vector<std::string>{"b"});
}

TEST(Codec, NullLeavesDefaultsAndEmptiesContainers) {
    const auto host =
        decode<Host>(R"({"Small":null,"Binds":null,"PidsLimit":null,"Note":null,"Ports":null})");
    ASSERT_TRUE(host);
    EXPECT_EQ(host->small, 7);
    EXPECT_FALSE(host->limits.pids);
    EXPECT_TRUE(decode<Host>("null"));
}

TEST(Codec, TakesOneStringForAListOfWords) {
    EXPECT_EQ(decode<Host>(R"({"Cmd":"a b"})")->cmd, std::vector<std::string>{"a b"});
    EXPECT_EQ(decode<Host>(R"({"Cmd":["a","b"]})")->cmd->size(), 2U);
    EXPECT_EQ(decode<Host>(R"({"Cmd":[]})")->cmd->size(), 0U);
    EXPECT_FALSE(decode<Host>(R"({"Cmd":null})")->cmd);
    EXPECT_FALSE(decode<Host>(R"({"Cmd":1})"));
}

TEST(Codec, NamesThePathOfAWrongType) {
    EXPECT_EQ(why(decode<Host>(R"({"Memory":"1"})")), "Memory: expected a number, got string");
    EXPECT_EQ(why(decode<Host>(R"({"Nested":{"Cpus":["a",3]}})")),
              "Nested.Cpus[1]: expected a string, got number");
    EXPECT_EQ(why(decode<Host>(R"({"Maps":{"k":[{}]}})")),
              "Maps.k[0]: expected a string, got object");
    EXPECT_EQ(why(decode<Host>(R"({"Privileged":1})")), "Privileged: expected a bool, got number");
    EXPECT_EQ(why(decode<Host>(R"({"Binds":{}})")), "Binds: expected an array, got object");
    EXPECT_EQ(why(decode<Host>("[]")), "expected an object, got array");
}

TEST(Codec, RefusesNumbersThatDoNotFit) {
    EXPECT_EQ(why(decode<Host>(R"({"Small":256})")), "Small: number 256 is out of range");
    EXPECT_EQ(why(decode<Host>(R"({"Small":-1})")), "Small: number -1 is out of range");
    EXPECT_EQ(why(decode<Host>(R"({"Memory":9223372036854775808})")),
              "Memory: number 9223372036854775808 is out of range");
    EXPECT_EQ(why(decode<Host>(R"({"Memory":1.5})")), "Memory: number 1.5 is no integer that fits");
    EXPECT_EQ(why(decode<Host>(R"({"Memory":1e400})")),
              "invalid JSON at byte 15: number out of range");
}

TEST(Codec, HoldsRecursiveTypes) {
    const std::string text = R"({"name":"a","children":[{"name":"b","twin":{"name":"c"}}]})";
    const auto node = decode<Node>(text);
    ASSERT_TRUE(node);
    EXPECT_EQ(node->children[0].twin->name, "c");
    EXPECT_EQ(encode(*node), text);
}

TEST(Codec, PrettyPrintsAsDockerInspect) {
    EXPECT_EQ(encode(std::vector<Limits>{{1, {}, {"0"}}}, {.escape = Escape::Plain, .indent = 4}),
              "[\n    {\n        \"Memory\": 1,\n        \"PidsLimit\": null,\n"
              "        \"Cpus\": [\n            \"0\"\n        ]\n    }\n]");
    EXPECT_EQ(encode(std::vector<Limits>{}, {.indent = 4}), "[]");
}

}  // namespace

}  // namespace coffer::json
