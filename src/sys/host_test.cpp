#include "sys/host.hpp"

#include <gtest/gtest.h>

namespace coffer::sys {
namespace {

TEST(Host, has_memory_and_processors_that_have_run) {
    EXPECT_GT(total_memory(), 1U << 20U);
    const CpuTimes times = cpu_times();
    EXPECT_GE(times.online, 1U);
    EXPECT_GT(times.total.count(), 0);
}

}  // namespace
}  // namespace coffer::sys
