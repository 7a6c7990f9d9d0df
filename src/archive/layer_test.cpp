#include "archive/layer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "archive/testing.hpp"
#include "base/hash.hpp"
#include "sys/file.hpp"

namespace coffer::archive {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TarBuilder;

class Layer : public ::testing::Test {
  protected:
    // The target is one of two folders, so that an escape would show in the other.
    void SetUp() override {
        MUST(sys::make_dirs(target_));
        MUST(sys::make_dirs(outside_));
        MUST(sys::write_file(outside_ + "/secret", "untouched"));
    }
    void TearDown() override {
        EXPECT_EQ(MUST(sys::read_file(outside_ + "/secret")), "untouched");
        EXPECT_THAT(MUST(sys::list_dir(outside_)), ElementsAre("secret"));
        EXPECT_EQ(MUST(sys::list_dir(folder_.path())).size(), 2U);
    }

    Result<AppliedLayer> apply(const std::string& tar, TarLimits limits = {},
                               std::size_t chunk = 4096) {
        MemorySource source(tar, chunk);
        const sys::Fd fd = MUST(sys::open_file(target_, O_RDONLY | O_DIRECTORY));
        return apply_layer(source, fd.get(), limits);
    }
    std::string error_of(const std::string& tar, TarLimits limits = {}) {
        const auto applied = apply(tar, limits);
        return applied ? "no error" : applied.error().message;
    }
    struct stat status(const std::string& name) {
        struct stat out {};
        EXPECT_EQ(::lstat((target_ + "/" + name).c_str(), &out), 0) << name;
        return out;
    }
    std::string content(const std::string& name) {
        return sys::read_file(target_ + "/" + name).value_or("<absent>");
    }
    bool is_whiteout(const std::string& name) {
        const auto out = status(name);
        return S_ISCHR(out.st_mode) && out.st_rdev == ::makedev(0, 0);
    }

    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    sys::TempDir folder_ = make_folder();
    std::string target_ = folder_.path() + "/target";
    std::string outside_ = folder_.path() + "/outside";
};

TEST_F(Layer, extracts_every_kind_with_its_metadata) {
    const std::string tar = TarBuilder()
                                .folder("./", 0755)
                                .folder("bin/", 0711)
                                .file("bin/su", "elf", 04755)
                                .hardlink("bin/su2", "./bin/su")
                                .symlink("bin/sh", "/bin/busybox")
                                .add(TarBuilder::entry(EntryType::Fifo, "pipe", 0620))
                                .finish();
    const auto layer = MUST(apply(tar));
    EXPECT_EQ(layer.diff_id, digest_of(tar));
    EXPECT_EQ(layer.stream_bytes, tar.size());
    EXPECT_EQ(layer.entries, 6U);
    EXPECT_EQ(layer.size, 3U);
    EXPECT_EQ(status("bin/su").st_mode, S_IFREG | 04755U);
    EXPECT_EQ(status("bin/su").st_mtim.tv_sec, 1'600'000'000);
    EXPECT_EQ(status("bin/su").st_ino, status("bin/su2").st_ino);
    EXPECT_EQ(status("bin").st_mode, S_IFDIR | 0711U);
    EXPECT_EQ(status("bin").st_mtim.tv_sec, 1'600'000'000);
    EXPECT_EQ(status("").st_mtim.tv_sec, 1'600'000'000);
    EXPECT_TRUE(S_ISLNK(status("bin/sh").st_mode));
    EXPECT_EQ(status("pipe").st_mode, S_IFIFO | 0620U);
}

TEST_F(Layer, gives_the_same_result_for_any_chunk_size) {
    const std::string big(10'000, 'x');
    const std::string tar = TarBuilder().file("a", big).file("b", "y").finish();
    for (const std::size_t chunk : {1U, 7U, 511U, 512U, 513U, 100'000U}) {
        EXPECT_EQ(MUST(apply(tar, {}, chunk)).diff_id, digest_of(tar));
        EXPECT_EQ(content("a"), big);
        EXPECT_EQ(content("b"), "y");
    }
}

TEST_F(Layer, refuses_names_that_lead_out) {
    EXPECT_THAT(error_of(TarBuilder().file("../outside/secret", "x").finish()),
                HasSubstr("leads out of the archive"));
    EXPECT_THAT(error_of(TarBuilder().file("a/../../outside/secret", "x").finish()),
                HasSubstr("leads out of the archive"));
    EXPECT_THAT(error_of(TarBuilder().folder("..").finish()), HasSubstr("leads out"));
}

TEST_F(Layer, reads_absolute_names_below_the_target) {
    MUST(apply(TarBuilder().file(outside_ + "/secret", "x").finish()));
    EXPECT_EQ(content(outside_ + "/secret"), "x");
}

TEST_F(Layer, follows_a_linked_parent_inside_only) {
    MUST(apply(TarBuilder()
                   .folder("usr/bin")
                   .symlink("bin", "usr/bin")
                   .symlink("abs", "/usr")
                   .symlink("loop", "usr/../bin")
                   .file("bin/a", "1")
                   .file("abs/b", "2")
                   .file("loop/c", "3")
                   .finish()));
    EXPECT_EQ(content("usr/bin/a"), "1");
    EXPECT_EQ(content("usr/b"), "2");
    EXPECT_EQ(content("usr/bin/c"), "3");
}

TEST_F(Layer, keeps_linked_parents_that_point_outside_inside) {
    MUST(apply(TarBuilder()
                   .symlink("up", "../outside")
                   .symlink("abs", outside_)
                   .symlink("far", "../../../../../../../../../../tmp")
                   .file("up/secret", "x")
                   .file("abs/secret", "x")
                   .file("far/coffer-escape", "x")
                   .finish()));
    EXPECT_EQ(content("outside/secret"), "x");  // "..", at the root, is the root
    EXPECT_EQ(content("tmp/coffer-escape"), "x");
    EXPECT_FALSE(sys::exists("/tmp/coffer-escape"));
}

TEST_F(Layer, refuses_circles_of_links) {
    EXPECT_NE(error_of(TarBuilder().symlink("a", "b").symlink("b", "a").file("a/x", "1").finish()),
              "no error");
}

TEST_F(Layer, writes_over_a_link_and_not_through_it) {
    MUST(apply(TarBuilder()
                   .symlink("file", outside_ + "/secret")
                   .file("file", "mine")
                   .symlink("folder", outside_)
                   .folder("folder")
                   .file("folder/new", "x")
                   .finish()));
    EXPECT_EQ(content("file"), "mine");
    EXPECT_TRUE(S_ISDIR(status("folder").st_mode));
    EXPECT_EQ(content("folder/new"), "x");
}

TEST_F(Layer, makes_hard_links_inside_only) {
    EXPECT_THAT(error_of(TarBuilder().hardlink("x", "../outside/secret").finish()),
                HasSubstr("leads out"));
    EXPECT_NE(error_of(TarBuilder().hardlink("x", outside_ + "/secret").finish()), "no error");
    EXPECT_NE(error_of(TarBuilder().symlink("l", outside_).hardlink("x", "l/secret").finish()),
              "no error");
    // A link to a symbolic link is one to the link itself.
    MUST(apply(TarBuilder().symlink("s", outside_ + "/secret").hardlink("h", "s").finish()));
    EXPECT_TRUE(S_ISLNK(status("h").st_mode));
    EXPECT_THAT(error_of(TarBuilder().folder("d").hardlink("e", "d").finish()),
                HasSubstr("hard link to the folder"));
}

TEST_F(Layer, keeps_the_file_when_a_hard_link_names_itself) {
    MUST(apply(TarBuilder().file("a", "1").hardlink("./a", "a").finish()));
    EXPECT_EQ(content("a"), "1");
}

TEST_F(Layer, drops_devices) {
    TarEntry device = TarBuilder::entry(EntryType::BlockDevice, "dev/sda", 0666);
    device.device_major = 8;
    const auto layer = MUST(apply(TarBuilder().folder("dev").add(device).finish()));
    EXPECT_EQ(layer.dropped, 1U);
    EXPECT_FALSE(sys::exists(target_ + "/dev/sda"));
}

TEST_F(Layer, later_entries_replace_earlier_ones) {
    MUST(apply(TarBuilder()
                   .file("a", "old and long")
                   .file("a", "new")
                   .folder("b")
                   .file("b/child", "x")
                   .file("b", "file now")
                   .file("c", "file")
                   .folder("c")
                   .file("c/child", "y")
                   .folder("d")
                   .file("d/kept", "z")
                   .folder("d", 0700)
                   .finish()));
    EXPECT_EQ(content("a"), "new");
    EXPECT_EQ(content("b"), "file now");
    EXPECT_EQ(content("c/child"), "y");
    EXPECT_EQ(content("d/kept"), "z");
    EXPECT_EQ(status("d").st_mode, S_IFDIR | 0700U);
}

TEST_F(Layer, writes_after_a_folder_was_replaced_go_to_the_new_one) {
    MUST(apply(TarBuilder()
                   .folder("d/e")
                   .file("d/e/f", "1")
                   .file("d", "x")
                   .folder("d")
                   .folder("d/e")
                   .file("d/e/f", "2")
                   .finish()));
    EXPECT_EQ(content("d/e/f"), "2");
}

TEST_F(Layer, turns_whiteouts_into_devices) {
    const auto layer = MUST(apply(TarBuilder()
                                      .folder("a")
                                      .file("a/.wh.gone", "")
                                      .file(".wh.top", "")
                                      .folder("b")
                                      .file("b/.wh..wh..opq", "")
                                      .file("missing/.wh.x", "")
                                      .file(".wh..wh.aufs", "")
                                      .file(".wh..wh.plnk/1", "")
                                      .finish()));
    EXPECT_TRUE(is_whiteout("a/gone"));
    EXPECT_TRUE(is_whiteout("top"));
    EXPECT_TRUE(is_whiteout("missing/x"));
    EXPECT_THAT(layer.opaque, ElementsAre("b"));
    EXPECT_FALSE(sys::exists(target_ + "/.wh..wh.plnk"));
}

TEST_F(Layer, a_whiteout_hides_lower_layers_but_not_its_own) {
    const auto layer = MUST(apply(TarBuilder()
                                      .file("f", "kept")
                                      .file(".wh.f", "")
                                      .folder("d")
                                      .file("d/kept", "")
                                      .file(".wh.d", "")
                                      .file(".wh.e", "")
                                      .file("e/new", "1")
                                      .file(".wh.g", "")
                                      .file("g", "2")
                                      .finish()));
    EXPECT_EQ(content("f"), "kept");
    EXPECT_TRUE(sys::exists(target_ + "/d/kept"));
    EXPECT_EQ(content("e/new"), "1");
    EXPECT_EQ(content("g"), "2");
    EXPECT_THAT(layer.opaque, ElementsAre("d", "e"));
}

TEST_F(Layer, refuses_whiteouts_of_parents) {
    for (const char* name : {".wh...", "a/.wh...", ".wh.", ".wh..", "a/.wh./b", ".wh.a/b"}) {
        EXPECT_NE(error_of(TarBuilder().file(name, "").finish()), "no error") << name;
    }
}

TEST_F(Layer, keeps_only_harmless_attributes) {
    TarEntry entry = TarBuilder::entry(EntryType::Regular, "f", 0644);
    entry.xattrs = {{"user.note", std::string("a\0b", 3)},
                    {"user.overlay.opaque", "y"},
                    {"trusted.overlay.opaque", "y"},
                    {"security.selinux", "x"},
                    {"security.capability", "short"}};
    const auto layer = MUST(apply(TarBuilder().add(entry).finish()));
    char value[16] = {};
    const std::string path = target_ + "/f";
    const ssize_t n = ::getxattr(path.c_str(), "user.note", value, sizeof value);
    if (n >= 0) {  // a file system may have none
        EXPECT_EQ(std::string(value, 3), std::string("a\0b", 3));
    }
    EXPECT_LT(::getxattr(path.c_str(), "user.overlay.opaque", value, sizeof value), 0);
    EXPECT_LT(::getxattr(path.c_str(), "trusted.overlay.opaque", value, sizeof value), 0);
    EXPECT_EQ(layer.dropped, n >= 0 ? 4U : 5U);
}

TEST_F(Layer, refuses_what_exceeds_its_budget) {
    EXPECT_THAT(error_of(TarBuilder().file("a", "").file("b", "").finish(), {.entries = 1}),
                HasSubstr("more than 1 entries"));
    EXPECT_THAT(error_of(TarBuilder().file("a", "12345").finish(), {.content_bytes = 4}),
                HasSubstr("more than 4 bytes"));
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "a/";
    EXPECT_NE(error_of(TarBuilder().file(deep + "f", "").finish()), "no error");
    EXPECT_THAT(error_of(TarBuilder().file(deep.substr(0, 2000) + "f", "").finish()),
                HasSubstr("deeper than"));
    EXPECT_NE(error_of(TarBuilder().file(std::string(300, 'n'), "").finish()), "no error");
}

TEST_F(Layer, links_cannot_build_a_tree_too_deep_to_remove) {
    TarBuilder tar;
    std::string path;
    for (int i = 0; i < 400; ++i) path += "d/";
    tar.folder(path).symlink("l", path).folder("l/" + path);
    EXPECT_NE(error_of(tar.finish()), "no error");
    MUST(sys::remove_tree(target_));
    MUST(sys::make_dirs(target_));
}

TEST_F(Layer, refuses_a_stream_cut_short) {
    const std::string tar = TarBuilder().file("a", std::string(5000, 'x')).finish();
    for (const std::size_t size : {100U, 600U, 4000U}) {
        EXPECT_THAT(error_of(tar.substr(0, size)), HasSubstr("unexpected end of data")) << size;
    }
}

}  // namespace
}  // namespace coffer::archive
