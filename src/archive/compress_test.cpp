#include "archive/compress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

namespace coffer::archive {
namespace {

using ::testing::HasSubstr;

std::string gzip(std::string_view text) {
    std::string out;
    GzipEncoder encoder([&](std::string_view bytes) -> Result<void> {
        out.append(bytes);
        return {};
    });
    MUST(encoder.write(text));
    MUST(encoder.finish());
    return out;
}

std::string zstd(std::string_view text) {
    std::string out(::ZSTD_compressBound(text.size()), '\0');
    out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

Result<std::string> decode(std::string_view encoded, std::size_t chunk, std::size_t room = 1000) {
    MemorySource source(encoded, chunk);
    DecodingSource decoded(source);
    std::string out;
    std::string buffer(room, '\0');
    for (;;) {
        const std::size_t n = TRY(decoded.read(buffer));
        if (n == 0) return out;
        out.append(buffer, 0, n);
    }
}

std::string sample() {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += std::to_string(i * 7919);
    return text;
}

TEST(Compress, every_form_decodes_at_every_chunk_size) {
    const std::string text = sample();
    for (const std::string& encoded : {gzip(text), zstd(text), text}) {
        for (const std::size_t chunk : {1U, 3U, 1000U, 1'000'000U}) {
            EXPECT_EQ(MUST(decode(encoded, chunk)), text);
        }
        EXPECT_EQ(MUST(decode(encoded, 100, 1'000'000)), text);
    }
}

TEST(Compress, all_members_are_read) {
    const std::string text = sample();
    for (const std::size_t chunk : {1U, 5U, 8U, 997U, 1'000'000U}) {
        EXPECT_EQ(MUST(decode(gzip("one") + gzip("") + gzip(text) + gzip("two"), chunk)),
                  "one" + text + "two");
        EXPECT_EQ(MUST(decode(zstd("one") + zstd(text) + zstd("two"), chunk)),
                  "one" + text + "two");
    }
}

TEST(Compress, a_stream_cut_short_is_an_error) {
    const std::string text = sample();
    for (const std::string& encoded : {gzip(text), zstd(text)}) {
        for (const std::size_t size : {7UL, 100UL, encoded.size() / 2, encoded.size() - 1}) {
            const auto decoded = decode(encoded.substr(0, size), 64);
            ASSERT_FALSE(decoded) << size;
            EXPECT_THAT(decoded.error().message, HasSubstr("unexpected end"));
        }
        EXPECT_FALSE(decode(encoded + encoded.substr(0, 50), 64));
    }
}

TEST(Compress, damage_is_an_error) {
    std::string wrong_sum = gzip(sample());
    wrong_sum[wrong_sum.size() - 6] = static_cast<char>(wrong_sum[wrong_sum.size() - 6] ^ 1);
    const auto decoded = decode(wrong_sum, 64);
    ASSERT_FALSE(decoded);
    EXPECT_THAT(decoded.error().message, HasSubstr("wrong checksum"));
    EXPECT_FALSE(decode(gzip("x") + "garbage", 64));
    std::string damaged = zstd(sample());
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
    EXPECT_FALSE(decode(damaged, 64) && *decode(damaged, 64) == sample());
}

TEST(Compress, other_formats_are_named) {
    EXPECT_THAT(detect_compression(std::string_view("\xfd"
                                                    "7zXZ\0\0",
                                                    7))
                    .error()
                    .message,
                HasSubstr("xz"));
    EXPECT_THAT(detect_compression("BZh91AY").error().message, HasSubstr("bzip2"));
    EXPECT_EQ(MUST(detect_compression("")), Compression::None);
}

TEST(Compress, nothing_decodes_to_nothing) {
    EXPECT_EQ(MUST(decode("", 10)), "");
    EXPECT_EQ(MUST(decode(gzip(""), 10)), "");
}

}  // namespace
}  // namespace coffer::archive
