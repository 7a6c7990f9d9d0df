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

TEST(WorkerPool, jobs_that_block_do_not_hold_up_others) {
    WorkerPool pool(1, 8);
    Sync<int> open(0);
    std::condition_variable changed;
    // Each waits for the next: with fewer threads than jobs none would end.
    for (int i = 4; i > 0; --i) {
        pool.submit([&, i] {
            auto locked = open.lock();
            locked.wait(changed, [&] { return *locked == i - 1; });
            *locked = i;
            changed.notify_all();
        });
    }
    auto locked = open.lock();
    locked.wait(changed, [&] { return *locked == 4; });
    EXPECT_EQ(*locked, 4);
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
