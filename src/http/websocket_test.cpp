#include "http/websocket.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <thread>

namespace coffer::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What a client sends: masked.
std::string client_frame(unsigned first, std::string_view payload) {
    std::string out(1, static_cast<char>(first));
    if (payload.size() < 126) {
        out.push_back(static_cast<char>(0x80U | payload.size()));
    } else {
        out.push_back(static_cast<char>(0x80U | 127U));
        for (int i = 7; i >= 0; --i) {
            out.push_back(static_cast<char>(std::uint64_t{payload.size()} >> (8 * i)));
        }
    }
    const std::string mask = "\x01\x02\x03\x04";
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) {
        out.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
    }
    return out;
}

std::string decode(std::string_view bytes, std::size_t piece) {
    WebSocketDecoder decoder;
    std::string out;
    const WebSocketDecoder::Events events{
        .data = [&](std::string_view data) { out += data; },
        .control =
            [&](WebSocketOpcode opcode, std::string_view payload) {
                out += format("<{}:{}>", static_cast<int>(opcode), payload);
            }};
    while (!bytes.empty()) {
        const auto fed = decoder.feed(bytes.substr(0, piece), events);
        if (!fed) return out + "!" + fed.error().message;
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    return out;
}

TEST(WebSocket, frames_are_read_in_any_pieces) {
    const std::string bytes = client_frame(0x82, "hello ") + client_frame(0x89, "ping") +
                              client_frame(0x01, "wor") + client_frame(0x8A, "") +
                              client_frame(0x80, "ld") + client_frame(0x82, "") +
                              client_frame(0x82, std::string(70000, 'x')) +
                              client_frame(0x88, std::string_view("\x03\xe8", 2));
    const std::string want = "hello <9:ping>wor<10:>ld" + std::string(70000, 'x') + "<8:\x03\xe8>";
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U, 1000000U}) {
        EXPECT_EQ(decode(bytes, piece), want) << piece;
    }
}

TEST(WebSocket, what_the_protocol_forbids_is_an_error) {
    EXPECT_THAT(decode("\x82\x01x", 100), HasSubstr("not masked"));
    EXPECT_THAT(decode(client_frame(0xC2, "x"), 100), HasSubstr("reserved bits"));
    EXPECT_THAT(decode(client_frame(0x83, "x"), 100), HasSubstr("unknown opcode 3"));
    EXPECT_THAT(decode(client_frame(0x8B, "x"), 100), HasSubstr("unknown opcode 11"));
    EXPECT_THAT(decode(client_frame(0x09, "x"), 100), HasSubstr("control frame"));
    EXPECT_THAT(decode(client_frame(0x89, std::string(126, 'x')), 1000),
                HasSubstr("control frame"));
    EXPECT_THAT(decode(client_frame(0x80, "x"), 100), HasSubstr("unexpected continuation"));
    EXPECT_THAT(decode(client_frame(0x02, "x") + client_frame(0x82, "y"), 100),
                HasSubstr("unexpected continuation"));
}

TEST(WebSocket, handshake_of_the_rfc) {
    Request request;
    request.headers.add("Upgrade", "websocket");
    request.headers.add("Connection", "keep-alive, Upgrade");
    request.headers.add("Sec-WebSocket-Version", "13");
    request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    EXPECT_EQ(MUST(accept_websocket(request)), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    Request other = request;
    other.headers.set("Sec-WebSocket-Key", "c2hvcnQ=");
    EXPECT_FALSE(accept_websocket(other));
    other = request;
    other.headers.set("Sec-WebSocket-Version", "8");
    EXPECT_FALSE(accept_websocket(other));
    other = request;
    other.headers.remove("Upgrade");
    EXPECT_FALSE(accept_websocket(other));
}

class RelayTest : public testing::Test {
  protected:
    RelayTest() {
        sys::SocketPair client = MUST(sys::make_socketpair(SOCK_STREAM));
        sys::SocketPair inner = MUST(sys::make_socketpair(SOCK_STREAM));
        client_ = std::move(client.ours);
        inner_ = std::move(inner.ours);
        thread_ = std::thread(
            [this, theirs = std::move(client.theirs), other = std::move(inner.theirs)]() mutable {
                WebSocketRelay relay{std::move(theirs), client_frame(0x82, "early"),
                                     std::move(other), 4};
                MUST(relay_websocket(std::move(relay), cancel_));
            });
    }
    ~RelayTest() override { thread_.join(); }
    RelayTest(const RelayTest&) = delete;
    RelayTest& operator=(const RelayTest&) = delete;
    RelayTest(RelayTest&&) = delete;
    RelayTest& operator=(RelayTest&&) = delete;

    static std::string receive(const sys::Fd& from, std::size_t size) {
        std::string out(size, '\0');
        const ssize_t n = ::recv(from.get(), out.data(), size, MSG_WAITALL);
        out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
        return out;
    }
    sys::Fd client_;
    sys::Fd inner_;
    Cancel cancel_;
    std::thread thread_;
};

TEST_F(RelayTest, both_ways_a_ping_and_the_end_of_the_inner_side) {
    EXPECT_EQ(receive(inner_, 5), "early");
    MUST(sys::write_all(inner_.get(), "headout"));
    EXPECT_EQ(receive(client_, 4), "head") << "before the first frame";
    EXPECT_EQ(receive(client_, 5), "\x82\x03out");
    MUST(sys::write_all(client_.get(), client_frame(0x89, "p") + client_frame(0x81, "in")));
    EXPECT_EQ(receive(client_, 3), "\x8A\x01p");
    EXPECT_EQ(receive(inner_, 2), "in");
    inner_.reset();
    EXPECT_EQ(receive(client_, 100), "\x88\x02\x03\xe8");
}

TEST_F(RelayTest, a_close_is_answered_and_ends_both) {
    MUST(sys::write_all(client_.get(), client_frame(0x88, "\x0f\xa0why")));
    EXPECT_EQ(receive(client_, 100), "\x88\x02\x0f\xa0");
    EXPECT_EQ(receive(inner_, 100), "early");
}

TEST_F(RelayTest, a_broken_client_is_told_so) {
    MUST(sys::write_all(client_.get(), "\x82\x01x"));
    EXPECT_EQ(receive(client_, 100), "\x88\x02\x03\xea");
}

TEST_F(RelayTest, a_client_that_is_gone_ends_it) {
    client_.reset();
    EXPECT_EQ(receive(inner_, 100), "early");
}

TEST_F(RelayTest, the_end_of_the_engine_is_told) {
    cancel_.cancel();
    EXPECT_THAT(receive(client_, 100), testing::EndsWith("\x88\x02\x03\xe9"));
}

}  // namespace
}  // namespace coffer::http
