#include "runtime/seccomp_cache.hpp"

#include <gtest/gtest.h>

#include "sys/file.hpp"

namespace coffer::runtime {
namespace {

oci::LinuxSeccomp profile_without(const char* call) {
    oci::LinuxSeccomp seccomp;
    seccomp.default_action = "SCMP_ACT_ALLOW";
    oci::LinuxSyscall& rule = seccomp.syscalls.emplace_back();
    rule.names = {call};
    rule.action = "SCMP_ACT_ERRNO";
    return seccomp;
}

TEST(SeccompCache, a_damaged_file_is_made_anew) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    const oci::LinuxSeccomp seccomp = profile_without("kexec_load");
    const std::string filter = MUST(cached_filter(dir.path(), seccomp));
    const auto files = MUST(sys::list_dir(dir.path()));
    ASSERT_EQ(files.size(), 1U);
    const std::string path = dir.path() + "/" + files[0];
    const std::string whole = MUST(sys::read_file(path));
    ASSERT_TRUE(whole.ends_with(filter));

    // One bit of the filter turned: what it would allow then is nobody's decision.
    std::string turned = whole;
    turned.back() = static_cast<char>(turned.back() ^ 1);
    for (const std::string& damaged : {turned, whole.substr(1), whole + "x", std::string()}) {
        ASSERT_TRUE(sys::write_file(path, damaged));
        EXPECT_EQ(MUST(cached_filter(dir.path(), seccomp)), filter);
        EXPECT_EQ(MUST(sys::read_file(path)), whole);
    }
}

TEST(SeccompCache, a_file_of_another_profile_is_not_taken) {
    const sys::TempDir dir = MUST(sys::TempDir::create());
    const std::string one = MUST(cached_filter(dir.path(), profile_without("kexec_load")));
    const std::string path = dir.path() + "/" + MUST(sys::list_dir(dir.path())).at(0);
    const std::string whole = MUST(sys::read_file(path));
    ASSERT_TRUE(sys::remove_tree(path));
    const std::string other = MUST(cached_filter(dir.path(), profile_without("reboot")));
    ASSERT_NE(one, other);
    ASSERT_TRUE(sys::write_file(dir.path() + "/" + MUST(sys::list_dir(dir.path())).at(0), whole));
    EXPECT_EQ(MUST(cached_filter(dir.path(), profile_without("reboot"))), other);
}

}  // namespace
}  // namespace coffer::runtime
