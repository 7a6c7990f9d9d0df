#include "engine/mounts.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace coffer::engine {
namespace {

const Caller kRoot{};
const Caller kAlice{.uid = 1000, .gid = 1000};

Result<std::vector<MountRecord>> collect(const api::HostConfig& host, Caller caller = kRoot,
                                         const api::ContainerConfig& config = {}) {
    const FindImage find_image = [](const std::string& name) {
        return name == "tools" ? Result<ImageRef>(ImageRef{"sha256:1", "sha256:2"})
                               : Result<ImageRef>(fail(Code::NotFound, "No such image: {}", name));
    };
    return collect_mounts(config, host, {}, caller, find_image, [](const MountRecord& mount) {
        const std::string made = mount.name.empty() ? "anonymous" : mount.name;
        return Result<VolumeRef>(VolumeRef{made, "/data/" + made});
    });
}

bool has(const MountRecord& mount, const std::string& option) {
    return std::find(mount.options.begin(), mount.options.end(), option) != mount.options.end();
}

TEST(Mounts, a_bind_is_nosuid_nodev_and_id_mapped) {
    api::HostConfig host;
    host.binds = {"/etc/:/conf//x/../y:ro,rslave", "named:/data"};
    const auto mounts = MUST(collect(host));
    ASSERT_EQ(mounts.size(), 2U);
    EXPECT_EQ(mounts[0].source, "/etc");
    EXPECT_EQ(mounts[0].target, "/conf/y");
    EXPECT_FALSE(mounts[0].writable);
    for (const char* option : {"idmap", "nosuid", "nodev", "rro", "rslave"}) {
        EXPECT_TRUE(has(mounts[0], option)) << option;
    }
    EXPECT_EQ(mounts[0].squash_uid, 0U);
    EXPECT_EQ(mounts[1].type, "volume");
    EXPECT_EQ(mounts[1].source, "/data/named");
}

TEST(Mounts, a_bind_of_a_user_carries_their_ids_and_makes_no_folder) {
    api::HostConfig host;
    host.binds = {"/etc:/conf"};
    const auto mounts = MUST(collect(host, kAlice));
    EXPECT_EQ(mounts[0].squash_uid, 1000U);
    host.binds = {"/no/such/folder/of/alice:/x"};
    EXPECT_FALSE(collect(host, kAlice));
    EXPECT_FALSE(sys::exists("/no/such"));
}

TEST(Mounts, bad_syntax_is_refused_in_dockers_words) {
    api::HostConfig host;
    for (const char* bad :
         {"", "a:b:c:d", "/x:", ":/x", "/x:y", "/etc:/", "../x:/y", "/etc:/x:purple"}) {
        host.binds = {bad};
        EXPECT_FALSE(collect(host)) << bad;
    }
    host.binds = {"/etc:/same", "/usr:/same/"};
    EXPECT_EQ(collect(host).error().message, "Duplicate mount point: /same");
    host.binds.clear();
    host.mounts = {{.type = "bind", .source = "/no/such", .target = "/x"}};
    EXPECT_EQ(collect(host).error().message,
              "invalid mount config for type \"bind\": bind source path does not exist: /no/such");
}

TEST(Mounts, volumes_of_the_image_give_way_to_the_users) {
    api::ContainerConfig config;
    config.volumes["/data"];
    config.volumes["/cache"];
    api::HostConfig host;
    host.tmpfs["/cache"] = "size=64m,exec";
    const auto mounts = MUST(collect(host, kRoot, config));
    ASSERT_EQ(mounts.size(), 2U);
    EXPECT_EQ(mounts[0].type, "tmpfs");
    EXPECT_TRUE(has(mounts[0], "size=64m"));
    EXPECT_FALSE(has(mounts[0], "noexec"));
    EXPECT_EQ(mounts[1].name, "anonymous");
    host.tmpfs["/evil"] = "context=x";
    EXPECT_FALSE(collect(host));
}

TEST(Mounts, anothers_bind_comes_with_ones_own_rights_alone) {
    MountRecord theirs;
    theirs.type = "bind";
    theirs.uids = theirs.gids = {{0, 1, 1}};
    std::vector<MountRecord> inherited;
    MUST(inherit_mounts({theirs}, "other", kAlice, inherited));
    ASSERT_EQ(inherited.size(), 1U);
    EXPECT_EQ(inherited[0].squash_uid, 1000U);
    EXPECT_TRUE(inherited[0].uids.empty());
    EXPECT_TRUE(inherited[0].gids.empty());
    MUST(inherit_mounts({theirs}, "other", kRoot, inherited));
    EXPECT_EQ(inherited[1].uids.size(), 1U);
}

}  // namespace
}  // namespace coffer::engine
