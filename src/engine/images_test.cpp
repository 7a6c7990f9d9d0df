#include "engine/images.hpp"

#include <gtest/gtest.h>

#include <set>

#include "archive/testing.hpp"
#include "archive/unpack.hpp"
#include "engine/events.hpp"
#include "engine/images_impl.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"

namespace coffer::engine {
namespace {

using archive::testing::TarBuilder;
using Names = std::vector<std::string>;

class ImagesTest : public testing::Test {
  protected:
    ReadBytes body_of(std::string bytes) {
        return [bytes = std::move(bytes), at = std::size_t{0}](
                   char* to, std::size_t size) mutable -> Result<std::size_t> {
            const std::size_t taken = bytes.copy(to, size, at);
            at += taken;
            return taken;
        };
    }
    // The id of an image of one file, named `name`.
    std::string make(const std::string& name, const std::string& content,
                     const Names& changes = {}) {
        std::string id;
        MUST(images_.import(
            {.repository = name, .changes = changes},
            body_of(TarBuilder().file("f", content).finish()),
            [&](const api::ProgressMessage& message) { id = message.status; }, cancel_));
        return id;
    }
    Names listed(std::map<std::string, Names> filters) {
        Names names;
        for (const auto& one : MUST(images_.list({.filters = Filters(std::move(filters))}))) {
            if (one.repo_tags.empty()) names.push_back("<none>");
            for (const auto& tag : one.repo_tags) names.push_back(tag);
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    std::string refusal(const std::string& name, bool force = false) {
        const auto done = images_.remove(name, {.force = force});
        return done ? "removed" : done.error().message;
    }
    static Names texts(const std::vector<api::ImageDeleteItem>& items) {
        Names out;
        for (const auto& item : items)
            out.push_back(item.deleted.empty() ? "-" + item.untagged : item.deleted);
        return out;
    }

    sys::TempDir dir_ = *sys::TempDir::create();
    std::unique_ptr<store::Store> store_ =
        *store::Store::open({.data_root = dir_.path() + "/data", .unpacker = archive::unpack_here});
    Events events_;
    std::vector<ImageUser> users_;
    Images images_{*store_,
                   events_,
                   {},
                   [this](const std::string&) { return users_; },
                   ImageMounts(dir_.path() + "/images", "test")};
    const Cancel cancel_;
};

TEST_F(ImagesTest, unknown_names_in_dockers_words) {
    const auto message = [&](const std::string& name) {
        return images_.inspect(name).error().message;
    };
    EXPECT_EQ(message("x"), "No such image: x:latest");
    EXPECT_EQ(message("docker.io/library/x:1"), "No such image: x:1");
    EXPECT_EQ(message("reg:5000/x"), "No such image: reg:5000/x:latest");
    EXPECT_EQ(message("sha256:" + std::string(64, 'a')),
              "No such image: sha256:" + std::string(64, 'a'));
    EXPECT_EQ(images_.inspect("x").error().code, Code::NotFound);
    EXPECT_EQ(images_.inspect("X!").error().code, Code::InvalidArgument);
}

TEST_F(ImagesTest, import_makes_an_image_that_can_be_found_in_all_ways) {
    const std::string id = make("box", "1", {"CMD [\"sh\"]", "ENV A=b"});
    const auto found = MUST(images_.inspect("box"));
    EXPECT_EQ(found.id, id);
    EXPECT_EQ(found.repo_tags, Names{"box:latest"});
    EXPECT_EQ(*found.config.cmd, Names{"sh"});
    EXPECT_EQ(found.config.env, Names{"A=b"});
    EXPECT_EQ(found.comment, "Imported from -");
    EXPECT_EQ(found.size, 1);
    for (const auto& name : {id, id.substr(7), id.substr(7, 6), id.substr(0, 20)})
        EXPECT_EQ(MUST(images_.resolve(name)).id, id) << name;
    const auto history = MUST(images_.history("box"));
    ASSERT_EQ(history.size(), 1U);
    EXPECT_EQ(history[0].id, id);
    EXPECT_EQ(history[0].size, 1);
}

TEST_F(ImagesTest, body_that_is_no_tar_leaves_nothing) {
    const auto done = images_.import(
        {}, body_of("this is no tar file at all, not even a bit"), [](const auto&) {}, cancel_);
    EXPECT_FALSE(done);
    EXPECT_TRUE(MUST(images_.list({})).empty());
    EXPECT_TRUE(MUST(store_->check({}, {.settled = {}})).empty());
    EXPECT_TRUE(MUST(store_->content().list()).empty());
}

TEST_F(ImagesTest, filters_of_a_list) {
    make("one", "1", {"LABEL k=v"});
    make("reg.example:5000/team/two", "2", {"LABEL k=w"});
    make("", "3");
    MUST(images_.tag("one", "one", "old"));
    using Filter = std::map<std::string, Names>;
    EXPECT_EQ(listed({}),
              (Names{"<none>", "one:latest", "one:old", "reg.example:5000/team/two:latest"}));
    EXPECT_EQ(listed(Filter{{"reference", {"one"}}}), (Names{"one:latest", "one:old"}));
    EXPECT_EQ(listed(Filter{{"reference", {"o*:o*"}}}), Names{"one:old"});
    EXPECT_EQ(listed(Filter{{"reference", {"*"}}}), (Names{"one:latest", "one:old"}));
    EXPECT_EQ(listed(Filter{{"reference", {"*/*/two"}}}),
              Names{"reg.example:5000/team/two:latest"});
    EXPECT_EQ(listed(Filter{{"label", {"k=v"}}}), (Names{"one:latest", "one:old"}));
    EXPECT_EQ(listed(Filter{{"dangling", {"true"}}}), Names{"<none>"});
    EXPECT_EQ(listed(Filter{{"dangling", {"false"}}}).size(), 3U);
    EXPECT_EQ(listed(Filter{{"since", {"one"}}}),
              (Names{"<none>", "reg.example:5000/team/two:latest"}));
    EXPECT_EQ(listed(Filter{{"before", {"reg.example:5000/team/two"}}}),
              (Names{"one:latest", "one:old"}));
    EXPECT_EQ(listed(Filter{{"until", {"1h"}}}), Names{});
    EXPECT_EQ(images_.list({.filters = Filters(Filter{{"nope", {"x"}}})}).error().message,
              "invalid filter 'nope'");
    EXPECT_EQ(images_.list({.filters = Filters(Filter{{"since", {"nope"}}})}).error().code,
              Code::NotFound);
}

TEST_F(ImagesTest, shared_size_counts_layers_of_several_images) {
    make("one", "same");
    make("two", "same", {"CMD x"});
    make("three", "other");
    for (const auto& image : MUST(images_.list({.shared_size = true})))
        EXPECT_EQ(image.shared_size, image.repo_tags[0] == "three:latest" ? 0 : 4);
    EXPECT_EQ(MUST(images_.list({})).front().shared_size, -1);
}

TEST_F(ImagesTest, tag_moves_and_refuses) {
    const std::string one = make("one", "1");
    make("two", "2");
    MUST(images_.tag("one", "two", ""));
    EXPECT_EQ(MUST(images_.resolve("two")).id, one);
    EXPECT_EQ(listed({}), (Names{"<none>", "one:latest", "two:latest"}));
    EXPECT_EQ(images_.tag("none", "x", "").error().code, Code::NotFound);
    EXPECT_EQ(images_.tag("one", "Upper", "").error().code, Code::InvalidArgument);
    EXPECT_EQ(images_.tag("one", "x", "b@d").error().code, Code::InvalidArgument);
    EXPECT_EQ(images_.tag("one", "sha256", "").error().code, Code::InvalidArgument);
}

TEST_F(ImagesTest, removing_the_last_name_deletes) {
    const std::string id = make("one", "1");
    MUST(images_.tag("one", "other", "t"));
    const auto chain = MUST(images_.resolve("one")).chain_id;
    EXPECT_EQ(texts(MUST(images_.remove("other:t", {}))), Names{"-other:t"});
    EXPECT_EQ(texts(MUST(images_.remove("one", {}))), (Names{"-one:latest", id, chain}));
    EXPECT_TRUE(MUST(store_->content().list()).empty());
    EXPECT_EQ(refusal("one"), "No such image: one:latest");
}

TEST_F(ImagesTest, removal_by_id) {
    const std::string id = make("one", "1");
    MUST(images_.tag("one", "other", "t"));
    const std::string hex = id.substr(7, 12);
    EXPECT_EQ(refusal(hex), "conflict: unable to delete " + hex +
                                " (must be forced) - image is referenced in multiple repositories");
    EXPECT_EQ(texts(MUST(images_.remove(hex, {.force = true}))).size(), 4U);
    const std::string alone = make("one", "1");
    EXPECT_EQ(texts(MUST(images_.remove(alone, {}))).front(), "-one:latest");
}

TEST_F(ImagesTest, digests_of_a_repository_go_with_its_last_tag) {
    const std::string id = make("one", "1");
    const std::string digest = "sha256:" + std::string(64, 'd');
    MUST(store_->images().add_digest("docker.io/library/one@" + digest, id));
    EXPECT_EQ(texts(MUST(images_.remove("one", {}))).at(1), "-one@" + digest);
    EXPECT_TRUE(MUST(images_.list({})).empty());
}

TEST_F(ImagesTest, images_in_use_are_kept) {
    const std::string id = make("one", "1");
    const std::string hex = id.substr(7, 12);
    const std::string container(64, 'c');
    users_ = {{container, false}};
    EXPECT_EQ(refusal("one"),
              "conflict: unable to remove repository reference \"one\" (must force) - container " +
                  container.substr(0, 12) + " is using its referenced image " + hex);
    EXPECT_EQ(refusal(hex), "conflict: unable to delete " + hex +
                                " (must be forced) - image is being used by stopped container " +
                                container.substr(0, 12));
    users_ = {{container, true}};
    EXPECT_EQ(refusal(hex, true),
              "conflict: unable to delete " + hex +
                  " (cannot be forced) - image is being used by running container " +
                  container.substr(0, 12));
    EXPECT_EQ(images_.remove(hex, {}).error().code, Code::Conflict);
    // By name with force: the name goes, the image stays.
    EXPECT_EQ(texts(MUST(images_.remove("one", {.force = true}))), Names{"-one:latest"});
    EXPECT_EQ(listed({}), Names{"<none>"});
}

TEST_F(ImagesTest, prune_takes_what_nobody_uses) {
    make("one", "1", {"LABEL keep=yes"});
    make("", "22");
    auto report = MUST(images_.prune({}));
    EXPECT_EQ(report.space_reclaimed, 2U);
    EXPECT_EQ(listed({}), Names{"one:latest"});
    using Filter = std::map<std::string, Names>;
    MUST(images_.prune(Filters(Filter{{"dangling", {"false"}}, {"label!", {"keep"}}})));
    MUST(images_.prune(Filters(Filter{{"dangling", {"false"}}, {"until", {"1h"}}})));
    users_ = {{std::string(64, 'c'), false}};
    MUST(images_.prune(Filters(Filter{{"dangling", {"false"}}})));
    EXPECT_EQ(listed({}), Names{"one:latest"});
    users_ = {};
    report = MUST(images_.prune(Filters(Filter{{"dangling", {"false"}}})));
    EXPECT_EQ(report.images_deleted.size(), 3U);
    EXPECT_EQ(report.space_reclaimed, 1U);
}

TEST_F(ImagesTest, events_tell_what_happened) {
    const auto live = MUST(events_.subscribe(kZeroTime)).live;
    const std::string id = make("one", "1", {"LABEL k=v"});
    MUST(images_.remove("one", {}));
    Names seen;
    for (const auto& event : live->take()) {
        seen.push_back(event.action);
        EXPECT_EQ(event.actor, id);
        EXPECT_EQ(event.attributes.at("k"), "v");
    }
    EXPECT_EQ(seen, (Names{"tag", "import", "untag", "delete"}));
}

TEST(ProgressBar, as_docker_draws_it) {
    EXPECT_EQ(progress_bar(0, 0), "");
    EXPECT_EQ(progress_bar(50, 100),
              "[" + std::string(25, '=') + ">" + std::string(25, ' ') + "]      50B/100B");
}

// What comes into use between the plan of a collection and its doing.
class Collecting : public ImagesTest {
  protected:
    void SetUp() override {
        for (const char* name : {"a", "b"}) ids_.push_back(make(name, std::string(200'000, *name)));
    }
    // The names that stay when this happens before the first image goes.
    Names left_after(const std::function<void()>& meanwhile) {
        MUST(images_.collect({.bytes = 1 << 30, .rules = rules_, .stops = [&] {
                                  meanwhile();
                                  return false;
                              }}));
        return listed({});
    }
    CollectionRules rules_{.high = {}, .low = {}, .keep = {}, .min_age = {}};
    Names ids_;
};

TEST_F(Collecting, takes_all_that_nobody_uses) {
    EXPECT_EQ(left_after([] {}), Names());
}

TEST_F(Collecting, leaves_what_is_used_meanwhile) {
    EXPECT_EQ(left_after([&] { images_.touch(ids_[1]); }), Names({"b:latest"}));
}

TEST_F(Collecting, leaves_what_a_container_has_come_to_use) {
    EXPECT_EQ(left_after([&] { users_ = {{.container = "c", .running = false}}; }),
              Names({"a:latest", "b:latest"}));
}

TEST_F(Collecting, leaves_what_an_operation_holds) {
    std::unique_ptr<store::Lease> lease;
    const auto hold = [&] {
        if (!lease) lease = store_->lease();
        lease->blob(ids_[0]);
    };
    EXPECT_EQ(left_after(hold), Names({"a:latest"}));
    lease.reset();
    EXPECT_EQ(left_after([] {}), Names());
}

TEST_F(Collecting, leaves_what_is_taken_for_a_container) {
    const auto lease = store_->lease();
    bool taken = false;
    const auto take = [&] {
        if (!std::exchange(taken, true)) MUST(images_.take("b", {}, *lease));
    };
    EXPECT_EQ(left_after(take), Names({"b:latest"}));
    // Its use is remembered when the lease is over.
    MUST(images_.write_uses());
    EXPECT_GT(MUST(store_->images().get(ids_[1])).used, MUST(store_->images().get(ids_[1])).added);
}

}  // namespace
}  // namespace coffer::engine
