#include "runtime/resctrl.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "sys/file.hpp"

namespace coffer::runtime::resctrl {

namespace {

// A folder in the shape of resctrl; what the kernel does on a write is not here.
struct Resctrl : testing::Test {
    Resctrl() : root(*sys::TempDir::create()) {}
    sys::TempDir root;

    void make_group(const std::string& name, const std::string& schemata) {
        ASSERT_TRUE(sys::make_dirs(root.path() + "/" + name + "/mon_groups"));
        ASSERT_TRUE(sys::write_file(root.path() + "/" + name + "/schemata", schemata));
    }
};

TEST_F(Resctrl, mount_point_is_found_in_the_mount_table) {
    EXPECT_EQ(parse_mount_point("30 23 0:28 / /sys/fs/resctrl rw,relatime - resctrl resctrl rw\n"),
              "/sys/fs/resctrl");
    EXPECT_FALSE(parse_mount_point("30 23 0:28 / /sys/fs/cgroup rw - cgroup2 none rw\n"));
}

TEST_F(Resctrl, a_group_without_closid_is_ours_and_goes) {
    const oci::LinuxIntelRdt wanted{
        .schemata = {"L2:0=f"}, .l3_cache_schema = "L3:0=7f0", .mem_bw_schema = "MB:0=20"};
    const Group group = plan(root.path(), "box", wanted);
    EXPECT_EQ(group.folder, root.path() + "/box");
    EXPECT_TRUE(group.ours);
    ASSERT_TRUE(make(group, wanted));
    // The last of the lines: each is a write of its own.
    EXPECT_EQ(*sys::read_file(group.folder + "/schemata"), "L2:0=f\n");
    ASSERT_TRUE(sys::remove_tree(group.folder + "/schemata"));
    ASSERT_TRUE(remove(group));
    EXPECT_FALSE(sys::exists(group.folder));
    EXPECT_TRUE(remove(group));
}

TEST_F(Resctrl, an_existing_group_must_be_as_wanted) {
    make_group("gold", "    L3:0=07f0;1=001f\n    MB:0= 20;1= 70\n");
    const auto with = [&](const oci::LinuxIntelRdt& wanted) {
        return make(plan(root.path(), "box", wanted), wanted);
    };
    EXPECT_TRUE(with({.clos_id = "gold"}));
    EXPECT_TRUE(with({.clos_id = "gold", .l3_cache_schema = "L3:0=7F0"}));
    EXPECT_TRUE(with({.clos_id = "gold", .mem_bw_schema = "MB:0=20;1=70"}));
    EXPECT_FALSE(with({.clos_id = "gold", .l3_cache_schema = "L3:0=7f1"}));
    EXPECT_FALSE(with({.clos_id = "gold", .schemata = {"L3:2=1"}}));
    EXPECT_FALSE(with({.clos_id = "absent"}));
    EXPECT_TRUE(with({.clos_id = "new", .l3_cache_schema = "L3:0=f"}));
    // Neither is ours to remove.
    ASSERT_TRUE(remove(plan(root.path(), "box", {.clos_id = "gold"})));
    EXPECT_TRUE(sys::exists(root.path() + "/gold"));
}

TEST_F(Resctrl, a_monitored_container_has_a_group_below) {
    make_group("gold", "");
    const oci::LinuxIntelRdt wanted{.clos_id = "gold", .enable_monitoring = true};
    const Group group = plan(root.path(), "box", wanted);
    ASSERT_TRUE(make(group, wanted));
    EXPECT_TRUE(sys::exists(root.path() + "/gold/mon_groups/box"));
    EXPECT_EQ(group.task_files(),
              (std::vector<std::string>{root.path() + "/gold/tasks",
                                        root.path() + "/gold/mon_groups/box/tasks"}));
    ASSERT_TRUE(remove(group));
    EXPECT_FALSE(sys::exists(root.path() + "/gold/mon_groups/box"));
}

TEST_F(Resctrl, the_root_is_the_default_group) {
    const Group group = plan(root.path(), "box", {.clos_id = "/"});
    EXPECT_EQ(group.folder, root.path());
    EXPECT_FALSE(group.ours);
}

TEST_F(Resctrl, what_cannot_be_is_refused) {
    EXPECT_TRUE(check({.clos_id = "gold", .schemata = {"L3:0=f;1=f"}}));
    EXPECT_TRUE(check({.clos_id = "/"}));
    for (const std::string name : {"a/b", "..", ".", "info", "mon_groups", "a\nb"}) {
        EXPECT_FALSE(check({.clos_id = name})) << name;
    }
    EXPECT_FALSE(check({.schemata = {"L3:0=f\nL3:1=f"}}));
    EXPECT_FALSE(check({.schemata = {"nonsense"}}));
    EXPECT_FALSE(check({.mem_bw_schema = "L3:0=f"}));
    EXPECT_FALSE(check({.l3_cache_schema = "f"}));
}

}  // namespace

}  // namespace coffer::runtime::resctrl
