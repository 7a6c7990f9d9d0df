#include <gmock/gmock.h>

#include "engine/containers_impl.hpp"

namespace coffer::engine {
namespace {

using testing::ElementsAre;

TEST(ParseProcesses, keeps_the_rows_of_the_pids_and_their_threads) {
    const auto top = parse_processes(
        "  PID   LWP CMD\n"
        "    1     - init\n    -     1 -\n"
        "   42     - sleep  10 20\n    -    42 -\n    -    43 -\n"
        "   50     - ps\n",
        {42});
    ASSERT_TRUE(top);
    EXPECT_THAT(top->titles, ElementsAre("PID", "LWP", "CMD"));
    EXPECT_THAT(top->processes,
                ElementsAre(ElementsAre("42", "-", "sleep 10 20"), ElementsAre("-", "42", "-"),
                            ElementsAre("-", "43", "-")));
}

TEST(ParseProcesses, needs_a_column_of_pids) {
    const auto top = parse_processes("USER CMD\nroot sh\n", {1});
    ASSERT_FALSE(top);
    EXPECT_EQ(top.error().message, "Couldn't find PID field in ps output");
}

}  // namespace
}  // namespace coffer::engine
