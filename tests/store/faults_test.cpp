// A full disk and sudden death: a clear error, a usable store, no orphans.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "archive/testing.hpp"
#include "base/hash.hpp"
#include "store/archive_load.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace coffer::store {
namespace {

using archive::testing::TarBuilder;
using ::testing::HasSubstr;

std::string unpack_program() {
    std::string path(4096, '\0');
    path.resize(static_cast<std::size_t>(::readlink("/proc/self/exe", path.data(), path.size())));
    return path.substr(0, path.rfind("/tests/")) + "/bin/coffer-unpack";
}

std::unique_ptr<Store> open_store(const std::string& root) {
    return MUST(Store::open({.data_root = root, .unpacker = [](const auto& request) {
                                 return archive::unpack_jailed(unpack_program(), request);
                             }}));
}

// An image of one layer with `files` files of `size` bytes, as an archive.
struct TestImage {
    std::string id;
    std::string archive;
};
TestImage make_image(int files, std::size_t size, const std::string& mark) {
    TarBuilder layer;
    for (int i = 0; i < files; ++i) {
        layer.file(std::to_string(i % 7) + "/" + std::to_string(i), mark + std::string(size, 'x'));
    }
    const std::string tar = layer.finish();
    const std::string config = R"({"architecture":"amd64","os":"linux","config":{},)"
                               R"("rootfs":{"type":"layers","diff_ids":[")" +
                               digest_of(tar) + R"("]}})";
    return {digest_of(config), TarBuilder()
                                   .file("layer.tar", tar)
                                   .file("c.json", config)
                                   .file("manifest.json", R"([{"Config":"c.json","RepoTags":null,)"
                                                          R"("Layers":["layer.tar"]}])")
                                   .finish()};
}

Result<std::vector<LoadedImage>> load(Store& store, const TestImage& image) {
    archive::MemorySource source(image.archive);
    return load_archive(store, source, [](const std::string&, std::uint64_t, std::uint64_t) {});
}

// An ext4 of 8 MiB on folder/disk: before 6.3 the kernel does not map the ids of a tmpfs.
void mount_small_disk(const std::string& folder) {
    const std::string command =
        "truncate -s 8M image && mkfs.ext4 -q -m 0 -O ^has_journal image && mkdir disk && "
        "mount -o loop image disk";
    const auto made = MUST(sys::run({.argv = {"/bin/sh", "-c", command},
                                     .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                     .cwd = folder},
                                    "", std::chrono::seconds(60)));
    ASSERT_EQ(made.status, 0) << made.err;
}

TEST(Faults, a_full_disk_is_a_clear_error_and_leaves_a_usable_store) {
    const sys::TempDir folder = MUST(sys::TempDir::create());
    mount_small_disk(folder.path());
    {
        const auto store = open_store(folder.path() + "/disk/data");
        // The blob fits and its unpacked files do not; then not even the blob fits.
        for (const std::size_t size : {5'000U, 20'000U}) {
            const auto full = load(*store, make_image(1000, size, "a"));
            ASSERT_FALSE(full);
            EXPECT_EQ(full.error().sys_errno, ENOSPC);
            EXPECT_THAT(full.error().message, HasSubstr("no space left on device"));
            EXPECT_TRUE(MUST(store->check({}, {.settled = {}})).empty());
        }
        MUST(load(*store, make_image(10, 100, "b")));
        EXPECT_EQ(MUST(store->images().list()).size(), 1U);
    }
    ::umount2((folder.path() + "/disk").c_str(), MNT_DETACH);
}

TEST(Faults, sudden_death_leaves_no_orphans) {
    const sys::TempDir folder = MUST(sys::TempDir::create());
    const std::string root = folder.path() + "/data";
    std::mt19937 random(2);
    std::uniform_int_distribution<int> microseconds(1000, 60'000);
    const TestImage kept = make_image(3, 10, "kept");
    MUST(load(*open_store(root), kept));
    for (int round = 0; round < 25; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            const auto store = open_store(root);
            for (int i = 0;; ++i) {
                const TestImage image = make_image(200, 1000, std::to_string(i % 3));
                MUST(load(*store, image));
                const std::string chain = MUST(store->images().get(image.id)).chain_id;
                MUST(store->create_writable("c" + std::to_string(i), chain));
                MUST(store->images().remove(image.id));
                MUST(store->remove_writable("c" + std::to_string(i)));
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const auto store = open_store(root);
        MUST(store->sweep_containers({}));
        EXPECT_TRUE(MUST(store->check({}, {.settled = {}})).empty()) << "round " << round;
        EXPECT_EQ(MUST(store->images().get(kept.id)).size, 42U);
    }
}

// A bind mount in the tree is of the same file system as the tree.
TEST(Faults, what_is_mounted_in_a_tree_is_not_removed_with_it) {
    const auto folder = MUST(sys::TempDir::create());
    const std::string precious = folder.path() + "/precious";
    const std::string place = folder.path() + "/tree/a/mounted";
    MUST(sys::make_dirs(precious));
    MUST(sys::make_dirs(place));
    MUST(sys::write_file(precious + "/file", "x"));
    ASSERT_EQ(::mount(precious.c_str(), place.c_str(), nullptr, MS_BIND, nullptr), 0);
    const auto removed = sys::remove_tree(folder.path() + "/tree");
    EXPECT_EQ(MUST(sys::read_file(precious + "/file")), "x");
    ASSERT_FALSE(removed);
    EXPECT_THAT(removed.error().message, HasSubstr("a mount point"));
    ASSERT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
    MUST(sys::remove_tree(folder.path() + "/tree"));
    EXPECT_FALSE(sys::exists(folder.path() + "/tree"));
}

}  // namespace
}  // namespace coffer::store
