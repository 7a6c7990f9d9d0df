#include "http/stream.hpp"

#include <gtest/gtest.h>

namespace coffer::http {
namespace {

TEST(Stream, FramesSurviveAnySplit) {
    std::string bytes;
    append_frames(bytes, FrameType::Stdout, "out");
    append_frames(bytes, FrameType::Stderr, std::string(40'000, 'e'));
    EXPECT_EQ(bytes.substr(0, 8), std::string("\1\0\0\0\0\0\0\3", 8));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
        FrameDecoder decoder;
        std::string out;
        std::string err;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            auto frames = decoder.feed(std::string_view(bytes).substr(at, piece));
            ASSERT_TRUE(frames);
            for (const Frame& frame : *frames) {
                (frame.type == FrameType::Stdout ? out : err) += frame.payload;
                EXPECT_LE(frame.payload.size(), kMaxFrameWritten);
            }
        }
        EXPECT_EQ(out, "out");
        EXPECT_EQ(err, std::string(40'000, 'e'));
        EXPECT_TRUE(decoder.at_boundary());
    }
}

TEST(Stream, RefusesWhatIsNoFrame) {
    EXPECT_FALSE(FrameDecoder().feed(std::string("\4\0\0\0\0\0\0\1x", 9)));
    EXPECT_FALSE(FrameDecoder().feed(std::string("\1\0\1\0\0\0\0\1x", 9)));
    EXPECT_FALSE(FrameDecoder().feed(std::string("\1\0\0\0\xff\0\0\0", 8)));
    FrameDecoder cut;
    ASSERT_TRUE(cut.feed(std::string("\1\0\0\0\0\0\0\5abc", 11)));
    EXPECT_FALSE(cut.at_boundary());
}

}  // namespace
}  // namespace coffer::http
