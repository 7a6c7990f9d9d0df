#include "http/server.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace coffer::http {
namespace {

// A server on one end of a socket pair; the test talks raw HTTP on the other.
class ServerTest : public testing::Test {
  protected:
    void start(Server::Handler handler, ServerOptions options = {}) {
        server_ = std::make_unique<Server>(
            std::move(handler),
            [](const Error& error) { return Reply::text(500, "error: " + error.message); },
            options);
        sys::SocketPair pair = MUST(sys::make_socketpair(SOCK_STREAM));
        client_ = std::move(pair.ours);
        thread_ = std::thread([this, theirs = std::move(pair.theirs)]() mutable {
            server_->serve(std::move(theirs), stop_);
        });
    }
    void TearDown() override {
        stop_.cancel();
        if (thread_.joinable()) thread_.join();
    }
    void send(const std::string& text) { MUST(sys::write_all(client_.get(), text)); }
    void half_close() { ::shutdown(client_.get(), SHUT_WR); }
    // What comes until `end` was seen or the server closes.
    std::string receive(const std::string& end) {
        std::string text;
        char c = 0;
        while (!text.ends_with(end)) {
            pollfd poll{client_.get(), POLLIN, 0};
            if (::poll(&poll, 1, 3000) != 1) return text + "<timeout>";
            if (::read(client_.get(), &c, 1) != 1) return text + "<end>";
            text += c;
        }
        return text;
    }
    std::string receive_all() { return receive("\x01never"); }

    Cancel stop_;
    std::unique_ptr<Server> server_;
    sys::Fd client_;
    std::thread thread_;
};

Reply echo(const Request& request) {
    auto body = request.body->read_all(1000);
    if (!body) return Reply::text(400, body.error().message);
    return Reply::text(200, request.method_text + " " + request.path + " " + *body);
}

const std::string kHost = " HTTP/1.1\r\nHost: h\r\n";

TEST_F(ServerTest, KeepsTheConnectionBetweenRequests) {
    start(echo);
    send("GET /a%20b?x=1" + kHost + "\r\nPOST /c" + kHost + "Content-Length: 2\r\n\r\nhi");
    EXPECT_NE(receive("GET /a b ").find("HTTP/1.1 200 OK\r\n"), std::string::npos);
    EXPECT_NE(receive("POST /c hi").find("Content-Length: 10\r\n"), std::string::npos);
    half_close();
    EXPECT_EQ(receive_all(), "<end>");
}

TEST_F(ServerTest, HeadHasNoBodyAndCloseCloses) {
    start(echo);
    send("HEAD /x" + kHost + "Connection: close\r\n\r\n");
    const std::string reply = receive_all();
    EXPECT_NE(reply.find("Content-Length: 8\r\n"), std::string::npos);
    EXPECT_TRUE(reply.ends_with("\r\n\r\n<end>")) << reply;
}

TEST_F(ServerTest, ChunkedBodyAndContinue) {
    start(echo);
    send("POST /x" + kHost + "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /next" + kHost + "\r\n");
    EXPECT_NE(receive("abcde").find("200"), std::string::npos);
    EXPECT_NE(receive("/next ").find("200"), std::string::npos);
}

TEST_F(ServerTest, BodyOverTheLimitIsRefused) {
    start(echo);
    send("POST /x" + kHost + "Content-Length: 2000\r\n\r\n" + std::string(2000, 'a'));
    EXPECT_NE(receive("larger than 1000 bytes").find("HTTP/1.1 400"), std::string::npos);
}

TEST_F(ServerTest, TruncatedBodyIsAnError) {
    start(echo);
    send("POST /x" + kHost + "Content-Length: 20\r\n\r\nabc");
    half_close();
    EXPECT_NE(receive("middle of the body").find("HTTP/1.1 400"), std::string::npos);
}

TEST_F(ServerTest, UnreadBodyDoesNotBecomeARequest) {
    start([](const Request&) { return Reply::text(200, "ok"); });
    send("POST /x" + kHost + "Content-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\nxxxx");
    send("GET /y" + kHost + "Connection: close\r\n\r\n");
    const std::string replies = receive_all();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = replies.find("HTTP/1.1 200", at)) != std::string::npos; ++at) {
        ++count;
    }
    EXPECT_EQ(count, 2U) << replies;
}

TEST_F(ServerTest, AmbiguousLengthIsRefusedAndClosed) {
    start(echo);
    send("POST /x" + kHost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string reply = receive_all();
    EXPECT_NE(reply.find("HTTP/1.1 400"), std::string::npos);
    EXPECT_TRUE(reply.ends_with("<end>"));
}

TEST_F(ServerTest, OversizedHeadIs431) {
    start(echo);
    std::thread sender([this] {
        const std::string junk(1000, 'x');
        for (int i = 0; i < 200; ++i) {
            const std::string line = "X-A: " + junk + "\r\n";
            if (::send(client_.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) return;
        }
    });
    send("GET / HTTP/1.1\r\nHost: a\r\n");
    EXPECT_NE(receive("\r\n\r\n").find("HTTP/1.1 431"), std::string::npos);
    sender.join();
}

TEST_F(ServerTest, HandlerThatThrowsIs500) {
    start([](const Request& request) -> Reply {
        return Reply::text(200,
                           std::string(std::string().at(request.path.size()) != 0 ? 1 : 2, 'x'));
    });
    send("GET /" + kHost + "\r\n");
    EXPECT_NE(receive("error: ").find("HTTP/1.1 500"), std::string::npos);
}

TEST_F(ServerTest, StreamsChunksAsTheyAreWritten) {
    sys::PipeEnds gate = MUST(sys::make_pipe());
    start([&](const Request&) {
        return Reply::stream(200, "text/plain", [&](StreamWriter& out) -> Result<void> {
            TRY(out.begin());
            EXPECT_EQ(out.wait(gate.read.get()), StreamWriter::Wake::Ready);
            TRY(out.write("hello"));
            return out.write("");
        });
    });
    send("GET /" + kHost + "\r\n");
    EXPECT_NE(receive("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    MUST(sys::write_all(gate.write.get(), "x"));
    EXPECT_EQ(receive("0\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n");
}

TEST_F(ServerTest, StreamThatFailsBeforeItsFirstByteGetsAStatus) {
    start([](const Request&) {
        return Reply::stream(200, "text/plain", [](StreamWriter&) -> Result<void> {
            return fail(Code::NotFound, "no such thing");
        });
    });
    send("GET /" + kHost + "\r\n");
    EXPECT_NE(receive("error: no such thing").find("HTTP/1.1 500"), std::string::npos);
}

TEST_F(ServerTest, StreamThatFailsLaterLacksItsLastChunk) {
    start([](const Request&) {
        return Reply::stream(200, "text/plain", [](StreamWriter& out) -> Result<void> {
            TRY(out.write("part"));
            return fail(Code::Internal, "broken");
        });
    });
    send("GET /" + kHost + "\r\n");
    EXPECT_TRUE(receive_all().ends_with("4\r\npart\r\n<end>"));
}

TEST_F(ServerTest, IdleStreamNoticesTheHangUp) {
    StreamWriter::Wake wake = StreamWriter::Wake::Ready;
    start([&](const Request&) {
        return Reply::stream(200, "text/plain", [&](StreamWriter& out) -> Result<void> {
            TRY(out.begin());
            wake = out.wait(-1, std::chrono::seconds(5));
            return {};
        });
    });
    send("GET /" + kHost + "\r\n");
    receive("\r\n\r\n");
    client_.reset();
    thread_.join();
    EXPECT_EQ(wake, StreamWriter::Wake::Closed);
}

TEST_F(ServerTest, HangUpCancelsABlockedHandler) {
    start([&](const Request& request) {
        pollfd poll{request.hangup().fd(), POLLIN, 0};
        return Reply::text(::poll(&poll, 1, 5000) == 1 ? 200 : 500, "x");
    });
    send("GET /" + kHost + "\r\n");
    half_close();
    EXPECT_NE(receive_all().find("HTTP/1.1 200"), std::string::npos);
}

TEST_F(ServerTest, StopEndsIdleConnectionsAndStreams) {
    start([&](const Request&) {
        return Reply::stream(200, "text/plain", [&](StreamWriter& out) -> Result<void> {
            TRY(out.begin());
            EXPECT_EQ(out.wait(-1), StreamWriter::Wake::Closed);
            return {};
        });
    });
    send("GET /" + kHost + "\r\n");
    receive("\r\n\r\n");
    stop_.cancel();
    thread_.join();
}

TEST_F(ServerTest, UpgradeHandsOverTheSocketAndTheEarlyBytes) {
    start([](const Request&) {
        return Reply::upgrade("application/vnd.docker.raw-stream", [](Upgraded upgraded) {
            MUST(sys::write_all(upgraded.fd.get(), upgraded.greeting));
            const std::string rest = MUST(sys::read_all(upgraded.fd.get(), 100));
            MUST(sys::write_all(upgraded.fd.get(), upgraded.early + "|" + rest));
        });
    });
    send("POST /x" + kHost + "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly");
    const std::string head = receive("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 UPGRADED\r\n")) << head;
    EXPECT_NE(head.find("Upgrade: tcp\r\n"), std::string::npos);
    EXPECT_NE(head.find("Content-Type: application/vnd.docker.raw-stream\r\n"), std::string::npos);
    send("late");
    half_close();
    EXPECT_EQ(receive_all(), "early|late<end>");
}

TEST_F(ServerTest, UpgradeWithoutTheHeaderIsARaw200) {
    start([](const Request&) {
        return Reply::upgrade("application/vnd.docker.raw-stream", [](Upgraded upgraded) {
            MUST(sys::write_all(upgraded.fd.get(), upgraded.greeting + "raw"));
        });
    });
    send("POST /x" + kHost + "\r\n");
    const std::string reply = receive_all();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_TRUE(reply.ends_with("\r\n\r\nraw<end>")) << reply;
    EXPECT_EQ(reply.find("Transfer-Encoding"), std::string::npos);
}

TEST_F(ServerTest, HttpOneZeroStreamsUntilClose) {
    start([](const Request&) {
        return Reply::stream(200, "text/plain", [](StreamWriter& out) { return out.write("abc"); });
    });
    send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(receive_all().ends_with("\r\n\r\nabc<end>"));
}

TEST_F(ServerTest, SlowHeadIsGivenUp) {
    ServerOptions options;
    options.head_limit = std::chrono::milliseconds(50);
    start(echo, options);
    send("GET / HT");
    EXPECT_EQ(receive_all(), "<end>");
}

}  // namespace
}  // namespace coffer::http
