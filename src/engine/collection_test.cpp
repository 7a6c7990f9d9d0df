#include "engine/collection.hpp"

#include <gtest/gtest.h>

namespace coffer::engine {
namespace {

constexpr std::uint64_t kMega = 1'000'000;

Time at(int hour) {
    return Time(std::chrono::hours(hour));
}
// Of parts of a megabyte each.
Candidate candidate(int hour, std::vector<std::string> parts, bool stays = false) {
    Candidate one{.stays = stays, .used = at(hour), .parts = {}};
    for (const auto& part : parts) one.parts[part] = kMega;
    return one;
}
std::vector<std::size_t> chosen(const std::vector<Candidate>& candidates, std::uint64_t bytes) {
    std::vector<std::size_t> indices;
    for (const Choice& one : choose(candidates, bytes)) indices.push_back(one.candidate);
    return indices;
}
using Indices = std::vector<std::size_t>;

TEST(Collection, the_least_recently_used_go_first_and_no_more_than_needed) {
    const std::vector<Candidate> all = {candidate(3, {"a"}), candidate(1, {"b"}),
                                        candidate(2, {"c"}), candidate(0, {"d"}, true)};
    EXPECT_EQ(chosen(all, 0), Indices());
    EXPECT_EQ(chosen(all, 1), Indices({1}));
    EXPECT_EQ(chosen(all, kMega), Indices({1}));
    EXPECT_EQ(chosen(all, kMega + 1), Indices({1, 2}));
    EXPECT_EQ(chosen(all, 100 * kMega), Indices({1, 2, 0}));
}

TEST(Collection, what_frees_nothing_stays) {
    // 0 is the base of 1 (younger) and of 2, which stays.
    std::vector<Candidate> all = {candidate(1, {"base"}), candidate(2, {"base", "own"}),
                                  candidate(3, {"base", "other"}, true)};
    EXPECT_EQ(chosen(all, 10 * kMega), Indices({1}));
    // Its other owner goes: then it counts, and what the base had is counted with the last.
    all[2].stays = false;
    const auto choices = choose(all, 10 * kMega);
    ASSERT_EQ(choices.size(), 3U);
    EXPECT_EQ(choices[0].candidate, 0U);
    EXPECT_EQ(choices[0].bytes, 0U);
    EXPECT_EQ(choices[1].bytes, kMega);
    EXPECT_EQ(choices[2].bytes, 2 * kMega);
    // It does not go in vain when its owner is not reached.
    EXPECT_EQ(chosen(all, kMega), Indices({1}));
}

TEST(Collection, watermarks_are_read_and_shown) {
    EXPECT_EQ(to_string(MUST(parse_watermark("85%"))), "85%");
    EXPECT_EQ(MUST(parse_watermark("2g")).value, std::uint64_t{2} << 30U);
    EXPECT_EQ(MUST(parse_watermark("0")).value, 0U);
    for (const char* bad : {"", "%", "101%", "-1", "x", "10 %", "1.5%"}) {
        EXPECT_FALSE(parse_watermark(bad)) << bad;
    }
}

TEST(Collection, a_low_watermark_belongs_to_a_high_one) {
    CollectionRules rules{.high = MUST(parse_watermark("90%")), .low = {}, .keep = {}};
    MUST(settle(rules));
    EXPECT_EQ(to_string(*rules.low), "81%");
    rules.low = MUST(parse_watermark("91%"));
    EXPECT_EQ(settle(rules).error().message, "the low watermark 91% is above the high one 90%");
    rules.low = MUST(parse_watermark("1g"));
    EXPECT_FALSE(settle(rules));
}

TEST(Collection, how_much_is_beyond_a_watermark) {
    const DiskFill fill{.size = 1000, .used = 900, .images = 500};
    EXPECT_EQ(bytes_beyond({Watermark::Unit::Percent, 90}, fill), 0U);
    EXPECT_EQ(bytes_beyond({Watermark::Unit::Percent, 80}, fill), 100U);
    EXPECT_EQ(bytes_beyond({Watermark::Unit::Bytes, 500}, fill), 0U);
    EXPECT_EQ(bytes_beyond({Watermark::Unit::Bytes, 100}, fill), 400U);
}

}  // namespace
}  // namespace coffer::engine
