#include "network/rate.hpp"

#include <gtest/gtest.h>

namespace coffer::network {
namespace {

TEST(Rate, texts) {
    EXPECT_EQ(MUST(parse_rate("")), RateLimit());
    EXPECT_EQ(MUST(parse_rate("in=10mbit")), (RateLimit{1'250'000, 0}));
    EXPECT_EQ(MUST(parse_rate("out=512kbit,in=1Gbit")), (RateLimit{125'000'000, 64'000}));
    for (const char* text : {"10mbit", "in=", "in=10", "in=10mb", "in=1mbit,in=2mbit", "up=1mbit",
                             "in=0mbit", "in=7999bit", "in=1001gbit", "in=-1mbit", "in=1mbit,"})
        EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(Rate, the_tighter_of_two) {
    EXPECT_EQ(tighter({100, 0}, {200, 300}), (RateLimit{100, 300}));
}

}  // namespace
}  // namespace coffer::network
