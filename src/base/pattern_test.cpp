#include "base/pattern.hpp"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(Pattern, is_found_anywhere_unless_anchored) {
    EXPECT_TRUE(Pattern("eb").found_in("web1"));
    EXPECT_TRUE(Pattern("^web[0-9]$").found_in("web1"));
    EXPECT_FALSE(Pattern("^eb").found_in("web1"));
    EXPECT_TRUE(Pattern("a|b").found_in("xb"));
}

TEST(Pattern, what_is_no_expression_is_found_as_it_is) {
    EXPECT_TRUE(Pattern("[").found_in("["));
    EXPECT_FALSE(Pattern("[").found_in("a["));
}

TEST(Pattern, expensive_expressions_find_nothing_else) {
    EXPECT_FALSE(Pattern("(a{9999}){9999}").found_in("a"));
    EXPECT_FALSE(Pattern("(.*)\\1").found_in("abab"));
    EXPECT_FALSE(Pattern(std::string(300, 'a') + "|b").found_in("b"));
}

}  // namespace
}  // namespace coffer
