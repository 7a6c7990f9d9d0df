#include "yaml/parse.hpp"

#include <gtest/gtest.h>

#include "json/writer.hpp"

namespace coffer::yaml {
namespace {

std::string as_json(std::string_view text) {
    const auto value = parse(text);
    return value ? json::write(*value) : "error: " + value.error().message;
}

TEST(Yaml, is_read_as_json) {
    EXPECT_EQ(as_json("a: 1\nb: [x, 'y', \"3\"]\nc: {d: null, e: ~, f:}\n"),
              R"({"a":1,"b":["x","y","3"],"c":{"d":null,"e":null,"f":null}})");
    EXPECT_EQ(
        as_json("- true\n- false\n- yes\n- 0x1f\n- 0o17\n- 0660\n- -5\n- 1.5\n- 1e3\n- 0.6.0"),
        R"([true,false,"yes",31,15,432,-5,1.5,1000,"0.6.0"])");
    EXPECT_EQ(as_json("a: &x {b: 1}\nc: *x\n"), R"({"a":{"b":1},"c":{"b":1}})");
    EXPECT_EQ(as_json("a: |\n  one\n  two\nb: !!str 5\n"), R"({"a":"one\ntwo\n","b":"5"})");
    EXPECT_EQ(as_json(""), "null");
    EXPECT_EQ(as_json("{\"json\": [1, {\"is\": \"yaml\"}]}"), R"({"json":[1,{"is":"yaml"}]})");
}

TEST(Yaml, refuses_with_the_line) {
    EXPECT_EQ(as_json("a: 1\na: 2\n"), "error: line 2: key 'a' is there twice");
    EXPECT_EQ(as_json("a: 1\n[b]: 2\n"), "error: line 1: a key is no scalar");
    EXPECT_EQ(as_json("a: !secret x\n"), "error: line 1: tag '!secret' is not known");
    EXPECT_TRUE(as_json("a: [1, 2\n").starts_with("error: line "));
    EXPECT_TRUE(as_json("a: *none\n").starts_with("error: line 1: "));
}

TEST(Yaml, does_not_grow_without_bound) {
    std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
    for (char name = 'b'; name <= 'j'; ++name) {
        const std::string last = "*" + std::string(1, static_cast<char>(name - 1));
        text += std::string(1, name) + ": &" + name + " [";
        for (int i = 0; i < 10; ++i) text += (i == 0 ? "" : ", ") + last;
        text += "]\n";
    }
    EXPECT_EQ(as_json(text), "error: too many values");
    EXPECT_TRUE(as_json(std::string(20'000, '[')).starts_with("error: "));
    EXPECT_EQ(as_json(std::string(100, '[') + std::string(100, ']')), "error: nested too deeply");
}

}  // namespace
}  // namespace coffer::yaml
