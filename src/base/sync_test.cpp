#include "base/sync.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace coffer {
namespace {

TEST(WorkerPool, finishes_all_jobs_before_it_ends) {
    std::atomic<int> done{0};
    {
        WorkerPool pool(3);
        for (int i = 0; i < 100; ++i) pool.submit([&] { ++done; });
    }
    EXPECT_EQ(done, 100);
}

TEST(Cancel, stays_cancelled) {
    Cancel cancel;
    EXPECT_FALSE(cancel.cancelled());
    cancel.cancel();
    cancel.cancel();
    EXPECT_TRUE(cancel.cancelled());
    EXPECT_TRUE(cancel.cancelled());
}

}  // namespace
}  // namespace coffer
