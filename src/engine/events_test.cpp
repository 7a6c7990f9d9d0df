#include "engine/events.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <fstream>

namespace coffer::engine {
namespace {

Event started(const std::string& id) {
    return {"container", "start", id, {{"name", "web"}, {"image", "nginx:1"}, {"team", "a"}}, {}};
}

TEST(Events, a_subscriber_sees_the_past_and_the_future_once) {
    Events events;
    events.publish(started("one"));
    auto replay = MUST(events.subscribe(now() - std::chrono::hours(1)));
    events.publish(started("two"));
    ASSERT_EQ(replay.past.size(), 1U);
    EXPECT_EQ(replay.past[0].actor, "one");
    pollfd ready{replay.live->fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 0), 1);
    const auto live = replay.live->take();
    ASSERT_EQ(live.size(), 1U);
    EXPECT_EQ(live[0].actor, "two");
    EXPECT_EQ(::poll(&ready, 1, 0), 0);
    EXPECT_TRUE(MUST(events.subscribe(kZeroTime)).past.empty());
}

TEST(Events, the_past_and_slow_listeners_are_bounded) {
    Events events;
    auto slow = MUST(events.subscribe(kZeroTime)).live;
    for (int i = 0; i < 5000; ++i) events.publish(started(std::to_string(i)));
    EXPECT_EQ(MUST(events.subscribe(now() - std::chrono::hours(1))).past.size(), 256U);
    const auto kept = slow->take();
    EXPECT_EQ(kept.size(), 4096U);
    EXPECT_EQ(kept.back().actor, "4999");
}

TEST(Events, filters_select_by_type_name_image_label_and_action) {
    using Map = std::map<std::string, std::vector<std::string>>;
    const Event event = started("abcdef");
    const auto passes = [&](Map values) {
        return Events::matches(event, Filters(std::move(values)));
    };
    EXPECT_TRUE(passes({}));
    EXPECT_TRUE(passes({{"type", {"image", "container"}}}));
    EXPECT_FALSE(passes({{"type", {"image"}}}));
    EXPECT_TRUE(passes({{"container", {"web"}}}));
    EXPECT_TRUE(passes({{"container", {"abc"}}}));
    EXPECT_FALSE(passes({{"container", {"db"}}}));
    EXPECT_FALSE(passes({{"network", {"lan"}}}));
    EXPECT_TRUE(passes({{"image", {"nginx"}}}));
    EXPECT_TRUE(passes({{"image", {"nginx:1"}}}));
    EXPECT_FALSE(passes({{"image", {"redis"}}}));
    EXPECT_TRUE(passes({{"label", {"team=a"}}}));
    EXPECT_FALSE(passes({{"label", {"team=b"}}}));
    EXPECT_TRUE(passes({{"event", {"start"}}}));
    EXPECT_FALSE(passes({{"event", {"die"}}}));
    const Event exec{"container", "exec_create: ls -l", "abcdef", {}, {}};
    EXPECT_TRUE(Events::matches(exec, Filters(Map{{"event", {"exec_create"}}})));
    EXPECT_TRUE(passes({{"colour", {"red"}}}));
    EXPECT_TRUE(passes({{"container", {"we"}}}));
    EXPECT_FALSE(passes({{"container", {"eb"}}}));
}

TEST(Events, the_past_outlives_the_engine_in_a_bounded_file) {
    const std::string file = testing::TempDir() + "coffer-events-test.jsonl";
    const Time before = now() - std::chrono::hours(1);
    {
        Events events;
        events.keep_in(file);
        for (int i = 0; i < 3000; ++i) events.publish(started(std::to_string(i)));
        EXPECT_LE(std::filesystem::file_size(file), 2000U * 150U);
    }
    {
        std::ofstream cut_off(file, std::ios::app);
        cut_off << "{\"type\":\"cont";
    }
    for (const char* next : {"3000", "3001"}) {
        Events events;
        events.keep_in(file);
        events.publish(started(next));
        const auto past = MUST(events.subscribe(before)).past;
        ASSERT_EQ(past.size(), 256U);
        EXPECT_EQ(past.back().actor, next);
        EXPECT_EQ(past[254].actor, std::to_string(std::stoi(next) - 1));
        EXPECT_EQ(past[0].attributes.at("name"), "web");
    }
    std::filesystem::remove(file);
}

}  // namespace
}  // namespace coffer::engine
