#include "registry/tokens.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/text.hpp"

namespace coffer::registry {
namespace {

using std::chrono::seconds;

TEST(Tokens, a_key_differs_with_everything_a_token_is_bound_to) {
    const Credentials user{"user", "secret", "", ""};
    const std::set<std::string> keys = {
        Tokens::key("https://a", "s", user, {}),
        Tokens::key("http://a", "s", user, {}),
        Tokens::key("https://b", "s", user, {}),
        Tokens::key("https://a", "t", user, {}),
        Tokens::key("https://a", "s", {"user", "other", "", ""}, {}),
        Tokens::key("https://a", "s", {"users", "ecret", "", ""}, {}),
        Tokens::key("https://a", "s", {"", "", "refresh", ""}, {}),
        Tokens::key("https://a", "s", {}, {}),
        Tokens::key("https://a", "s", user, {"X-Key: 1"}),
    };
    EXPECT_EQ(keys.size(), 9U);
    EXPECT_EQ(keys.count(Tokens::key("https://a", "s", user, {})), 1U);
    EXPECT_EQ(keys.begin()->find("secret"), std::string::npos);
}

TEST(Tokens, are_good_for_as_long_as_the_server_says) {
    Tokens tokens;
    const auto start = Tokens::Clock::now();
    EXPECT_EQ(tokens.find("k"), "");
    tokens.add("k", "old", seconds(60), start);
    EXPECT_EQ(tokens.find("k", start + seconds(59)), "old");
    EXPECT_EQ(tokens.find("k", start + seconds(60)), "");
    tokens.add("k", "new", seconds(60), start);
    EXPECT_EQ(tokens.find("k", start), "new");
    tokens.add("k", "for ever", seconds(1'000'000'000), start);
    EXPECT_EQ(tokens.find("k", start + Tokens::kLongest), "");
}

TEST(Tokens, are_not_many) {
    Tokens tokens;
    const auto start = Tokens::Clock::now();
    for (std::size_t i = 0; i <= Tokens::kMost; ++i)
        tokens.add(format("{}", i), "t", seconds(100 + static_cast<long>(i)), start);
    EXPECT_EQ(tokens.size(), Tokens::kMost);
    EXPECT_EQ(tokens.find("0", start), "");
    EXPECT_EQ(tokens.find("1", start), "t");
    tokens.add("late", "t", seconds(60), start + seconds(10'000));
    EXPECT_EQ(tokens.size(), 1U);
}

}  // namespace
}  // namespace coffer::registry
