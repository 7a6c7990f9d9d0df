#include "archive/tar.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/pax.hpp"
#include "archive/testing.hpp"

namespace coffer::archive {
namespace {

using ::testing::HasSubstr;
using testing::TarBuilder;

// A header block with its checksum, for what the writer never makes.
struct RawHeader {
    std::string name = "f";
    char type = '0';
    std::string size = "00000000000";
    std::string magic = std::string("ustar\00000", 8);
    std::vector<std::pair<std::size_t, std::string>> fields;

    std::string bytes() const {
        std::string block(512, '\0');
        block.replace(0, name.size(), name);
        block.replace(100, 7, "0000644");
        block.replace(124, size.size(), size);
        block[156] = type;
        block.replace(257, 8, magic);
        for (const auto& [offset, text] : fields) block.replace(offset, text.size(), text);
        block.replace(148, 8, 8, ' ');
        unsigned sum = 0;
        for (const char c : block) sum += static_cast<unsigned char>(c);
        block.replace(148, 7, format("{:06o}", sum) + '\0');
        return block;
    }
};

std::string padded(std::string text) {
    text.resize((text.size() + 511) / 512 * 512);
    return text;
}

std::string octal(std::uint64_t number) {
    return format("{:011o}", number);
}

std::string with_pax(const std::string& records, const std::string& rest) {
    return RawHeader{.name = "x", .type = 'x', .size = octal(records.size())}.bytes() +
           padded(records) + rest;
}

const std::string kEnd(1024, '\0');

struct ReadBack {
    TarEntry entry;
    std::string content;  // holes as zeros
};

Result<std::vector<ReadBack>> read(const std::string& tar, TarLimits limits = {}) {
    MemorySource source(tar, 333);
    TarReader reader(source, limits);
    std::vector<ReadBack> out;
    for (;;) {
        auto entry = TRY(reader.next());
        if (!entry) return out;
        std::string content(entry->size, '\0');
        for (;;) {
            const auto piece = TRY(reader.read());
            if (piece.bytes.empty()) break;
            content.replace(piece.offset, piece.bytes.size(), piece.bytes);
        }
        out.push_back({std::move(*entry), std::move(content)});
    }
}

std::string error_of(const std::string& tar, TarLimits limits = {}) {
    const auto result = read(tar, limits);
    return result ? "no error" : result.error().message;
}

TEST(Tar, reads_what_it_writes) {
    TarEntry entry = TarBuilder::entry(EntryType::Regular, std::string(300, 'n'), 04755);
    entry.uid = 4'000'000'000;
    entry.gid = 3'000'000;
    entry.mtime = Time(std::chrono::nanoseconds(1'600'000'000'123'456'789));
    entry.xattrs = {{"user.a", std::string("\0=\n", 3)}, {"user.b", "x"}};
    TarEntry link = TarBuilder::entry(EntryType::Symlink, "l\xc3\xa4nk", 0777);
    link.link_target = std::string(200, 't');
    link.mtime = Time(std::chrono::nanoseconds(-1'500'000'000));
    const auto back = MUST(read(TarBuilder().add(entry, "content").add(link).finish()));
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[0].entry.name, entry.name);
    EXPECT_EQ(back[0].entry.mode, 04755U);
    EXPECT_EQ(back[0].entry.uid, entry.uid);
    EXPECT_EQ(back[0].entry.gid, entry.gid);
    EXPECT_EQ(back[0].entry.mtime, entry.mtime);
    EXPECT_EQ(back[0].entry.xattrs, entry.xattrs);
    EXPECT_EQ(back[0].content, "content");
    EXPECT_EQ(back[1].entry.name, link.name);
    EXPECT_EQ(back[1].entry.link_target, link.link_target);
    EXPECT_EQ(back[1].entry.mtime, link.mtime);
}

TEST(Tar, reads_gnu_names_and_binary_numbers) {
    const std::string name(200, 'a');
    const std::string gnu("ustar  \0", 8);
    RawHeader file{.magic = gnu};
    file.size = std::string("\x80\0\0\0\0\0\0\0\0\0\0\5", 12);
    file.fields = {{108, std::string("\x80\0\0\0\x7f\xff\xff\xff", 8)},
                   {136, std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12)}};
    const auto back = MUST(read(
        RawHeader{.name = "././@LongLink", .type = 'L', .size = octal(201), .magic = gnu}.bytes() +
        padded(name + '\0') + file.bytes() + padded("12345") + kEnd));
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].entry.name, name);
    EXPECT_EQ(back[0].content, "12345");
    EXPECT_EQ(back[0].entry.uid, 0x7fffffffU);
    EXPECT_EQ(unix_seconds(back[0].entry.mtime), -2);
}

TEST(Tar, joins_the_prefix) {
    const auto back = MUST(read(RawHeader{.fields = {{345, "a/b"}}}.bytes() + kEnd));
    EXPECT_EQ(back[0].entry.name, "a/b/f");
}

TEST(Tar, reads_old_gnu_sparse_files) {
    const std::string gnu("ustar  \0", 8);
    const auto extent = [](std::uint64_t offset, std::uint64_t length) {
        return octal(offset) + '\0' + octal(length) + '\0';
    };
    RawHeader file{.type = 'S', .size = octal(15), .magic = gnu};
    file.fields = {{386, extent(1000, 3) + extent(2000, 3) + extent(3000, 3) + extent(4000, 3)},
                   {482, "\1"},
                   {483, octal(6000)}};
    const std::string more = padded(extent(5000, 3) + extent(6000, 0));
    const auto back = MUST(read(file.bytes() + more + padded("aaabbbcccdddeee") + kEnd));
    ASSERT_EQ(back.size(), 1U);
    EXPECT_EQ(back[0].entry.size, 6000U);
    EXPECT_EQ(back[0].content.substr(999, 5), std::string("\0aaa\0", 5));
    EXPECT_EQ(back[0].content.substr(4999, 5), std::string("\0eee\0", 5));
    EXPECT_EQ(back[0].entry.sparse->size(), 6U);
}

TEST(Tar, reads_pax_sparse_files_of_all_versions) {
    const std::string old =
        pax_record("GNU.sparse.size", "100") + pax_record("GNU.sparse.offset", "10") +
        pax_record("GNU.sparse.numbytes", "3") + pax_record("GNU.sparse.offset", "50") +
        pax_record("GNU.sparse.numbytes", "2");
    const std::string map = pax_record("GNU.sparse.size", "100") +
                            pax_record("GNU.sparse.name", "real") +
                            pax_record("GNU.sparse.map", "10,3,50,2");
    const std::string one =
        pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
        pax_record("GNU.sparse.name", "real") + pax_record("GNU.sparse.realsize", "100");
    const std::string plain = RawHeader{.size = octal(5)}.bytes() + padded("aaabb") + kEnd;
    const std::string with_map = RawHeader{.size = octal(517)}.bytes() +
                                 padded("2\n10\n3\n50\n2\n") + padded("aaabb") + kEnd;
    for (const std::string& tar :
         {with_pax(old, plain), with_pax(map, plain), with_pax(one, with_map)}) {
        const auto back = MUST(read(tar));
        ASSERT_EQ(back.size(), 1U);
        EXPECT_EQ(back[0].content.size(), 100U);
        EXPECT_EQ(back[0].content.substr(9, 5), std::string("\0aaa\0", 5));
        EXPECT_EQ(back[0].content.substr(49, 4), std::string("\0bb\0", 4));
    }
    EXPECT_EQ(MUST(read(with_pax(one, with_map)))[0].entry.name, "real");
}

TEST(Tar, refuses_sparse_maps_that_lie) {
    const std::string plain = RawHeader{.size = octal(5)}.bytes() + padded("aaabb") + kEnd;
    const auto map = [&](const std::string& text, const std::string& size = "100") {
        return error_of(with_pax(
            pax_record("GNU.sparse.size", size) + pax_record("GNU.sparse.map", text), plain));
    };
    EXPECT_EQ(map("10,3,50,2"), "no error");
    EXPECT_THAT(map("10,3,50,3"), HasSubstr("stored size"));
    EXPECT_THAT(map("10,3,12,2"), HasSubstr("out of order"));
    EXPECT_THAT(map("50,3,10,2"), HasSubstr("out of order"));
    EXPECT_THAT(map("10,5", "12"), HasSubstr("out of range"));
    EXPECT_THAT(map("18446744073709551615,5"), HasSubstr("out of range"));
    EXPECT_THAT(map("10,5,20"), HasSubstr("odd"));
    EXPECT_NE(map("10,-5"), "no error");
}

TEST(Tar, the_last_of_two_records_wins) {
    const auto back = MUST(read(
        with_pax(pax_record("path", "a") + pax_record("path", "b"), RawHeader{}.bytes() + kEnd)));
    EXPECT_EQ(back[0].entry.name, "b");
    EXPECT_EQ(MUST(read(with_pax(pax_record("path", "a") + pax_record("path", ""),
                                 RawHeader{}.bytes() + kEnd)))[0]
                  .entry.name,
              "f");
}

TEST(Tar, a_global_header_changes_nothing) {
    const std::string records = pax_record("path", "evil") + pax_record("comment", "git");
    const auto back =
        MUST(read(RawHeader{.name = "g", .type = 'g', .size = octal(records.size())}.bytes() +
                  padded(records) + RawHeader{}.bytes() + kEnd));
    EXPECT_EQ(back[0].entry.name, "f");
}

TEST(Tar, refuses_broken_records) {
    const auto records = [](const std::string& text) {
        return error_of(with_pax(text, RawHeader{}.bytes() + kEnd));
    };
    EXPECT_NE(records("9 path=a"), "no error");
    EXPECT_NE(records("999 path=a\n"), "no error");
    EXPECT_NE(records("-9 path=a\n"), "no error");
    EXPECT_NE(records("10 patha\n"), "no error");
    EXPECT_NE(records(pax_record("path", std::string("a\0b", 3))), "no error");
    EXPECT_NE(records(pax_record("uid", "4294967296")), "no error");
    EXPECT_NE(records(pax_record("size", "-1")), "no error");
    EXPECT_NE(records(pax_record("mtime", "now")), "no error");
    EXPECT_EQ(records(pax_record("mtime", "99999999999999")), "no error");
}

TEST(Tar, refuses_what_exceeds_its_budget) {
    EXPECT_THAT(error_of(RawHeader{.type = 'x', .size = "10000000000"}.bytes()),  // 1 GiB
                HasSubstr("exceeds the limit"));
    EXPECT_THAT(error_of(RawHeader{.type = 'L', .size = octal(100'000)}.bytes()),
                HasSubstr("exceeds the limit"));
    EXPECT_THAT(
        error_of(with_pax(pax_record("path", std::string(5000, 'a')), RawHeader{}.bytes() + kEnd)),
        HasSubstr("name longer than"));
    EXPECT_THAT(
        error_of(TarBuilder().file("a", std::string(5000, 'x')).finish(), {.stream_bytes = 4000}),
        HasSubstr("larger than 4000 bytes"));
    std::string endless;
    for (int i = 0; i < 100; ++i) endless += with_pax(pax_record("path", "a"), "");
    EXPECT_THAT(error_of(endless, {.entries = 50}), HasSubstr("more than 50 entries"));
}

TEST(Tar, refuses_broken_archives) {
    std::string wrong_sum = RawHeader{}.bytes();
    wrong_sum[0] = 'g';
    EXPECT_THAT(error_of(wrong_sum + kEnd), HasSubstr("checksum"));
    EXPECT_THAT(error_of("short"), HasSubstr("unexpected end"));
    EXPECT_THAT(error_of(RawHeader{.size = octal(600)}.bytes() + padded("x")),
                HasSubstr("unexpected end"));
    EXPECT_THAT(error_of(RawHeader{.size = "9"}.bytes()), HasSubstr("octal"));
    EXPECT_THAT(error_of(RawHeader{.size = std::string(12, '\xff')}.bytes()),
                HasSubstr("out of range"));
    EXPECT_THAT(error_of(RawHeader{.size = std::string("\xbf") + std::string(11, '\xff')}.bytes()),
                HasSubstr("out of range"));
    EXPECT_THAT(error_of(RawHeader{.type = 'V'}.bytes()), HasSubstr("unknown entry type"));
    EXPECT_THAT(error_of(RawHeader{.name = ""}.bytes()), HasSubstr("without a name"));
    EXPECT_THAT(error_of(RawHeader{.type = '2'}.bytes()), HasSubstr("without a target"));
    EXPECT_THAT(error_of(std::string(512, '\0') + RawHeader{}.bytes()),
                HasSubstr("after the end marker"));
    EXPECT_THAT(error_of(with_pax(pax_record("path", "a"), kEnd)), HasSubstr("without an entry"));
}

TEST(Tar, ends_without_an_end_marker) {
    EXPECT_EQ(MUST(read(RawHeader{}.bytes())).size(), 1U);
    EXPECT_EQ(MUST(read("")).size(), 0U);
}

TEST(Tar, only_files_have_content) {
    const auto back = MUST(read(RawHeader{.type = '5', .size = octal(5)}.bytes() +
                                RawHeader{.name = "after"}.bytes() + kEnd));
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[1].entry.name, "after");
}

TEST(Tar, writes_no_more_and_no_less_than_announced) {
    TarWriter writer([](std::string_view) -> Result<void> { return {}; });
    TarEntry entry = TarBuilder::entry(EntryType::Regular, "f", 0644);
    entry.size = 2;
    MUST(writer.add(entry));
    EXPECT_FALSE(writer.write("abc"));
    MUST(writer.write("a"));
    EXPECT_FALSE(writer.finish());
}

}  // namespace
}  // namespace coffer::archive
