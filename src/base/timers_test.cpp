#include "base/timers.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/sync.hpp"

namespace coffer {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Timers, run_in_the_order_they_are_due) {
    Sync<std::string> order;
    std::condition_variable changed;
    Timers timers;
    const auto add = [&](char name) {
        return [&order, &changed, name] {
            *order.lock() += name;
            changed.notify_all();
        };
    };
    timers.after(milliseconds(30), add('c'));
    timers.after(milliseconds(10), add('a'));
    timers.after(milliseconds(20), add('b'));
    auto locked = order.lock();
    locked.wait(changed, [&] { return locked->size() == 3; });
    EXPECT_EQ(*locked, "abc");
}

TEST(Timers, a_cancelled_one_does_not_run) {
    Sync<std::string> order;
    std::condition_variable changed;
    Timers timers;
    const std::uint64_t first = timers.after(milliseconds(5), [&] { *order.lock() += 'x'; });
    timers.after(milliseconds(20), [&] {
        *order.lock() += 'y';
        changed.notify_all();
    });
    timers.cancel(first);
    timers.cancel(first);
    timers.cancel(0);
    auto locked = order.lock();
    locked.wait(changed, [&] { return !locked->empty(); });
    EXPECT_EQ(*locked, "y");
}

TEST(Timers, end_with_jobs_that_are_not_due) {
    bool ran = false;
    {
        Timers timers;
        timers.after(hours(1), [&] { ran = true; });
        timers.after(std::chrono::nanoseconds::max(), [&] { ran = true; });
    }
    EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace coffer
