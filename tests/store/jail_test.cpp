// The unpacker's jail (rules G7 and G8): what it must be able to do and what it must not.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive/jail.hpp"
#include "archive/testing.hpp"
#include "archive/unpack.hpp"
#include "base/hash.hpp"
#include "sys/file.hpp"

namespace coffer::archive {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TarBuilder;

std::string unpack_program() {
    std::string path(4096, '\0');
    path.resize(static_cast<std::size_t>(::readlink("/proc/self/exe", path.data(), path.size())));
    return path.substr(0, path.rfind("/tests/")) + "/bin/coffer-unpack";
}

class Jail : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    void SetUp() override { MUST(sys::make_dirs(target_)); }

    Result<AppliedLayer> unpack(const std::string& tar, UnpackRequest request = {}) {
        MUST(sys::write_file(folder_.path() + "/layer", tar));
        const sys::Fd input = MUST(sys::open_file(folder_.path() + "/layer", O_RDONLY));
        const sys::Fd target = MUST(sys::open_file(target_, O_RDONLY | O_DIRECTORY));
        request.input_fd = input.get();
        request.target_fd = target.get();
        return unpack_jailed(unpack_program(), request);
    }

    // Runs `attempt` in a jailed child; its exit status, or 128 + signal.
    int in_jail(int (*attempt)(int target)) {
        const sys::Fd target = MUST(sys::open_file(target_, O_RDONLY | O_DIRECTORY));
        const pid_t child = ::fork();
        if (child == 0) {
            const auto jailed = enter_jail(target.get());
            if (!jailed) ::_exit(99);
            ::_exit(attempt(jailed->get()));
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

    struct stat status(const std::string& name) {
        struct stat out {};
        EXPECT_EQ(::lstat((target_ + "/" + name).c_str(), &out), 0) << name;
        return out;
    }

    sys::TempDir folder_ = make_folder();
    std::string target_ = folder_.path() + "/target";
};

TEST_F(Jail, the_ids_on_disk_are_the_images) {
    TarEntry file = TarBuilder::entry(EntryType::Regular, "f", 04755);
    file.uid = 1000;
    file.gid = 2'000'000'000;
    const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    file.xattrs = {{"security.capability", capability}, {"user.note", "x"}};
    const auto layer = MUST(unpack(TarBuilder()
                                       .add(file, "x")
                                       .folder("d")
                                       .file("d/.wh..wh..opq", "")
                                       .file(".wh.gone", "")
                                       .finish()));
    EXPECT_THAT(layer.opaque, ElementsAre("d"));
    const auto out = status("f");
    EXPECT_EQ(out.st_uid, 1000U);
    EXPECT_EQ(out.st_gid, 2'000'000'000U);
    EXPECT_EQ(out.st_mode, S_IFREG | 04755U);
    char value[32] = {};
    EXPECT_EQ(::getxattr((target_ + "/f").c_str(), "security.capability", value, sizeof value), 20);
    EXPECT_EQ(std::string(value, 20), capability);
    EXPECT_EQ(::getxattr((target_ + "/d").c_str(), "trusted.overlay.opaque", value, sizeof value),
              1);
    EXPECT_EQ(status("gone").st_rdev, ::makedev(0, 0));
    EXPECT_EQ(status("gone").st_uid, 0U);
}

TEST_F(Jail, an_owner_beyond_the_range_is_an_error) {
    TarEntry file = TarBuilder::entry(EntryType::Regular, "f", 0644);
    file.uid = 4'294'967'294;
    const auto result = unpack(TarBuilder().add(file, "x").finish());
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("set owner 4294967294"));
}

TEST_F(Jail, errors_come_back) {
    const auto digest =
        unpack(TarBuilder().finish(), {.digest = digest_of("x"), .diff_id = {}, .limits = {}});
    ASSERT_FALSE(digest);
    EXPECT_THAT(digest.error().message, HasSubstr("not the expected"));
    const auto outside = unpack(TarBuilder().file("../x", "").finish());
    ASSERT_FALSE(outside);
    EXPECT_EQ(outside.error().code, Code::InvalidArgument);
    EXPECT_FALSE(sys::exists(folder_.path() + "/x"));
}

TEST_F(Jail, works_in_its_folder) {
    EXPECT_EQ(in_jail([](int target) {
                  const int fd = ::openat(target, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                  return fd >= 0 && ::fchown(fd, 5, 6) == 0 && ::fchmod(fd, 04755) == 0 ? 0 : errno;
              }),
              0);
    EXPECT_EQ(status("f").st_uid, 5U);
}

TEST_F(Jail, sees_no_other_file) {
    EXPECT_EQ(in_jail([](int) {
                  return ::openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
              }),
              ENOENT);
    EXPECT_NE(in_jail([](int target) {
                  return ::openat(target, "../layer", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
              }),
              0);
}

TEST_F(Jail, makes_no_device) {
    EXPECT_NE(in_jail([](int target) {
                  return ::mknodat(target, "sda", S_IFBLK | 0666, ::makedev(8, 0)) != 0 ? errno : 0;
              }),
              0);
    EXPECT_NE(in_jail([](int target) {
                  return ::mknodat(target, "mem", S_IFCHR | 0666, ::makedev(1, 1)) != 0 ? errno : 0;
              }),
              0);
}

TEST_F(Jail, dies_of_calls_it_does_not_need) {
    const int killed = 128 + SIGSYS;
    EXPECT_EQ(in_jail([](int) { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }),
              killed);
    EXPECT_EQ(in_jail([](int) { return ::kill(1, 0); }), killed);
    EXPECT_EQ(in_jail([](int) { return ::mount("", "/", "tmpfs", 0, nullptr); }), killed);
    EXPECT_EQ(in_jail([](int) { return ::setuid(0); }), killed);
    EXPECT_EQ(in_jail([](int) -> int { return ::fork() < 0 ? errno : 0; }), killed);
    EXPECT_EQ(in_jail([](int) {
                  char* const none[] = {nullptr};
                  return ::execve("/bin/true", none, none);
              }),
              killed);
}

}  // namespace
}  // namespace coffer::archive
