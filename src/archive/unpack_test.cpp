#include "archive/unpack.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/compress.hpp"
#include "archive/testing.hpp"
#include "archive/unpack_wire.hpp"
#include "base/hash.hpp"
#include "sys/file.hpp"

namespace coffer::archive {
namespace {

using ::testing::HasSubstr;
using testing::TarBuilder;

class Unpack : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }

    Result<AppliedLayer> unpack(const std::string& layer, UnpackRequest request = {}) {
        const std::string target = folder_.path() + "/target";
        MUST(sys::remove_tree(target));
        MUST(sys::make_dirs(target));
        MUST(sys::write_file(folder_.path() + "/layer", layer));
        const sys::Fd input = MUST(sys::open_file(folder_.path() + "/layer", O_RDONLY));
        const sys::Fd folder = MUST(sys::open_file(target, O_RDONLY | O_DIRECTORY));
        request.input_fd = input.get();
        request.target_fd = folder.get();
        return unpack_here(request);
    }
    static std::string gzip(const std::string& text) {
        std::string out;
        GzipEncoder encoder([&](std::string_view bytes) -> Result<void> {
            out.append(bytes);
            return {};
        });
        MUST(encoder.write(text));
        MUST(encoder.finish());
        return out;
    }

    sys::TempDir folder_ = make_folder();
};

TEST_F(Unpack, checks_both_digests) {
    const std::string tar = TarBuilder().file("a", std::string(3'000'000, 'x')).finish();
    const std::string layer = gzip(tar);
    const auto done =
        MUST(unpack(layer, {.digest = digest_of(layer), .diff_id = digest_of(tar), .limits = {}}));
    EXPECT_EQ(done.diff_id, digest_of(tar));
    EXPECT_EQ(done.size, 3'000'000U);
    EXPECT_THAT(
        unpack(layer, {.digest = digest_of(tar), .diff_id = {}, .limits = {}}).error().message,
        HasSubstr("layer has digest"));
    EXPECT_THAT(
        unpack(layer, {.digest = {}, .diff_id = digest_of(layer), .limits = {}}).error().message,
        HasSubstr("layer has diff id"));
}

TEST_F(Unpack, hashes_the_padding_after_the_end_too) {
    const std::string tar = TarBuilder().file("a", "x").finish() + std::string(5'000'000, '\0');
    EXPECT_EQ(MUST(unpack(gzip(tar))).diff_id, digest_of(tar));
}

TEST_F(Unpack, a_bomb_is_refused) {
    const std::string tar = TarBuilder().file("a", std::string(8'000'000, '\0')).finish();
    const auto bomb = unpack(gzip(tar), {.limits = {}, .ratio = 20});
    ASSERT_FALSE(bomb);
    EXPECT_THAT(bomb.error().message, HasSubstr("expands to more than 20 times"));
}

TEST_F(Unpack, an_early_error_does_not_hang) {
    const auto result = unpack(gzip("no tar" + std::string(20'000'000, 'x')));
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("tar:"));
}

TEST(UnpackWire, arguments_survive) {
    UnpackRequest request{.digest = "d", .diff_id = "e", .limits = {.entries = 7}, .ratio = 9};
    request.limits.sparse_extents = 11;
    const auto back = MUST(parse_arguments(to_arguments(request)));
    EXPECT_EQ(back.digest, "d");
    EXPECT_EQ(back.diff_id, "e");
    EXPECT_EQ(back.ratio, 9U);
    EXPECT_EQ(to_arguments(back), to_arguments(request));
    EXPECT_FALSE(parse_arguments({"d", "e"}));
}

TEST(UnpackWire, answers_survive_and_lies_do_not) {
    AppliedLayer layer{.diff_id = digest_of("x"),
                       .stream_bytes = 1,
                       .size = 2,
                       .entries = 3,
                       .dropped = 4,
                       .opaque = {"", "a b\n"}};
    const auto back = MUST(parse_answer(to_answer(layer)));
    EXPECT_EQ(back.diff_id, layer.diff_id);
    EXPECT_EQ(back.dropped, 4U);
    EXPECT_EQ(back.opaque, layer.opaque);
    const auto error = parse_answer(to_answer(fail_with(ENOSPC, "write")));
    ASSERT_FALSE(error);
    EXPECT_EQ(error.error().sys_errno, ENOSPC);
    EXPECT_THAT(error.error().message, HasSubstr("no space"));
    for (const std::string& lie :
         {std::string(), std::string("ok"), std::string("ok\0", 3), std::string("error\099\0", 9),
          std::string("ok\0sha256:x\0001\0001\0001\0001\0", 20)}) {
        EXPECT_FALSE(parse_answer(lie));
    }
}

}  // namespace
}  // namespace coffer::archive
