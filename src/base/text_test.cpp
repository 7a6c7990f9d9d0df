#include "base/text.hpp"

#include <gtest/gtest.h>

namespace coffer {
namespace {

using Parts = std::vector<std::string>;

TEST(Text, splits_at_every_separator) {
    EXPECT_EQ(split("a,,b", ','), (Parts{"a", "", "b"}));
    EXPECT_EQ(split("", ','), Parts{""});
    EXPECT_EQ(split_fields("  a \t b\n"), (Parts{"a", "b"}));
    EXPECT_TRUE(split_fields(" \n").empty());
}

TEST(Text, numbers_are_whole_strings_in_range) {
    EXPECT_EQ(parse_uint("18446744073709551615"), 18446744073709551615ULL);
    EXPECT_FALSE(parse_uint("18446744073709551616"));
    EXPECT_FALSE(parse_uint("-1"));
    EXPECT_FALSE(parse_uint("+1"));
    EXPECT_EQ(parse_octal("0644"), 0644U);
    for (const char* bad : {"", "8", "0x1", "-1", "77777777777777"}) EXPECT_FALSE(parse_octal(bad));
    EXPECT_FALSE(parse_uint(" 1"));
    EXPECT_FALSE(parse_uint("1x"));
    EXPECT_FALSE(parse_uint(""));
    EXPECT_EQ(parse_int("-9"), -9);
}

TEST(Text, base64_goes_both_ways_in_both_alphabets) {
    const std::string bytes("\xFB\xEF\xFF\x00!", 5);
    EXPECT_EQ(to_base64(bytes), "++//ACE=");
    EXPECT_EQ(to_base64(bytes, Base64::Url), "--__ACE=");
    EXPECT_EQ(from_base64("--__ACE="), bytes);
    EXPECT_EQ(from_base64("++//ACE"), bytes);
    EXPECT_FALSE(from_base64("a"));
    EXPECT_FALSE(from_base64("ab*d"));
    EXPECT_EQ(from_base64("e30="), "{}");
}

TEST(Text, sizes_read_and_print_as_docker_does) {
    EXPECT_EQ(parse_bytes("64m"), 64 << 20);
    EXPECT_EQ(parse_bytes("1.5g"), 1610612736);
    EXPECT_EQ(parse_bytes("10KB"), 10240);
    EXPECT_EQ(parse_bytes("10kib"), 10240);
    EXPECT_EQ(parse_bytes("7"), 7);
    EXPECT_FALSE(parse_bytes(""));
    EXPECT_FALSE(parse_bytes("-1"));
    EXPECT_FALSE(parse_bytes("1q"));
    EXPECT_FALSE(parse_bytes("99999999999999p"));
    EXPECT_EQ(human_size(0), "0B");
    EXPECT_EQ(human_size(1210000), "1.21MB");
    EXPECT_EQ(human_size(999), "999B");
}

TEST(Text, utf8_is_checked_and_mended) {
    EXPECT_TRUE(is_utf8("h\xC3\xA9\xF0\x9F\x98\x80"));
    EXPECT_FALSE(is_utf8("\xC0\x80"));          // overlong
    EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
    EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // past U+10FFFF
    EXPECT_FALSE(is_utf8("\xE2\x82"));          // cut short
    EXPECT_EQ(to_utf8("a\xFFz"), "a\xEF\xBF\xBDz");
}

}  // namespace
}  // namespace coffer
