#include "store/manifests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/store.hpp"
#include "sys/file.hpp"

namespace coffer::store {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ManifestsTest : public ::testing::Test {
  protected:
    void TearDown() override {
        EXPECT_THAT(MUST(store_->check({}, {.deep = true, .settled = {}})), IsEmpty());
    }

    Manifests& manifests() { return store_->manifests(); }
    bool is_there(const std::string& digest) { return store_->content().has(digest); }

    // A manifest in repository h:1/r that refers to `blobs`; gives its digest.
    std::string add(const std::string& text, const std::vector<std::string>& blobs,
                    const std::string& subject = {}) {
        const auto lease = store_->lease();
        std::vector<KeptBlob> kept;
        for (const std::string& blob : blobs) {
            kept.push_back({blob, MUST(store_->content().size(blob))});
        }
        const std::string digest = MUST(store_->content().put(text));
        lease->blob(digest);
        MUST(manifests().add({.repository = "h:1/r",
                              .digest = digest,
                              .media_type = "type",
                              .artifact_type = {},
                              .subject = subject,
                              .size = text.size()},
                             kept));
        return digest;
    }
    std::string put(const std::string& text) { return MUST(store_->content().put(text)); }

    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    static std::unique_ptr<Store> open(const std::string& root) {
        return MUST(Store::open({.data_root = root, .unpacker = [](const auto& request) {
                                     return archive::unpack_here(request);
                                 }}));
    }

    sys::TempDir folder_ = make_folder();
    std::unique_ptr<Store> store_ = open(folder_.path() + "/root");
};

TEST_F(ManifestsTest, what_a_manifest_refers_to_stays_as_long_as_it_does) {
    const std::string blob = put("blob");
    const std::string digest = add("manifest", {blob});
    MUST(manifests().tag("h:1/r", "one", digest));
    store_.reset();
    store_ = open(folder_.path() + "/root");
    EXPECT_TRUE(is_there(blob));
    EXPECT_TRUE(MUST(manifests().refers("h:1/r", blob)));
    EXPECT_FALSE(MUST(manifests().refers("h:1/other", blob)));
    MUST(manifests().remove("h:1/r", digest));
    EXPECT_FALSE(is_there(blob));
    EXPECT_FALSE(is_there(digest));
    EXPECT_FALSE(manifests().find_tag("h:1/r", "one"));
    EXPECT_EQ(manifests().remove("h:1/r", digest).error().code, Code::NotFound);
}

TEST_F(ManifestsTest, one_without_a_tag_goes_after_a_time_with_what_follows_it) {
    const std::string child = add("child", {});
    const std::string index = add("index", {child});
    const std::string signature = add("signature", {}, child);
    MUST(manifests().tag("h:1/r", "latest", index));
    EXPECT_EQ(MUST(manifests().expire(hours(-1))), 0U);
    EXPECT_TRUE(MUST(manifests().untag("h:1/r", "latest")));
    EXPECT_EQ(MUST(manifests().expire(hours(1))), 0U);
    EXPECT_EQ(MUST(manifests().expire(hours(-1))), 3U);
    EXPECT_FALSE(is_there(signature));
    EXPECT_THAT(MUST(manifests().repositories("h:1/")), IsEmpty());
}

TEST_F(ManifestsTest, one_that_is_dropped_goes_at_once_unless_somebody_wants_it) {
    const std::string blob = put("blob");
    const std::string digest = add("manifest", {blob});
    const std::string untagged = add("untagged", {});
    MUST(manifests().tag("h:1/r", "one", digest));
    MUST(manifests().tag("h:1/r", "two", digest));
    MUST(manifests().drop_tag("h:1/r", "two"));
    EXPECT_TRUE(is_there(digest));
    const std::string index = add("index", {digest});
    MUST(manifests().tag("h:1/r", "index", index));
    MUST(manifests().drop_tag("h:1/r", "one"));
    EXPECT_TRUE(is_there(blob));
    const std::string other = add("other", {});
    MUST(manifests().move_tag("h:1/r", "index", other));
    EXPECT_FALSE(is_there(blob));
    EXPECT_TRUE(is_there(other));
    EXPECT_TRUE(is_there(untagged));
    EXPECT_FALSE(manifests().move_tag("h:1/r", "index", digest));
    MUST(manifests().drop_tag("h:1/r", "index"));
    EXPECT_FALSE(is_there(other));
}

TEST_F(ManifestsTest, a_tag_follows_the_name_of_an_image) {
    for (const std::string text : {"config", "other"}) {
        const std::string id = put(text);
        MUST(store_->images().add(
            {.id = id, .chain_id = {}, .blobs = {{BlobKind::Config, id, "type", text.size()}}}));
    }
    const std::string id = digest_of("config");
    const std::string digest = add("manifest", {id});
    MUST(store_->images().tag("h:1/r:one", id));
    MUST(manifests().tag("h:1/r", "one", digest));
    MUST(store_->images().tag("h:1/r:one", id));
    EXPECT_EQ(manifests().find_tag("h:1/r", "one"), digest);
    MUST(store_->images().tag("h:1/r:one", digest_of("other")));
    EXPECT_FALSE(manifests().find_tag("h:1/r", "one"));

    MUST(store_->images().tag("h:1/r:two", id));
    MUST(manifests().tag("h:1/r", "two", digest));
    MUST(store_->images().remove(id));
    EXPECT_FALSE(manifests().find_tag("h:1/r", "two"));
    EXPECT_EQ(MUST(manifests().expire(hours(1))), 1U);
    EXPECT_FALSE(is_there(id));
}

TEST_F(ManifestsTest, referrers_are_found_by_their_subject) {
    const std::string subject = add("image", {});
    MUST(manifests().tag("h:1/r", "image", subject));
    const std::string one = add("signature", {}, subject);
    const auto found = MUST(manifests().referrers("h:1/r", subject));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].digest, one);
    EXPECT_THAT(MUST(manifests().referrers("h:1/r", one)), IsEmpty());
    EXPECT_THAT(MUST(manifests().tags_of("h:1/r", subject)), ElementsAre("image"));
}

TEST_F(ManifestsTest, an_alias_goes_with_its_blob) {
    const std::string digest = add("manifest", {});
    MUST(manifests().add_alias("sha512:x", digest));
    EXPECT_EQ(manifests().find_alias("sha512:x"), digest);
    MUST(manifests().remove("h:1/r", digest));
    EXPECT_FALSE(manifests().find_alias("sha512:x"));
}

}  // namespace
}  // namespace coffer::store
