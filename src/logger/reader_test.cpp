#include <gmock/gmock.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "logger/log_files.hpp"
#include "logger/reader.hpp"
#include "logs/cutter.hpp"
#include "logs/file.hpp"
#include "sys/file.hpp"

namespace coffer::logger {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Output to a file, as the shim writes it.
class Writer {
  public:
    static Result<Writer> open(logs::FileOptions options) {
        return Writer(TRY(logs::FileWriter::open(std::move(options))));
    }
    Result<void> write(logs::Stream stream, std::string_view bytes) {
        Result<void> first;
        cutter_.feed(stream, bytes, [&](const logs::Message& message) {
            auto added = file_.append(message);
            if (first) first = std::move(added);
        });
        return first ? file_.commit() : first;
    }
    Result<void> flush(logs::Stream stream) {
        cutter_.end(stream, [&](const logs::Message& message) { MUST(file_.append(message)); });
        return file_.commit();
    }
    logs::FileWriter& file() { return file_; }

  private:
    explicit Writer(logs::FileWriter file) : file_(std::move(file)) {}
    logs::Cutter cutter_;
    logs::FileWriter file_;
};

class JsonFile : public testing::Test {
  protected:
    JsonFile() : dir_(MUST(sys::TempDir::create())), path_(dir_.path() + "/c-json.log") {}

    Writer writer(std::int64_t max_size = -1, std::int64_t max_files = 3) const {
        return MUST(Writer::open({path_, logs::Format::Json, max_size, max_files}));
    }
    std::string text(const std::string& suffix = {}) const {
        return MUST(sys::read_file(path_ + suffix));
    }
    std::vector<std::string> read(const ReadOptions& options = {}) const {
        std::vector<std::string> out;
        MUST(logger::read({path_}, options, [&](const Record& record) {
            out.emplace_back(record.text);
            return true;
        }));
        return out;
    }
    void put(const std::string& suffix, std::string_view content) const {
        MUST(sys::write_file(path_ + suffix, content));
    }
    static std::string line(std::string_view text, std::string_view second,
                            std::string_view stream = "stdout") {
        return format("{{\"log\":\"{}\\n\",\"stream\":\"{}\",\"time\":\"2026-01-01T00:00:{}Z\"}}\n",
                      text, stream, second);
    }
    static Time at(std::string_view second) {
        return *parse_rfc3339(format("2026-01-01T00:00:{}Z", second));
    }

    sys::TempDir dir_;
    std::string path_;
};

TEST_F(JsonFile, a_record_is_docker_s_line) {
    Writer log = writer();
    ASSERT_TRUE(log.write(logs::Stream::Stderr, "a \"b\" \\ \t\x01<&>\r\n"));
    EXPECT_THAT(text(), StartsWith("{\"log\":\"a \\\"b\\\" \\\\ \\t\\u0001\\u003c\\u0026\\u003e\\r"
                                   "\\n\",\"stream\":\"stderr\",\"time\":\"20"));
    EXPECT_EQ(text().substr(text().size() - 4), "Z\"}\n");
    EXPECT_THAT(read(), ElementsAre("a \"b\" \\ \t\x01<&>\r\n"));
}

TEST_F(JsonFile, a_line_in_pieces_is_one_record_and_streams_do_not_mix) {
    Writer log = writer();
    ASSERT_TRUE(log.write(logs::Stream::Stdout, "one "));
    ASSERT_TRUE(log.write(logs::Stream::Stderr, "err\n"));
    ASSERT_TRUE(log.write(logs::Stream::Stdout, "line\nnext\nrest"));
    EXPECT_THAT(read(), ElementsAre("err\n", "one line\n", "next\n"));
    ASSERT_TRUE(log.flush(logs::Stream::Stdout));
    ASSERT_TRUE(log.flush(logs::Stream::Stderr));
    EXPECT_EQ(read().back(), "rest") << "no newline came";
    EXPECT_EQ(read({.want_stdout = false}).size(), 1U);
}

TEST_F(JsonFile, invalid_text_is_replaced) {
    Writer log = writer();
    for (const char* bad : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
        ASSERT_TRUE(log.write(logs::Stream::Stdout, std::string(bad) + "\n"));
        EXPECT_THAT(read().back(), StartsWith("\xEF\xBF\xBD")) << bad;
        EXPECT_TRUE(is_utf8(text()));
    }
    ASSERT_TRUE(log.write(logs::Stream::Stdout, "\xE2\x82\xAC \xF0\x9F\x98\x80 \xE2\x80\xA8\n"));
    EXPECT_EQ(read().back(), "\xE2\x82\xAC \xF0\x9F\x98\x80 \xE2\x80\xA8\n");
    EXPECT_THAT(text(), HasSubstr("\\u2028"));
}

TEST_F(JsonFile, a_long_line_is_cut_at_16_kib_but_not_within_a_character) {
    Writer log = writer();
    const std::string first(16 * 1024 - 1, 'x');
    ASSERT_TRUE(
        log.write(logs::Stream::Stdout, first + "\xE2\x82\xAC" + std::string(100, 'y') + "\n"));
    const auto records = read();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0], first) << "a part has no newline";
    EXPECT_EQ(records[1], "\xE2\x82\xAC" + std::string(100, 'y') + "\n");
}

TEST_F(JsonFile, an_endless_line_needs_bounded_memory_and_is_read_back_whole) {
    Writer log = writer();
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(log.write(logs::Stream::Stdout, std::string(10000, 'z')));
    ASSERT_TRUE(log.flush(logs::Stream::Stdout));
    EXPECT_EQ(join(read(), "").size(), 1000000U);
}

TEST_F(JsonFile, files_rotate_and_the_oldest_goes) {
    Writer log = writer(200, 3);
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(log.write(logs::Stream::Stdout, format("{:060}\n", i)));
    }
    EXPECT_TRUE(sys::exists(path_ + ".2"));
    EXPECT_FALSE(sys::exists(path_ + ".3"));
    const auto records = read();
    ASSERT_EQ(records.size(), 6U);
    EXPECT_EQ(records.front(), format("{:060}\n", 14));
    EXPECT_EQ(records.back(), format("{:060}\n", 19));
}

TEST_F(JsonFile, one_file_alone_starts_over) {
    Writer log = writer(200, 1);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log.write(logs::Stream::Stdout, format("{:090}\n", i)));
    EXPECT_FALSE(sys::exists(path_ + ".1"));
    EXPECT_THAT(read(), ElementsAre(format("{:090}\n", 4)));
}

TEST_F(JsonFile, a_torn_record_costs_only_itself) {
    put("", line("good", "01") + "{\"log\":\"torn");
    Writer log = writer();
    ASSERT_TRUE(log.write(logs::Stream::Stdout, "after\n"));
    EXPECT_THAT(read(), ElementsAre("good\n", "after\n"));
}

TEST_F(JsonFile, a_full_disk_is_an_error_and_the_writer_goes_on) {
    Writer log = MUST(Writer::open({"/dev/full", logs::Format::Json, -1, 1}));
    const auto written = log.write(logs::Stream::Stdout, "x\n");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().sys_errno, ENOSPC);
    EXPECT_FALSE(log.write(logs::Stream::Stdout, "y\n")) << "nothing is kept for later";
}

TEST_F(JsonFile, a_missing_log_has_no_records_and_foreign_lines_are_skipped) {
    EXPECT_TRUE(read().empty());
    put("",
        "garbage\n[1]\n{\"log\":5}\n{}\n" + std::string(3 << 20, 'q') + "\n" + line("ok", "01"));
    EXPECT_THAT(read(), ElementsAre("ok\n"));
}

TEST_F(JsonFile, tail_counts_back_over_rotated_files) {
    put(".2", line("1", "01") + line("2", "02"));
    put(".1", line("3", "03"));
    put("", line("4", "04", "stderr") + line("5", "05"));
    EXPECT_THAT(read({.tail = 0}), ElementsAre());
    EXPECT_THAT(read({.tail = 1}), ElementsAre("5\n"));
    EXPECT_THAT(read({.tail = 4}), ElementsAre("2\n", "3\n", "4\n", "5\n"));
    EXPECT_EQ(read({.tail = 99}).size(), 5U);
    EXPECT_THAT(read({.want_stderr = false, .tail = 2}), ElementsAre("5\n"));
}

TEST_F(JsonFile, tail_finds_lines_longer_than_its_blocks) {
    const std::string wide(100000, 'w');
    put("", line("a", "01") + line(wide, "02") + line("b", "03"));
    EXPECT_THAT(read({.tail = 2}), ElementsAre(wide + "\n", "b\n"));
}

TEST_F(JsonFile, since_and_until_bound_the_records) {
    put("", line("1", "01") + line("2", "02") + line("3", "03"));
    EXPECT_THAT(read({.since = at("02"), .until = at("02.5")}), ElementsAre("2\n"));
    EXPECT_THAT(read({.until = at("01"), .follow = true}), ElementsAre("1\n"))
        << "a follower whose time is over ends";
}

TEST_F(JsonFile, a_follower_sees_every_record_once_across_rotation) {
    constexpr int kLines = 20000;
    const sys::Fd stopped(::eventfd(0, EFD_CLOEXEC));
    std::thread producer([&] {
        Writer log = writer(20000, 900);
        for (int i = 0; i < kLines; ++i) {
            MUST(log.write(logs::Stream::Stdout, format("{}\n", i)));
        }
        const std::uint64_t one = 1;
        MUST(sys::write_all(stopped.get(), {reinterpret_cast<const char*>(&one), sizeof one}));
    });
    int expected = 0;
    int wrong = 0;
    EXPECT_TRUE(logger::read({path_}, {.follow = true, .stopped_fd = stopped.get()},
                             [&](const Record& record) {
                                 if (record.text != format("{}\n", expected)) ++wrong;
                                 ++expected;
                                 return true;
                             }));
    producer.join();
    EXPECT_EQ(expected, kLines);
    EXPECT_EQ(wrong, 0);
}

TEST_F(JsonFile, a_follower_gives_up_when_told) {
    put("", line("1", "01"));
    const sys::Fd cancel(::eventfd(1, EFD_CLOEXEC));
    EXPECT_THAT(read({.follow = true, .cancel_fd = cancel.get()}), ElementsAre("1\n"));
}

// The same log in both formats, with all but the newest file compressed.
class Compressed : public testing::TestWithParam<logs::Format> {
  protected:
    Compressed() : dir_(MUST(sys::TempDir::create())), path_(dir_.path() + "/log") {}

    std::vector<std::string> read(const ReadOptions& options = {}) const {
        std::vector<std::string> out;
        MUST(logger::read({path_, GetParam()}, options, [&](const Record& record) {
            out.emplace_back(trim(record.text));
            return true;
        }));
        return out;
    }
    static std::vector<std::string> numbers(int from, int to) {
        std::vector<std::string> out;
        for (int i = from; i < to; ++i) out.push_back(std::to_string(i));
        return out;
    }
    Writer writer(std::int64_t max_size = -1) const {
        return MUST(Writer::open({path_, GetParam(), max_size, 900}));
    }
    sys::TempDir dir_;
    std::string path_;
};
INSTANTIATE_TEST_SUITE_P(Formats, Compressed,
                         testing::Values(logs::Format::Json, logs::Format::Local));

TEST_P(Compressed, files_are_read_and_counted) {
    for (int file = 0; file < 3; ++file) {
        if (file > 0) {
            if (file > 1) {
                ASSERT_EQ(std::rename((path_ + ".1.gz").c_str(), (path_ + ".2.gz").c_str()), 0);
            }
            ASSERT_EQ(std::rename(path_.c_str(), (path_ + ".1").c_str()), 0);
            MUST(compress_file(path_ + ".1"));
        }
        Writer log = writer();
        for (int i = 0; i < 1000; ++i) {
            MUST(log.write(logs::Stream::Stdout, format("{}\n", file * 1000 + i)));
        }
    }
    ASSERT_TRUE(sys::exists(path_ + ".2.gz"));
    EXPECT_EQ(read(), numbers(0, 3000));
    for (const int tail : {0, 1, 999, 1000, 1001, 2500, 5000}) {
        EXPECT_EQ(read({.tail = static_cast<std::size_t>(tail)}),
                  numbers(std::max(0, 3000 - tail), 3000))
            << tail;
    }
}

TEST_P(Compressed, a_follower_keeps_its_place_while_its_file_is_compressed) {
    const sys::Fd stopped(::eventfd(0, EFD_CLOEXEC));
    Writer log = writer();
    MUST(log.write(logs::Stream::Stdout, "0\n"));
    std::vector<std::string> got;
    const auto done = logger::read(
        {path_, GetParam()}, {.follow = true, .stopped_fd = stopped.get()},
        [&](const Record& record) {
            got.emplace_back(trim(record.text));
            const int last = std::stoi(got.back());
            // Whole rotations happen between two records of one reader.
            if (last % 2 == 0 && last < 40) {
                MUST(log.write(logs::Stream::Stdout, format("{}\n", last + 1)));
                for (int i = 20; i > 1; --i) {
                    static_cast<void>(std::rename(format("{}.{}.gz", path_, i - 1).c_str(),
                                                  format("{}.{}.gz", path_, i).c_str()));
                }
                static_cast<void>(std::rename(path_.c_str(), (path_ + ".1").c_str()));
                MUST(compress_file(path_ + ".1"));
                log = writer();
                MUST(log.write(logs::Stream::Stdout, format("{}\n", last + 2)));
            }
            if (last == 40) {
                const std::uint64_t one = 1;
                MUST(sys::write_all(stopped.get(),
                                    {reinterpret_cast<const char*>(&one), sizeof one}));
            }
            return true;
        });
    ASSERT_TRUE(done);
    EXPECT_EQ(got, numbers(0, 41));
}

TEST_P(Compressed, a_damaged_file_ends_and_the_others_are_read) {
    { MUST(writer().write(logs::Stream::Stdout, "1\n")); }
    const std::string good = MUST(sys::read_file(path_));
    MUST(sys::write_file(path_ + ".1", good + std::string(2000, '\xff')));
    EXPECT_EQ(read(), (std::vector<std::string>{"1", "1"}));
    EXPECT_THAT(read({.tail = 1}), ElementsAre("1"));
}

}  // namespace
}  // namespace coffer::logger
