#include "sys/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "sys/file.hpp"

namespace coffer::sys {
namespace {

using std::chrono::milliseconds;

TEST(Process, runs_with_input_and_both_outputs) {
    const Output output = MUST(run(
        {.argv = {"/bin/sh", "-c", "cat; echo err >&2; exit 3"}, .env = {}, .cwd = "/", .fds = {}},
        "hello", milliseconds(10000)));
    EXPECT_EQ(output.status, 3);
    EXPECT_EQ(output.out, "hello");
    EXPECT_EQ(output.err, "err\n");
}

TEST(Process, tells_which_step_of_a_spawn_failed) {
    const auto absent = spawn({.argv = {"/no/such/program"}, .env = {}, .cwd = "", .fds = {}});
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().message,
              "spawn '/no/such/program': execute: no such file or directory");
    const auto nowhere = spawn({.argv = {"/bin/true"}, .env = {}, .cwd = "/no/such", .fds = {}});
    ASSERT_FALSE(nowhere);
    EXPECT_NE(nowhere.error().message.find("enter folder"), std::string::npos);
}

TEST(Process, passes_only_the_named_descriptors) {
    const Fd leaked(::open("/etc/passwd", O_RDONLY));  // NOLINT(android-cloexec-open): on purpose
    PipeEnds out = MUST(make_pipe());
    Process process = MUST(spawn({.argv = {"/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&3"},
                                  .env = {"PATH=/bin:/usr/bin"},
                                  .cwd = "",
                                  .fds = {{3, out.write.get()}}}));
    out.write.reset();
    EXPECT_EQ(MUST(read_all(out.read.get(), 1000)), "0 1 2 3 4 ");  // 4 is the listing itself
    EXPECT_EQ(MUST(process.wait()), 0);
}

TEST(Process, signals_and_time_limits_work) {
    Process process = MUST(spawn({.argv = {"/bin/sleep", "100"}, .env = {}, .cwd = "", .fds = {}}));
    EXPECT_EQ(MUST(process.wait(milliseconds(20))), std::nullopt);
    ASSERT_TRUE(process.signal(SIGTERM));
    EXPECT_EQ(MUST(process.wait()), 128 + SIGTERM);
}

TEST(Process, code_that_is_released_is_gone_and_still_runs) {
    const auto mapped_pages = [] {  // of files, after size and resident
        return parse_uint(split(MUST(read_file("/proc/self/statm")), ' ').at(2)).value();
    };
    const auto before = mapped_pages();
    release_code_pages();
    EXPECT_LT(mapped_pages(), before);
}

TEST(Process, spawning_from_many_threads_at_once_never_hangs) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < 20; ++i) {
                Process process =
                    MUST(spawn({.argv = {"/bin/true"}, .env = {}, .cwd = "", .fds = {}}));
                EXPECT_EQ(MUST(process.wait()), 0);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace coffer::sys
