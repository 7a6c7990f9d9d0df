#include "shim/io.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "logger/reader.hpp"
#include "sys/file.hpp"
#include "sys/signal.hpp"

namespace coffer::shim {
namespace {

using std::chrono::milliseconds;

TEST(DetachKeys, are_found_in_what_is_typed) {
    DetachKeys keys = MUST(DetachKeys::parse("ctrl-p,ctrl-q"));
    std::string out;
    EXPECT_FALSE(keys.feed("ab\x10", out));
    EXPECT_EQ(out, "ab") << "a begun sequence waits";
    EXPECT_FALSE(keys.feed("c", out));
    EXPECT_EQ(out,
              "ab\x10"
              "c");
    EXPECT_FALSE(keys.feed("\x10\x10", out));
    EXPECT_TRUE(keys.feed("\x11zzz", out));
    EXPECT_EQ(out,
              "ab\x10"
              "c\x10")
        << "what follows the sequence is dropped";
}

TEST(DetachKeys, docker_s_names) {
    for (const char* text : {"", "a", "ctrl-a", "ctrl-@", "ctrl-[", "ctrl-_,x"}) {
        EXPECT_TRUE(DetachKeys::parse(text)) << text;
    }
    for (const char* text : {"ctrl-", "ctrl-ab", "abc", "a,", "ctrl-1", ","}) {
        EXPECT_FALSE(DetachKeys::parse(text)) << text;
    }
    DetachKeys one = MUST(DetachKeys::parse("x"));
    std::string out;
    EXPECT_TRUE(one.feed("x", out));
    EXPECT_TRUE(out.empty());
}

// An Io with the test at both ends: as the program and as the client.
class IoTest : public testing::Test {
  protected:
    IoTest() : dir_(MUST(sys::TempDir::create())), reactor_(MUST(sys::Reactor::create())) {
        MUST(sys::signals::ignore_signal(SIGPIPE));
        logs::Setup setup;
        setup.path = dir_.path() + "/log";
        log_ = MUST(logs::Log::open(reactor_, setup, {.notice = [](const std::string&) {}}));
    }
    ~IoTest() override { io_.reset(); }
    IoTest(const IoTest&) = delete;
    IoTest& operator=(const IoTest&) = delete;
    IoTest(IoTest&&) = delete;
    IoTest& operator=(IoTest&&) = delete;

    void open(Io::Options options) {
        options.log = log_.get();
        options.drained = [this] { drained_ = true; };
        options.detached = [this] { detached_ = true; };
        options.abandoned = [this] {
            abandoned_ = true;
            if (abandoned_then_) abandoned_then_();
        };
        io_ = std::make_unique<Io>(reactor_, std::move(options));
        const runtime::Stdio stdio = MUST(io_->make_pipes());
        for (auto [fd, ours] : {std::pair(stdio.in, &in_), std::pair(stdio.out, &out_),
                                std::pair(stdio.err, &err_)}) {
            if (fd >= 0) ours->reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        }
        MUST(io_->begin({}));
    }
    sys::Fd attach(const Client& client) {
        sys::SocketPair pair = MUST(sys::make_socketpair(SOCK_STREAM));
        MUST(io_->attach(std::move(pair.theirs), {}, client));
        return std::move(pair.ours);
    }
    void turn(milliseconds time = milliseconds(30)) {
        reactor_.after(time, [this] { reactor_.stop(); });
        MUST(reactor_.run());
    }
    static std::string receive(const sys::Fd& fd) {
        std::string out(1 << 20, '\0');
        const ssize_t n = ::recv(fd.get(), out.data(), out.size(), MSG_DONTWAIT);
        if (n < 0) return "(nothing)";
        out.resize(static_cast<std::size_t>(n));
        return out;
    }
    sys::TempDir dir_;
    sys::Reactor reactor_;
    std::unique_ptr<logs::Log> log_;
    std::unique_ptr<Io> io_;
    sys::Fd in_;
    sys::Fd out_;
    sys::Fd err_;
    bool drained_ = false;
    bool detached_ = false;
    bool abandoned_ = false;
    std::function<void()> abandoned_then_;
};

constexpr Client kAll{.use_stdin = true, .use_stdout = true, .use_stderr = true};

TEST_F(IoTest, output_goes_in_frames_to_clients_and_to_the_log) {
    open({});
    const sys::Fd client = attach(kAll);
    MUST(sys::write_all(out_.get(), "hi\n"));
    turn();
    MUST(sys::write_all(err_.get(), "oh\n"));
    turn();
    EXPECT_EQ(receive(client), std::string("\1\0\0\0\0\0\0\3hi\n\2\0\0\0\0\0\0\3oh\n", 22));
    std::string logged;
    MUST(logger::read({dir_.path() + "/log"}, {}, [&](const logger::Record& record) {
        logged += record.text;
        return true;
    }));
    EXPECT_EQ(logged, "hi\noh\n");
}

TEST_F(IoTest, a_client_gets_only_the_streams_it_asked_for) {
    open({});
    const sys::Fd client = attach({.use_stderr = true});
    MUST(sys::write_all(out_.get(), "hidden"));
    MUST(sys::write_all(err_.get(), "x"));
    turn();
    EXPECT_EQ(receive(client), std::string("\2\0\0\0\0\0\0\1x", 9));
}

TEST_F(IoTest, half_close_ends_standard_input_only_once_all_is_written) {
    open({.open_stdin = true, .stdin_once = true});
    Client early = kAll;
    early.early = "first ";
    const sys::Fd client = attach(early);
    MUST(sys::write_all(client.get(), "second"));
    ::shutdown(client.get(), SHUT_WR);
    turn();
    EXPECT_EQ(MUST(sys::read_all(in_.get(), 100)), "first second");
    MUST(sys::write_all(out_.get(), "answer"));
    turn();
    EXPECT_NE(receive(client).find("answer"), std::string::npos) << "output still flows";
}

TEST_F(IoTest, without_stdin_once_the_input_stays_open_and_the_client_goes) {
    open({.open_stdin = true});
    const sys::Fd client = attach(kAll);
    MUST(sys::write_all(client.get(), "a"));
    ::shutdown(client.get(), SHUT_WR);
    turn();
    EXPECT_EQ(receive(client), "") << "the connection has ended";
    const sys::Fd second = attach(kAll);
    MUST(sys::write_all(second.get(), "b"));
    turn();
    std::string got(2, '\0');
    EXPECT_EQ(::read(in_.get(), got.data(), 2), 2);
    EXPECT_EQ(got, "ab");
}

TEST_F(IoTest, a_client_that_hangs_up_leaves_what_it_sent_and_the_program_lives) {
    open({.open_stdin = true, .stdin_once = true});
    {
        const sys::Fd client = attach(kAll);
        MUST(sys::write_all(client.get(), "last words"));
    }
    turn();
    EXPECT_EQ(MUST(sys::read_all(in_.get(), 100)), "last words");
    MUST(sys::write_all(out_.get(), "still here"));
    turn();
    EXPECT_FALSE(drained_);
    EXPECT_FALSE(io_->has_clients());
}

TEST_F(IoTest, a_client_that_does_not_read_holds_the_program_up_and_loses_nothing) {
    open({});
    const sys::Fd client = attach(kAll);
    ASSERT_EQ(::fcntl(out_.get(), F_SETFL, O_NONBLOCK), 0);
    const std::string block(4096, 'x');
    std::size_t written = 0;
    for (int idle = 0; idle < 3;) {
        const ssize_t n = ::write(out_.get(), block.data(), block.size());
        if (n > 0) written += static_cast<std::size_t>(n);
        idle = n > 0 ? 0 : idle + 1;
        if (n < 0) turn(milliseconds(5));
    }
    EXPECT_LT(written, 4U << 20U) << "bounded";
    out_.reset();
    err_.reset();
    io_->finish();
    std::size_t received = 0;
    for (int i = 0; i < 200; ++i) {
        const std::string got = receive(client);
        if (got.empty()) break;
        if (got != "(nothing)") received += got.size();
        turn(milliseconds(2));
    }
    EXPECT_GT(received, written) << "all of it, and the frames' headers";
    EXPECT_TRUE(drained_);
    turn();
    EXPECT_TRUE(abandoned_);
}

TEST_F(IoTest, what_others_hold_open_is_cut_after_the_limit) {
    open({});
    io_->finish();
    turn(milliseconds(200));
    EXPECT_FALSE(drained_) << "our ends of the pipes are still open";
    turn(milliseconds(2200));
    EXPECT_TRUE(drained_);
    EXPECT_TRUE(abandoned_);
}

TEST_F(IoTest, its_owner_may_end_it_when_the_last_client_goes) {
    abandoned_then_ = [this] { io_.reset(); };
    open({});
    sys::Fd client = attach(kAll);
    out_.reset();
    err_.reset();
    client.reset();
    io_->finish();
    turn();
    turn();
    EXPECT_TRUE(abandoned_);
    EXPECT_FALSE(io_);
}

TEST_F(IoTest, input_that_is_not_taken_is_bounded) {
    open({.open_stdin = true, .stdin_once = true});
    const sys::Fd client = attach(kAll);
    ASSERT_EQ(::fcntl(client.get(), F_SETFL, O_NONBLOCK), 0);
    const std::string block(4096, 'x');
    std::size_t written = 0;
    for (int idle = 0; idle < 3;) {
        const ssize_t n = ::write(client.get(), block.data(), block.size());
        if (n > 0) written += static_cast<std::size_t>(n);
        idle = n > 0 ? 0 : idle + 1;
        if (n < 0) turn(milliseconds(5));
    }
    EXPECT_LT(written, 2U << 20U);
    ::shutdown(client.get(), SHUT_WR);
    ASSERT_EQ(::fcntl(in_.get(), F_SETFL, O_NONBLOCK), 0);
    std::size_t got = 0;
    std::string buffer(65536, '\0');
    for (int i = 0; i < 200; ++i) {
        const ssize_t n = ::read(in_.get(), buffer.data(), buffer.size());
        if (n == 0) break;
        if (n > 0) got += static_cast<std::size_t>(n);
        turn(milliseconds(2));
    }
    EXPECT_EQ(got, written);
}

TEST_F(IoTest, a_program_that_closed_its_input_does_not_matter) {
    open({.open_stdin = true, .stdin_once = true});
    const sys::Fd client = attach(kAll);
    in_.reset();
    MUST(sys::write_all(client.get(), "nobody reads this"));
    turn();
    MUST(sys::write_all(out_.get(), "x"));
    turn();
    EXPECT_EQ(receive(client).size(), 9U);
}

TEST_F(IoTest, a_terminal_is_raw_takes_input_and_the_detach_keys) {
    Io::Options options{.terminal = true, .open_stdin = true};
    options.detached = [this] { detached_ = true; };
    options.drained = [this] { drained_ = true; };
    io_ = std::make_unique<Io>(reactor_, std::move(options));
    sys::Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_EQ(::grantpt(master.get()), 0);
    ASSERT_EQ(::unlockpt(master.get()), 0);
    char name[64];
    ASSERT_EQ(::ptsname_r(master.get(), name, sizeof name), 0);
    sys::Fd slave = MUST(sys::open_file(name, O_RDWR | O_NOCTTY));
    MUST(io_->begin(std::move(master)));
    ASSERT_TRUE(io_->resize(30, 100));
    const sys::Fd client = attach(kAll);
    MUST(sys::write_all(slave.get(), "prompt$ "));
    turn();
    EXPECT_EQ(receive(client), "prompt$ ") << "no frames";
    MUST(sys::write_all(client.get(), "ls\n\x10\x11"));
    turn();
    EXPECT_TRUE(detached_);
    char line[16];
    EXPECT_EQ(::read(slave.get(), line, sizeof line), 3);
    slave.reset();
    turn();
    EXPECT_FALSE(drained_) << "the process has not ended, another may open the terminal";
    io_->finish();
    turn();
    EXPECT_TRUE(drained_);
}

}  // namespace
}  // namespace coffer::shim
