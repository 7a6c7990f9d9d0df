#include "base/time.hpp"

#include <gtest/gtest.h>

namespace coffer {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): literals only

TEST(Time, prints_nine_digits_or_as_few_as_needed) {
    const Time time{std::chrono::nanoseconds(1'700'000'000'120'000'000)};
    EXPECT_EQ(to_rfc3339(time), "2023-11-14T22:13:20.120000000Z");
    EXPECT_EQ(to_rfc3339_short(time), "2023-11-14T22:13:20.12Z");
    EXPECT_EQ(to_rfc3339_short(Time{1'700'000'000s}), "2023-11-14T22:13:20Z");
    EXPECT_EQ(to_rfc3339(kZeroTime), "0001-01-01T00:00:00Z");
}

TEST(Time, parses_what_it_prints_and_zones) {
    const Time time{std::chrono::nanoseconds(1'700'000'000'120'000'001)};
    EXPECT_EQ(parse_rfc3339(to_rfc3339(time)), time);
    EXPECT_EQ(parse_rfc3339("0001-01-01T00:00:00Z"), kZeroTime);
    EXPECT_EQ(parse_rfc3339("2023-11-14T23:13:20+01:00"), Time{1'700'000'000s});
    EXPECT_EQ(parse_rfc3339("2023-11-14"), Time{1'699'920'000s});
    EXPECT_FALSE(parse_rfc3339("2023-02-30T00:00:00Z"));
    EXPECT_FALSE(parse_rfc3339("2023-11-14T24:00:00Z"));
    EXPECT_FALSE(parse_rfc3339("2023-11-14T22:13:20Zx"));
    EXPECT_FALSE(parse_rfc3339(""));
}

TEST(Time, reads_go_durations) {
    EXPECT_EQ(parse_duration("1h2m3.5s"), 1h + 2min + 3500ms);
    EXPECT_EQ(parse_duration("-300ms"), -300ms);
    EXPECT_EQ(parse_duration("0"), 0ns);
    EXPECT_FALSE(parse_duration("5"));
    EXPECT_FALSE(parse_duration("s"));
    EXPECT_FALSE(parse_duration("1parsec"));
    EXPECT_FALSE(parse_duration("999999999h"));
}

TEST(Time, reads_timestamps_in_all_three_forms) {
    const Time reference{1'700'000'000s};
    EXPECT_EQ(parse_timestamp("1600000000.5", reference), Time{1'600'000'000s + 500ms});
    EXPECT_EQ(parse_timestamp("10m", reference), reference - 10min);
    EXPECT_EQ(parse_timestamp("2023-11-14T22:13:20Z", reference), reference);
    EXPECT_FALSE(parse_timestamp("yesterday", reference));
}

}  // namespace
}  // namespace coffer
