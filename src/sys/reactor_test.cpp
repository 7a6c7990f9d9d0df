#include "sys/reactor.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "sys/signal.hpp"

namespace coffer::sys {
namespace {

using std::chrono::milliseconds;

TEST(Reactor, reports_data_and_the_end) {
    Reactor reactor = MUST(Reactor::create());
    PipeEnds pipe = MUST(make_pipe());
    std::string seen;
    ASSERT_TRUE(reactor.add(pipe.read.get(), kReadable, [&](std::uint32_t ready) {
        char byte = 0;
        if ((ready & kReadable) != 0 && ::read(pipe.read.get(), &byte, 1) == 1) {
            seen.push_back(byte);
            pipe.write.reset();
        } else {
            EXPECT_NE(ready & kHangUp, 0U);
            reactor.stop();
        }
    }));
    ASSERT_TRUE(write_all(pipe.write.get(), "x"));
    ASSERT_TRUE(reactor.run());
    EXPECT_EQ(seen, "x");
}

TEST(Reactor, a_handler_may_remove_itself_and_others) {
    Reactor reactor = MUST(Reactor::create());
    PipeEnds a = MUST(make_pipe());
    PipeEnds b = MUST(make_pipe());
    int calls = 0;
    const auto handler = [&](std::uint32_t) {
        ++calls;
        reactor.remove(a.read.get());
        reactor.remove(b.read.get());
    };
    ASSERT_TRUE(reactor.add(a.read.get(), kReadable, handler));
    ASSERT_TRUE(reactor.add(b.read.get(), kReadable, handler));
    ASSERT_TRUE(write_all(a.write.get(), "x"));
    ASSERT_TRUE(write_all(b.write.get(), "x"));
    reactor.after(milliseconds(20), [&] { reactor.stop(); });
    ASSERT_TRUE(reactor.run());
    EXPECT_EQ(calls, 1);
}

TEST(Reactor, timers_run_in_time_and_not_when_cancelled) {
    Reactor reactor = MUST(Reactor::create());
    std::string order;
    std::uint64_t cancelled = 0;
    reactor.after(milliseconds(20), [&] {
        order += "b";
        reactor.stop();
    });
    reactor.after(milliseconds(1), [&] {
        order += "a";
        reactor.cancel(cancelled);
    });
    cancelled = reactor.after(milliseconds(10), [&] { order += "never"; });
    ASSERT_TRUE(reactor.run());
    EXPECT_EQ(order, "ab");
}

TEST(Signals, are_read_from_a_descriptor) {
    const Fd fd = MUST(signals::as_descriptor({SIGUSR1}));
    EXPECT_EQ(signals::take(fd.get()), 0);
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    EXPECT_EQ(signals::take(fd.get()), SIGUSR1);
}

}  // namespace
}  // namespace coffer::sys
