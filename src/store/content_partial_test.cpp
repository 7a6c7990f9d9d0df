#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/hash.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"

namespace coffer::store {
namespace {

class PartialTest : public ::testing::Test {
  protected:
    void SetUp() override { open(); }
    void open() {
        store_.reset();
        store_ = MUST(
            Store::open({.data_root = folder_.path() + "/data", .unpacker = archive::unpack_here}));
    }
    std::string findings(const CheckOptions& options) {
        std::string kinds;
        for (const Finding& one : MUST(store_->check({}, options))) kinds += one.kind + " ";
        return kinds;
    }

    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    sys::TempDir folder_ = make_folder();
    std::unique_ptr<Store> store_;
};

TEST_F(PartialTest, a_blob_that_came_in_part_goes_on_after_a_crash) {
    const std::string text(100'000, 'x');
    const std::string digest = digest_of(text);
    {
        auto writer = MUST(store_->content().resume(digest, text.size()));
        MUST(writer.write(text.substr(0, 60'000)));
    }
    EXPECT_FALSE(store_->content().has(digest));
    EXPECT_GE(MUST(store_->content().partial_size()), 60'000U);
    open();
    auto writer = MUST(store_->content().resume(digest, text.size()));
    EXPECT_EQ(writer.written(), 60'000U);
    // Whoever comes meanwhile has a file of its own, and what is being written stays.
    EXPECT_EQ(MUST(store_->content().resume(digest, text.size())).written(), 0U);
    MUST(store_->content().prune_partials({.age = {}, .bytes = 0}));
    MUST(writer.write(text.substr(60'000)));
    MUST(writer.commit(digest));
    EXPECT_EQ(MUST(store_->content().partial_size()), 0U);
    // The pull has not ended: another crash, and the blob is there at once.
    open();
    EXPECT_FALSE(store_->content().has(digest));
    auto again = MUST(store_->content().resume(digest, text.size()));
    EXPECT_EQ(again.written(), text.size());
    MUST(again.commit(digest));
    store_->content().forget(digest);
    MUST(store_->content().remove(digest));
    EXPECT_EQ(MUST(store_->content().resume(digest, text.size())).written(), 0U);
}

TEST_F(PartialTest, who_forgets_a_blob_does_not_take_it_from_another) {
    const std::string text(1000, 'x');
    const std::string digest = digest_of(text);
    auto writer = MUST(store_->content().resume(digest, text.size()));
    MUST(writer.write(text));
    store_->content().forget(digest);
    MUST(writer.commit(digest));
    EXPECT_TRUE(store_->content().has(digest));
    MUST(store_->content().remove(digest));
}

TEST_F(PartialTest, what_came_in_part_does_not_stay_for_ever) {
    const std::string text(100'000, 'x');
    const std::string digest = digest_of(text);
    const auto begin = [&](std::size_t size) {
        auto writer = MUST(store_->content().resume(digest, text.size()));
        if (writer.written() < size)
            MUST(writer.write(text.substr(writer.written(), size - writer.written())));
    };
    const auto left = [&] { return MUST(sys::list_dir(store_->paths().partials())).size(); };
    begin(1000);  // not worth it
    MUST(store_->content().prune_partials({}));
    EXPECT_EQ(left(), 0U);
    begin(50'000);
    MUST(store_->content().prune_partials({}));
    EXPECT_EQ(left(), 1U);
    MUST(store_->content().prune_partials({.bytes = 40'000}));
    EXPECT_EQ(left(), 0U);
    begin(50'000);
    MUST(store_->content().prune_partials({.age = std::chrono::seconds(-1)}));
    EXPECT_EQ(left(), 0U);
    // More than the blob has is not the blob.
    begin(50'000);
    EXPECT_EQ(MUST(store_->content().resume(digest, 40'000)).written(), 0U);
}

TEST_F(PartialTest, a_check_finds_old_parts_and_what_is_none) {
    const std::string digest = digest_of("whole");
    auto writer = std::optional(MUST(store_->content().resume(digest, 1 << 20)));
    MUST(writer->write(std::string(50'000, 'x')));
    writer.reset();
    MUST(sys::write_file(store_->paths().partials() + "/no-digest", "x"));
    const CheckOptions now{.settled = {}};
    EXPECT_EQ(findings({}), "");
    EXPECT_EQ(findings(now), "temporary ");
    const timespec old[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, store_->paths().partial(digest).c_str(), old, 0), 0);
    EXPECT_EQ(findings({}), "partial ");
    EXPECT_EQ(findings({.repair = true, .settled = {}}), "temporary partial ");
    EXPECT_TRUE(MUST(sys::list_dir(store_->paths().partials())).empty());
}

}  // namespace
}  // namespace coffer::store
