// Root tests of src/store and src/archive: the jailed unpacker, a full disk, sudden death. In a
// mount namespace of their own.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        std::fputs("skipped: needs root\n", stderr);
        return 77;
    }
    return RUN_ALL_TESTS();
}
