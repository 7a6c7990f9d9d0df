#include "engine/restart.hpp"

#include <gtest/gtest.h>

namespace coffer::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string refused(const std::string& name, std::int64_t count, bool auto_remove = false) {
    api::HostConfig host;
    host.restart_policy = {name, count};
    host.auto_remove = auto_remove;
    const auto checked = check_restart_policy(host);
    return checked ? "" : checked.error().message;
}

TEST(RestartPolicy, what_makes_one) {
    for (const char* name : {"", "no", "always", "unless-stopped", "on-failure"}) {
        EXPECT_EQ(refused(name, 0), "") << name;
    }
    EXPECT_EQ(refused("on-failure", 3), "");
    EXPECT_EQ(refused("sometimes", 0),
              "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "
              "'on-failure', or 'unless-stopped'");
    EXPECT_EQ(refused("always", 3),
              "invalid restart policy: maximum retry count can only be used with 'on-failure'");
    EXPECT_EQ(refused("no", -1),
              "invalid restart policy: maximum retry count can only be used with 'on-failure' and "
              "cannot be negative");
    EXPECT_EQ(refused("on-failure", -1),
              "invalid restart policy: maximum retry count cannot be negative");
    EXPECT_EQ(refused("always", 0, true),
              "can't create 'AutoRemove' container with restart policy");
    EXPECT_EQ(refused("no", 0, true), "");
}

TEST(RestartPolicy, after_an_exit) {
    for (const char* name : {"always", "unless-stopped"}) {
        EXPECT_TRUE(wants_restart({name, 0}, 0, false, 100)) << name;
        EXPECT_FALSE(wants_restart({name, 0}, 1, true, 0)) << name;
    }
    EXPECT_FALSE(wants_restart({"no", 0}, 1, false, 0));
    EXPECT_FALSE(wants_restart({"on-failure", 0}, 0, false, 0));
    EXPECT_TRUE(wants_restart({"on-failure", 0}, 1, false, 1000));
    EXPECT_TRUE(wants_restart({"on-failure", 2}, 1, false, 1));
    EXPECT_FALSE(wants_restart({"on-failure", 2}, 1, false, 2));
    EXPECT_FALSE(wants_restart({"on-failure", 0}, 137, true, 0));
}

TEST(RestartPolicy, at_the_start_of_an_engine) {
    EXPECT_TRUE(wants_start_at_boot({"always", 0}, 0, true, 0));
    EXPECT_FALSE(wants_start_at_boot({"unless-stopped", 0}, 0, true, 0));
    EXPECT_TRUE(wants_start_at_boot({"unless-stopped", 0}, 0, false, 0));
    EXPECT_FALSE(wants_start_at_boot({"on-failure", 0}, 137, true, 0));
    EXPECT_FALSE(wants_start_at_boot({"no", 0}, 1, false, 0));
}

TEST(RestartBackoff, doubles_to_a_minute_and_forgets_after_a_long_run) {
    RestartBackoff backoff;
    for (const int expected :
         {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000}) {
        EXPECT_EQ(backoff.next(milliseconds(1)), milliseconds(expected));
    }
    EXPECT_EQ(backoff.next(seconds(10)), milliseconds(100));
    EXPECT_EQ(backoff.next(seconds(9)), milliseconds(200));
    backoff.reset();
    EXPECT_EQ(backoff.next(seconds(1)), milliseconds(100));
}

}  // namespace
}  // namespace coffer::engine
