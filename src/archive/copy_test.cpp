#include "archive/copy.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/testing.hpp"
#include "sys/file.hpp"

namespace coffer::archive {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TarBuilder;

class Copy : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }

    Result<void> extract(const std::string& tar, ExtractOptions options = {}) {
        options.owner = Owner::Ours;
        const sys::Fd root = MUST(sys::open_file(folder_.path(), O_RDONLY | O_DIRECTORY));
        LayerTree tree(root.get(), TarLimits{}.depth, LayerTree::Mounts::Inside);
        MemorySource source(tar);
        return extract_tar(source, tree, std::move(options));
    }
    // The names in a tar of what `name` of the folder is, with its links' targets.
    std::vector<std::string> read(const std::string& name, const std::string& path) {
        std::string tar;
        TarWriter writer([&](std::string_view bytes) -> Result<void> {
            tar.append(bytes);
            return {};
        });
        const sys::Fd root = MUST(sys::open_file(folder_.path(), O_RDONLY | O_DIRECTORY));
        MUST(TreeReader(writer).add(root.get(), name, path));
        MUST(writer.finish());
        std::vector<std::string> names;
        MemorySource source(tar);
        TarReader reader(source);
        while (const auto entry = MUST(reader.next())) {
            names.push_back(entry->link_target.empty() ? entry->name
                                                       : entry->name + " " + entry->link_target);
        }
        return names;
    }
    std::string text(const std::string& name) const {
        return sys::read_file(folder_.path() + "/" + name).value_or("(none)");
    }
    unsigned mode(const std::string& name) const {
        struct stat status {};
        EXPECT_EQ(::lstat((folder_.path() + "/" + name).c_str(), &status), 0) << name;
        return status.st_mode;
    }

    sys::TempDir folder_ = make_folder();
};

TEST_F(Copy, files_come_into_a_folder_that_stays_as_it_is) {
    MUST(sys::make_dirs(folder_.path() + "/in", 0700));
    MUST(extract(TarBuilder().folder("./", 0777).file("a", "1").file("d/b", "2").finish(),
                 {.folder = "in"}));
    EXPECT_EQ(text("in/a"), "1");
    EXPECT_EQ(text("in/d/b"), "2");
    EXPECT_EQ(mode("in") & 07777U, 0700U);
}

TEST_F(Copy, names_that_look_like_whiteouts_are_names) {
    MUST(extract(TarBuilder().file("a", "1").file(".wh.a", "2").finish()));
    EXPECT_EQ(text("a"), "1");
    EXPECT_EQ(text(".wh.a"), "2");
}

TEST_F(Copy, kinds_are_kept_where_that_is_asked_for) {
    MUST(sys::make_dirs(folder_.path() + "/d"));
    const std::string file = TarBuilder().file("d", "1").finish();
    EXPECT_THAT(extract(file, {.keep_kinds = true}).error().message,
                HasSubstr("cannot overwrite directory \"/d\" with non-directory"));
    MUST(extract(file));
    EXPECT_THAT(extract(TarBuilder().folder("d").finish(), {.keep_kinds = true}).error().message,
                HasSubstr("cannot overwrite non-directory \"/d\" with directory"));
}

TEST_F(Copy, renamed_entries_and_their_hard_links) {
    const auto rename = [](const std::string& name) -> Result<std::string> {
        if (!name.starts_with("old")) return fail(Code::InvalidArgument, "what is '{}'", name);
        return "new" + name.substr(3);
    };
    MUST(extract(TarBuilder().file("old/a", "1").hardlink("old/b", "old/a").finish(),
                 {.rename = rename}));
    EXPECT_EQ(text("new/b"), "1");
    EXPECT_FALSE(
        extract(TarBuilder().file("old/a", "1").file("x", "2").finish(), {.rename = rename}));
    EXPECT_FALSE(extract(TarBuilder().file("old/a", "1").hardlink("old/c", "x").finish(),
                         {.rename = rename}));
    EXPECT_EQ(text("x"), "(none)");
}

TEST_F(Copy, what_becomes_ours_has_no_rights_of_another_owner) {
    MUST(extract(TarBuilder().file("program", "x", 06755).finish()));
    EXPECT_EQ(mode("program") & 07777U, 0755U);
}

TEST_F(Copy, nothing_leads_out) {
    MUST(sys::make_dirs(folder_.path() + "/in"));
    EXPECT_FALSE(extract(TarBuilder().file("../x", "1").finish(), {.folder = "in"}));
    EXPECT_FALSE(
        extract(TarBuilder().file("a", "1").hardlink("h", "../x").finish(), {.folder = "in"}));
    // Links are read as in a chroot, whose root is the tree.
    MUST(extract(TarBuilder().symlink("l", "/../../up").file("l/x", "1").finish(),
                 {.folder = "in"}));
    EXPECT_EQ(text("up/x"), "1");
}

TEST_F(Copy, a_tree_is_read_in_order_with_its_links) {
    MUST(extract(TarBuilder()
                     .file("d/b", "1")
                     .file("d/a", "2")
                     .hardlink("d/c", "d/a")
                     .symlink("d/l", "/etc/passwd")
                     .folder("d/e")
                     .finish()));
    EXPECT_THAT(read("d", "as"),
                ElementsAre("as/", "as/a", "as/b", "as/c as/a", "as/e/", "as/l /etc/passwd"));
    EXPECT_THAT(read("d", "."),
                ElementsAre("./", "./a", "./b", "./c ./a", "./e/", "./l /etc/passwd"));
    EXPECT_THAT(read("d", ""), ElementsAre("a", "b", "c a", "e/", "l /etc/passwd"));
    EXPECT_THAT(read("d", "/"), ElementsAre("/", "/a", "/b", "/c /a", "/e/", "/l /etc/passwd"));
    EXPECT_THAT(read("d/l", "l"), ElementsAre("l /etc/passwd"));
}

}  // namespace
}  // namespace coffer::archive
