#include "volume/volumes.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace coffer::volume {
namespace {

TEST(Volumes, outlive_the_engine_and_refuse_paths_as_names) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    {
        const auto volumes = MUST(Volumes::open(dir.path()));
        const Volume data =
            MUST(volumes->create({.name = "data", .labels = {{"team", "a"}}})).volume;
        ASSERT_TRUE(sys::write_file(data.path + "/file", "x"));
        EXPECT_TRUE(MUST(volumes->create({.name = ""})).volume.anonymous);
        for (const char* bad : {"../x", "a/b", ".", "-x", "a"}) {
            EXPECT_FALSE(volumes->create({.name = bad})) << bad;
        }
    }
    // As a crash between folder and record leaves it:
    ASSERT_TRUE(sys::make_dirs(dir.path() + "/half/_data"));
    const auto volumes = MUST(Volumes::open(dir.path()));
    EXPECT_EQ(volumes->list().size(), 2U);
    EXPECT_FALSE(sys::exists(dir.path() + "/half"));
    const auto data = volumes->find("data");
    ASSERT_TRUE(data);
    EXPECT_EQ(data->labels.at("team"), "a");
    EXPECT_TRUE(sys::exists(data->path + "/file"));
    ASSERT_TRUE(volumes->remove("data"));
    EXPECT_FALSE(sys::exists(dir.path() + "/data"));
    EXPECT_EQ(volumes->remove("data").error().code, Code::NotFound);
}

TEST(Volumes, stay_while_somebody_holds_them) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    const auto volumes = MUST(Volumes::open(dir.path()));
    EXPECT_TRUE(MUST(volumes->create({.name = "data"}, "a")).is_new);
    EXPECT_FALSE(MUST(volumes->create({.name = "data"}, "b")).is_new);
    const auto refused = volumes->remove("data");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Conflict);
    EXPECT_EQ(refused.error().message, "remove data: volume is in use - [a, b]");
    volumes->release("a");
    EXPECT_FALSE(volumes->remove("data"));
    volumes->release("b");
    EXPECT_TRUE(volumes->remove("data"));
    volumes->hold("data", "c");  // gone: nothing to hold
    EXPECT_TRUE(volumes->list().empty());
}

TEST(Volumes, that_nobody_claims_are_swept) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    std::string lost;
    {
        const auto volumes = MUST(Volumes::open(dir.path()));
        lost = MUST(volumes->create({.name = ""}, "never")).volume.name;
        MUST(volumes->create({.name = "late"}, "came"));
        MUST(volumes->create({.name = "claimed"}, "came"));
        MUST(volumes->create({.name = "named"}));
        MUST(volumes->create({.name = "both"}, "never"));
        MUST(volumes->create({.name = "both"}, "came"));
    }
    {
        const auto volumes = MUST(Volumes::open(dir.path()));
        volumes->hold("claimed", "came");
        volumes->hold("both", "came");
        volumes->claim("came");
        volumes->hold("late", "came");
        const std::string goes = MUST(volumes->create({.name = ""}, "gone")).volume.name;
        const std::string stays = MUST(volumes->create({.name = ""}, "came")).volume.name;
        for (const char* user : {"gone", "came"}) {
            volumes->claim(user);
            volumes->disclaim(user);
        }
        volumes->release("gone");
        volumes->sweep();
        EXPECT_FALSE(volumes->find(goes));
        EXPECT_TRUE(volumes->find(stays).value_or(Volume{}).claimed);
        ASSERT_TRUE((volumes->release("came"), volumes->remove(stays)));
        EXPECT_FALSE(volumes->find(lost));
        EXPECT_FALSE(sys::exists(dir.path() + "/" + lost));
    }
    const auto volumes = MUST(Volumes::open(dir.path()));
    volumes->sweep();
    for (const char* name : {"late", "claimed", "named", "both"}) EXPECT_TRUE(volumes->find(name));
    EXPECT_EQ(volumes->list().size(), 4U);
}

}  // namespace
}  // namespace coffer::volume
