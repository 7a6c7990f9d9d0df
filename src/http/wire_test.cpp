#include "http/wire.hpp"

#include <gtest/gtest.h>

namespace coffer::http {
namespace {

Result<RequestHead> request(const std::string& text) {
    return parse_request_head(text);
}

TEST(Wire, ParsesARequestHead) {
    const auto head = request(
        "POST /v1.43/containers/create?name=x HTTP/1.1\r\nHost: docker\r\nX-A:\t b \r\n\r\n");
    ASSERT_TRUE(head);
    EXPECT_EQ(head->method, "POST");
    EXPECT_EQ(head->target, "/v1.43/containers/create?name=x");
    EXPECT_EQ(head->minor_version, 1);
    EXPECT_EQ(head->headers.get("x-a"), "b");
}

TEST(Wire, RefusesWhatReadersDisagreeOn) {
    const std::string start = "GET / HTTP/1.1\r\n";
    for (const std::string& head : {
             start + "\r\n",                                      // no Host
             start + "Host: a\r\nHost: b\r\n\r\n",                // two
             start + "Host: a\r\nX-A : b\r\n\r\n",                // blank before the colon
             start + "Host: a\r\n folded\r\n\r\n",                // folding
             start + "Host: a\r\nX-A: b\nX-B: c\r\n\r\n",         // bare LF
             start + "Host: a\r\nX-A: b\rX-B: c\r\n\r\n",         // bare CR
             start + std::string("Host: a\0b\r\n\r\n", 11),       // NUL
             start + "Host: a\r\n: b\r\n\r\n",                    // no name
             start + "Host: a\r\nX(A): b\r\n\r\n",                // no token
             std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),   // two blanks
             std::string("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),   // trailing blank
             std::string("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),    //
             std::string("GET / http/1.1\r\nHost: a\r\n\r\n"),    //
             std::string("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"),  //
             std::string("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),    //
             std::string("GET /\r\n\r\n"),                        //
             std::string("\r\n\r\n"),                             //
             std::string("GET / HTTP/1.1\r\nHost: a\r\n"),        // no end
         }) {
        EXPECT_FALSE(request(head)) << head;
    }
}

TEST(Wire, LimitsTheNumberOfFields) {
    std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 0; i < kMaxFields; ++i) head += "A: b\r\n";
    EXPECT_FALSE(request(head + "\r\n"));
}

Result<Framing> framing_of(const std::string& fields) {
    const auto head = request("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
    EXPECT_TRUE(head) << fields;
    return request_framing(*head);
}

TEST(Wire, FramingOfRequests) {
    EXPECT_EQ(framing_of("")->kind, Framing::Kind::None);
    EXPECT_EQ(framing_of("Content-Length: 0\r\n")->kind, Framing::Kind::None);
    EXPECT_EQ(framing_of("Content-Length: 12\r\n")->length, 12U);
    EXPECT_EQ(framing_of("Transfer-Encoding: Chunked\r\n")->kind, Framing::Kind::Chunked);
}

TEST(Wire, RefusesAmbiguousLengths) {
    for (const char* fields : {
             "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
             "Content-Length: 3\r\nContent-Length: 3\r\n",
             "Content-Length: 3, 3\r\n",
             "Content-Length: +3\r\n",
             "Content-Length: -1\r\n",
             "Content-Length: 0x3\r\n",
             "Content-Length: \r\n",
             "Content-Length: 18446744073709551616\r\n",
             "Content-Length: 9223372036854775808\r\n",
             "Transfer-Encoding: gzip, chunked\r\n",
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
             "Transfer-Encoding: xchunked\r\n",
             "Transfer-Encoding: identity\r\n",
         }) {
        EXPECT_FALSE(framing_of(fields)) << fields;
    }
}

TEST(Wire, FramingOfResponses) {
    const auto framing = [](const std::string& head, Method method) {
        return response_framing(*parse_response_head(head), method);
    };
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n\r\n", Method::Get)->kind, Framing::Kind::UntilClose);
    EXPECT_EQ(framing("HTTP/1.1 204\r\n\r\n", Method::Get)->kind, Framing::Kind::None);
    EXPECT_EQ(framing("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", Method::Get)->kind,
              Framing::Kind::None);
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Method::Head)->kind,
              Framing::Kind::None);
    EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Method::Get)->kind,
              Framing::Kind::None);
    EXPECT_FALSE(parse_response_head("HTTP/1.1 2x0 OK\r\n\r\n"));
    EXPECT_FALSE(parse_response_head("HTTP/1.1 2000\r\n\r\n"));
    EXPECT_FALSE(parse_response_head("HTTP/1.1 99 x\r\n\r\n"));
}

// The decoded body, fed in pieces of `piece` bytes; "error" when refused, "more" when unfinished.
std::string decode(const std::string& input, std::size_t piece) {
    ChunkDecoder decoder;
    std::string pending;
    std::string out;
    for (std::size_t at = 0; at < input.size() && !decoder.done();) {
        const std::size_t n = std::min(piece, input.size() - at);
        pending += input.substr(at, n);
        at += n;
        for (;;) {
            const auto step = decoder.step(pending, 3);
            if (!step) return "error";
            if (step->consumed == 0) break;
            out += step->data;
            pending.erase(0, step->consumed);
        }
    }
    return decoder.done() ? out : "more";
}

TEST(Wire, DecodesChunksInPiecesOfAnySize) {
    const std::string input = "5\r\nhello\r\n6;ext=\"x\"\r\n world\r\n0\r\nTrailer: a\r\n\r\n";
    for (std::size_t piece = 1; piece <= input.size(); ++piece) {
        EXPECT_EQ(decode(input, piece), "hello world") << piece;
    }
    EXPECT_EQ(decode("5\r\nhel", 1), "more");
}

TEST(Wire, RefusesMalformedChunks) {
    for (const std::string& input : {
             std::string("g\r\n"),
             std::string("\r\n"),
             std::string("-1\r\n"),
             std::string("0x5\r\nhello\r\n"),
             std::string("5 \r\nhello\r\n0\r\n\r\n"),
             std::string("5\nhello\r\n"),
             std::string("5\r\nhelloX\r\n"),
             std::string("5\r\nhello\n0\r\n\r\n"),
             std::string("1000000000000000\r\n"),
             std::string(2000, '1'),
             "5;" + std::string(2000, 'x'),
             "0\r\n" + std::string(9000, 'a') + "\r\n\r\n",
         }) {
        EXPECT_EQ(decode(input, 1), "error") << input.substr(0, 30);
        EXPECT_EQ(decode(input, input.size()), "error") << input.substr(0, 30);
    }
}

TEST(Wire, WritesNoLineThatAValueBrings) {
    Headers headers;
    headers.add("X-A", "b\r\nX-Evil: c");
    EXPECT_EQ(write_response_head(200, "OK", headers),
              "HTTP/1.1 200 OK\r\nX-A: b  X-Evil: c\r\n\r\n");
}

TEST(Wire, QueriesAreDecodedInOrder) {
    const auto query = Query::parse("a=1&b=x%20y+z&a=2&flag&=v&&c=%7B%22%3a1%7d");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->get("a"), "1");
    EXPECT_EQ(query->all("a"), (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(query->get("b"), "x y z");
    EXPECT_TRUE(query->has("flag"));
    EXPECT_EQ(query->get("c"), "{\":1}");
    EXPECT_FALSE(Query::parse("a=%zz"));
    EXPECT_FALSE(Query::parse("a=%2"));
    EXPECT_EQ(Query::parse("a=x%20y&b=%26")->encode(), "a=x%20y&b=%26");
}

}  // namespace
}  // namespace coffer::http
