#include "runtime/user.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace coffer::runtime {
namespace {

class Users : public ::testing::Test {
  protected:
    Users() : dir_(make()) {
        MUST(sys::make_dirs(dir_.path() + "/etc"));
        MUST(sys::write_file(dir_.path() + "/etc/passwd",
                             "root:x:0:0:root:/root:/bin/sh\n"
                             "# comment\nbroken\n"
                             "web:x:33:33::/var/www:/bin/sh\n"
                             "1000:x:0:0:number as a name:/root:/bin/sh\n"
                             "huge:x:4294967296:0::/:/bin/sh\n"));
        MUST(sys::write_file(dir_.path() + "/etc/group",
                             "root:x:0:\nwww:x:33:\nlog:x:4:root,web\naudio:x:29:web\n"));
    }
    static sys::TempDir make() { return MUST(sys::TempDir::create()); }
    Result<ProcessUser> find(std::string_view wanted, std::vector<std::string> extra = {}) const {
        return find_user(MUST(sys::RootedDir::open(dir_.path())), wanted, extra);
    }
    sys::TempDir dir_;
};

TEST_F(Users, names_numbers_and_groups) {
    const auto root = MUST(find(""));
    EXPECT_EQ(root.uid, 0U);
    EXPECT_EQ(root.home, "/root");
    const auto web = MUST(find("web"));
    EXPECT_EQ(web.uid, 33U);
    EXPECT_EQ(web.groups, (std::vector<std::uint32_t>{4, 29}));
    const auto with_group = MUST(find("web:log"));
    EXPECT_EQ(with_group.gid, 4U);
    EXPECT_TRUE(with_group.groups.empty());
    const auto unknown = MUST(find("4242:4343", {"audio", "77", "77"}));
    EXPECT_EQ(unknown.uid, 4242U);
    EXPECT_EQ(unknown.gid, 4343U);
    EXPECT_EQ(unknown.groups, (std::vector<std::uint32_t>{29, 77}));
    EXPECT_EQ(unknown.home, "/");
}

TEST_F(Users, cve_2024_40635_a_number_is_never_a_name_and_never_wraps) {
    EXPECT_EQ(MUST(find("1000")).uid, 1000U);
    for (const char* bad : {"4294967296", "2147483648", "99999999999999999999", "-1", "huge",
                            "nobody", "web:nope", "0:4294967296"}) {
        EXPECT_FALSE(find(bad)) << bad;
    }
}

TEST_F(Users, a_passwd_that_is_no_regular_file_does_not_block) {
    const std::string path = dir_.path() + "/etc/passwd";
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(MUST(find("7")).uid, 7U);
    EXPECT_FALSE(find("web"));
    ASSERT_EQ(::unlink(path.c_str()), 0);
    ASSERT_EQ(::symlink("/../../../../../../../../../etc/passwd", path.c_str()), 0);
    EXPECT_FALSE(find("daemon"));  // a link to itself inside the root, not the host's file
}

}  // namespace
}  // namespace coffer::runtime
