#include "sys/file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <thread>

namespace coffer::sys {
namespace {

class Files : public ::testing::Test {
  protected:
    Files() : dir_(make()) {}
    static TempDir make() { return MUST(TempDir::create()); }
    std::string at(const std::string& name) const { return dir_.path() + "/" + name; }
    TempDir dir_;
};

TEST_F(Files, moving_a_descriptor_closes_the_old_one) {
    Fd a = MUST(open_file(at("a"), O_CREAT | O_RDWR, 0600));
    Fd b = MUST(open_file(at("b"), O_CREAT | O_RDWR, 0600));
    const int old = a.get();
    a = std::move(b);
    EXPECT_EQ(::fcntl(old, F_GETFD), -1);
    EXPECT_NE(::fcntl(a.get(), F_GETFD), -1);
    Fd& same = a;
    a = std::move(same);
    EXPECT_NE(::fcntl(a.get(), F_GETFD), -1);
}

TEST_F(Files, a_replaced_file_is_whole_and_leaves_no_temporary) {
    ASSERT_TRUE(replace_file(at("f"), "one"));
    ASSERT_TRUE(replace_file(at("f"), "two"));
    EXPECT_EQ(MUST(read_file(at("f"))), "two");
    EXPECT_EQ(MUST(list_dir(dir_.path())).size(), 1U);
}

TEST_F(Files, a_regular_file_read_refuses_all_else_and_never_blocks) {
    ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
    EXPECT_FALSE(read_regular_file(AT_FDCWD, at("fifo"), 100));
    ASSERT_EQ(::symlink("/etc/passwd", at("link").c_str()), 0);
    EXPECT_FALSE(read_regular_file(AT_FDCWD, at("link"), 100000));
    ASSERT_TRUE(write_file(at("big"), std::string(101, 'x')));
    EXPECT_FALSE(read_regular_file(AT_FDCWD, at("big"), 100));
    EXPECT_TRUE(read_regular_file(AT_FDCWD, at("big"), 101));
}

TEST_F(Files, a_rooted_lookup_stays_inside) {
    ASSERT_TRUE(make_dirs(at("root/etc")));
    ASSERT_TRUE(write_file(at("secret"), "outside"));
    ASSERT_TRUE(write_file(at("root/secret"), "inside"));
    ASSERT_EQ(::symlink("../../../../secret", at("root/etc/up").c_str()), 0);
    ASSERT_EQ(::symlink("/secret", at("root/abs").c_str()), 0);
    const RootedDir root = MUST(RootedDir::open(at("root")));
    for (const char* name : {"etc/up", "abs", "../secret", "/secret"}) {
        const Fd fd = MUST(root.open(name, O_RDONLY));
        EXPECT_EQ(MUST(read_all(fd.get(), 100)), "inside") << name;
    }
    EXPECT_FALSE(root.open_no_links("etc/up", O_RDONLY));
    EXPECT_FALSE(root.open_no_links("abs", O_RDONLY));
}

TEST_F(Files, folders_made_in_a_root_follow_links_only_inside_it) {
    ASSERT_TRUE(make_dirs(at("root")));
    ASSERT_TRUE(make_dirs(at("outside")));
    ASSERT_EQ(::symlink("../outside", at("root/evil").c_str()), 0);
    const RootedDir root = MUST(RootedDir::open(at("root")));
    ASSERT_TRUE(root.make_dirs("a/b/../c"));
    EXPECT_TRUE(exists(at("root/a/c")));
    EXPECT_FALSE(root.make_dirs("evil/deep"));  // dangling inside the root
    EXPECT_TRUE(MUST(list_dir(at("outside"))).empty());
}

TEST_F(Files, removing_a_tree_does_not_follow_links) {
    ASSERT_TRUE(make_dirs(at("keep")));
    ASSERT_TRUE(write_file(at("keep/f"), "x"));
    ASSERT_TRUE(make_dirs(at("tree/sub")));
    ASSERT_EQ(::symlink("../../keep", at("tree/sub/link").c_str()), 0);
    ASSERT_TRUE(remove_tree(at("tree")));
    EXPECT_FALSE(exists(at("tree")));
    EXPECT_TRUE(exists(at("keep/f")));
    EXPECT_TRUE(remove_tree(at("tree")));
}

TEST_F(Files, a_tree_that_is_still_being_filled_goes_once_that_ends) {
    MUST(make_dirs(at("tree/a")));
    std::thread filler([&] {
        for (int i = 0; i < 500; ++i) {
            ignore(write_file(at("tree/a/" + std::to_string(i)), ""), "the folder may be gone");
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    });
    while (!exists(at("tree/a/100"))) std::this_thread::yield();
    EXPECT_TRUE(remove_tree(at("tree")));
    filler.join();
    EXPECT_FALSE(exists(at("tree")));
}

TEST_F(Files, a_lock_is_held_by_one) {
    const FileLock lock = MUST(FileLock::try_lock(at("lock")));
    const auto second = FileLock::try_lock(at("lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::Conflict);
}

TEST_F(Files, a_lock_is_waited_for_as_long_as_asked) {
    auto first = std::make_unique<FileLock>(MUST(FileLock::try_lock(at("lock"))));
    std::thread release([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        first.reset();
    });
    EXPECT_TRUE(FileLock::try_lock(at("lock"), std::chrono::seconds(10)));
    release.join();
}

TEST_F(Files, last_messages_of_a_peer_that_did_not_read_ours_arrive) {
    SocketPair pair = MUST(make_socketpair(SOCK_SEQPACKET));
    ASSERT_TRUE(send_message(pair.ours.get(), "unread"));
    ASSERT_TRUE(send_message(pair.theirs.get(), "last words"));
    pair.theirs.reset();
    EXPECT_EQ(MUST(receive_message(pair.ours.get())).payload, "last words");
    EXPECT_EQ(MUST(receive_message(pair.ours.get())).payload, "");
}

TEST_F(Files, messages_carry_descriptors) {
    SocketPair pair = MUST(make_socketpair(SOCK_SEQPACKET));
    Fd file = MUST(open_file(at("f"), O_CREAT | O_RDWR, 0600));
    const int fds[] = {file.get()};
    ASSERT_TRUE(send_message(pair.ours.get(), "hello", fds));
    Message got = MUST(receive_message(pair.theirs.get()));
    EXPECT_EQ(got.payload, "hello");
    ASSERT_EQ(got.fds.size(), 1U);
    ASSERT_TRUE(write_all(got.fds[0].get(), "data"));
    EXPECT_EQ(MUST(read_file(at("f"))), "data");
    pair.ours.reset();
    EXPECT_TRUE(MUST(receive_message(pair.theirs.get())).payload.empty());
}

TEST_F(Files, a_socket_path_may_be_longer_than_the_kernel_takes) {
    const std::string folder = at(std::string(120, 'd'));
    ASSERT_TRUE(make_dirs(folder));
    const Fd listener = MUST(listen_unix(folder + "/s", 0600, SOCK_STREAM));
    EXPECT_TRUE(connect_unix(folder + "/s", SOCK_STREAM));
    ASSERT_TRUE(write_file(at("plain"), ""));
    EXPECT_FALSE(listen_unix(at("plain"), 0600, SOCK_STREAM));
}

}  // namespace
}  // namespace coffer::sys
