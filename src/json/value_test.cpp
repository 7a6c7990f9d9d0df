#include "json/value.hpp"

#include <gtest/gtest.h>

namespace coffer::json {

namespace {

std::string again(std::string_view text) {
    const auto value = parse(text);
    return value ? write(*value) : value.error().message;
}

TEST(Value, KeepsDocumentsAsTheyWere) {
    for (const std::string text :
         {"null", "true", "[]", "{}", R"({"z":1,"a":[1,-2,"x",{"b":null}]})", "9223372036854775807",
          "18446744073709551615", "-9223372036854775808", "\"\"", "0.1", "-0.5"})
        EXPECT_EQ(again(text), text);
    EXPECT_EQ(again(" \r\n\t{ \"a\" : [ 1 , 2 ] } \n"), R"({"a":[1,2]})");
}

TEST(Value, WritesNumbersAsGo) {
    EXPECT_EQ(again("1e20"), "100000000000000000000");
    EXPECT_EQ(again("1e21"), "1e+21");
    EXPECT_EQ(again("1E-7"), "1e-7");
    EXPECT_EQ(again("0.000001"), "0.000001");
    EXPECT_EQ(again("1.5e-10"), "1.5e-10");
    EXPECT_EQ(again("1.0"), "1");
    EXPECT_EQ(again("-0"), "-0");
    EXPECT_EQ(again("1.7976931348623157e308"), "1.7976931348623157e+308");
    EXPECT_EQ(again("18446744073709551616"), "18446744073709551616");
    EXPECT_EQ(write(Value(1.0 / 3)), "0.3333333333333333");
}

TEST(Value, EscapesAsGo) {
    EXPECT_EQ(write(Value("a<b>&\"\\\n\r\t\b\f\x01\x7f/\u2028\u2029é")),
              "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f/\\u2028\\u2029é\"");
    EXPECT_EQ(write(Value("<&>"), {.escape = Escape::Plain}), "\"<&>\"");
    EXPECT_EQ(write(Value("a\xff")), "\"a\xEF\xBF\xBD\"");
}

TEST(Value, ReadsEscapes) {
    EXPECT_EQ(*parse(R"("\u00e9\ud83d\ude00\/\n")")->if_string(), "é😀/\n");
    EXPECT_EQ(*parse(R"("\ud83d")")->if_string(), "\uFFFD");
    EXPECT_EQ(*parse(R"("\ud83dx\ude00")")->if_string(), "\uFFFDx\uFFFD");
    EXPECT_EQ(*parse(R"("\ud83d\u0041")")->if_string(), "\uFFFDA");
    EXPECT_EQ(parse(R"("\u0000")")->if_string()->size(), 1U);
}

TEST(Value, RefusesWhatIsNotJson) {
    for (const std::string_view text : {"",           " ",
                                        "{",          "[1,]",
                                        "[1 2]",      "{\"a\"}",
                                        "{\"a\":}",   "{a:1}",
                                        "{\"a\":1,}", "tru",
                                        "01",         "+1",
                                        "1.",         ".5",
                                        "1e",         "-",
                                        "\"a",        "\"\\x\"",
                                        "\"\\u12\"",  "\"\\u+123\"",
                                        "\"\n\"",     "nullx",
                                        "{} {}",      "[]]",
                                        "'a'",        "NaN",
                                        "Infinity",   "0x10",
                                        "//",         "\xEF\xBB\xBF{}",
                                        "\"\xff\"",   "\"\xc0\x80\"",
                                        "1e999"})
        EXPECT_FALSE(parse(text)) << text;
    EXPECT_FALSE(parse(std::string_view("[1\0]", 4)));
    EXPECT_EQ(parse("[1,x]").error().message, "invalid JSON at byte 3: expected a value");
    EXPECT_EQ(parse("{}x").error().message,
              "invalid JSON at byte 2: unexpected text after the document");
}

TEST(Value, RefusesDeepDocuments) {
    EXPECT_TRUE(parse(std::string(256, '[') + std::string(256, ']')));
    EXPECT_FALSE(parse(std::string(257, '[') + std::string(257, ']')));
    EXPECT_FALSE(parse(std::string(100'000, '[')));
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    EXPECT_FALSE(parse(objects));
    EXPECT_FALSE(parse("[[]]", {.depth = 1}));
    EXPECT_FALSE(parse("[1,2,3]", {.bytes = 3}));
}

TEST(Value, KeepsTheLastOfRepeatedKeys) {
    EXPECT_EQ(again(R"({"a":1,"b":2,"a":3})"), R"({"b":2,"a":3})");
    std::string many = "{";
    for (int i = 0; i < 50'000; ++i) many += "\"k" + std::to_string(i % 20) + "\":1,";
    many += "\"k0\":2}";
    const auto value = parse(many);
    ASSERT_TRUE(value);
    EXPECT_EQ(value->if_object()->size(), 20U);
    EXPECT_EQ(*value->find("k0")->to_int(), 2);
}

TEST(Value, FindsByPath) {
    const auto value = parse(R"({"State":{"Log":[{"Code":7}]}})");
    EXPECT_EQ(*value->at_path("State.Log.0.Code")->to_int(), 7);
    EXPECT_EQ(value->at_path("State.Log.1.Code"), nullptr);
    EXPECT_EQ(value->at_path("State.Log.x"), nullptr);
    EXPECT_EQ(value->at_path("Nothing.Log"), nullptr);
}

TEST(Value, IsBuiltFromLiterals) {
    Value value = Object{{"Id", "abc"}, {"Pid", 12}, {"Ok", true}, {"List", Array{1, "x", {}}}};
    value.set("Pid", 13U);
    value.set("Max", ~std::uint64_t{0});
    EXPECT_EQ(write(value),
              R"({"Id":"abc","Pid":13,"Ok":true,"List":[1,"x",null],"Max":18446744073709551615})");
    EXPECT_EQ(value, *parse(write(value)));
}

}  // namespace

}  // namespace coffer::json
