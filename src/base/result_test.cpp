#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/hash.hpp"
#include "base/id.hpp"
#include "base/rollback.hpp"

namespace coffer {
namespace {

Result<std::unique_ptr<int>> owner(bool good) {
    if (!good) return fail_with(ENOENT, "open '{}'", "x");
    return std::make_unique<int>(7);
}

Result<int> caller(bool good) {
    const auto value = TRY_CONTEXT(owner(good), "load {}", 1);
    return *value;
}

TEST(Result, carries_values_and_errors_with_context) {
    EXPECT_EQ(*caller(true), 7);
    const auto failed = caller(false);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message, "load 1: open 'x': no such file or directory");
    EXPECT_EQ(failed.error().code, Code::NotFound);
    EXPECT_EQ(failed.error().sys_errno, ENOENT);
}

TEST(Rollback, runs_in_reverse_unless_committed) {
    std::string order;
    {
        Rollback undo;
        ASSERT_TRUE(undo.add([&] { order += "a"; }));
        ASSERT_TRUE(undo.add([&] { order += "b"; }));
    }
    EXPECT_EQ(order, "ba");
    {
        Rollback undo;
        ASSERT_TRUE(undo.add([&] { order += "c"; }));
        undo.commit();
    }
    EXPECT_EQ(order, "ba");
}

TEST(Hash, knows_sha256_and_what_a_digest_is) {
    EXPECT_EQ(digest_of(""),
              "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_TRUE(is_digest(digest_of("x")));
    EXPECT_FALSE(is_digest("sha256:../../../../../../../../../../../../../../../../../../../x"));
    EXPECT_FALSE(is_digest("sha512:" + sha256_hex("x")));
    EXPECT_FALSE(is_digest("sha256:" + to_hex("x")));
}

TEST(Id, is_random_hex_that_no_number_parser_takes) {
    const std::string id = random_id();
    EXPECT_EQ(id.size(), 64U);
    EXPECT_TRUE(is_hex(id));
    EXPECT_FALSE(parse_uint(id.substr(0, 12)));
    EXPECT_NE(id, random_id());
}

}  // namespace
}  // namespace coffer
