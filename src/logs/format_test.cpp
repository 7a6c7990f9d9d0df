#include "logs/format.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "logs/cutter.hpp"
#include "logs/file.hpp"
#include "logs/options.hpp"
#include "sys/file.hpp"

namespace coffer::logs {
namespace {

using testing::ElementsAre;

Time at(std::int64_t nanos) {
    return Time(std::chrono::nanoseconds(nanos));
}

TEST(LocalFormat, what_is_written_is_read) {
    const Message messages[] = {
        {Stream::Stdout, at(1), "", std::nullopt},
        {Stream::Stderr, at(-5), "text", std::nullopt},
        {Stream::Stdout, at(1'700'000'000'123'456'789), "a\nb", Part{~0ULL, 7, false}},
        {Stream::Stderr, at(2), std::string_view("\0x", 2), Part{1, 1, true}}};
    std::string bytes;
    for (const Message& message : messages) append_local(bytes, message);
    std::string_view rest = bytes;
    for (const Message& message : messages) {
        const std::size_t length = *measure(Format::Local, rest);
        const auto read = decode_local(rest.substr(0, length));
        ASSERT_TRUE(read);
        EXPECT_EQ(read->stream, message.stream);
        EXPECT_EQ(read->time, message.time);
        EXPECT_EQ(read->text, message.text);
        EXPECT_EQ(read->part, message.part);
        rest.remove_prefix(length);
    }
    EXPECT_TRUE(rest.empty());
}

TEST(LocalFormat, a_record_without_its_end_is_waited_for_and_a_damaged_one_is_none) {
    std::string bytes;
    append_local(bytes, {Stream::Stdout, at(1), "text", std::nullopt});
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(measure(Format::Local, bytes.substr(0, size)), 0U) << size;
    }
    std::string other_end = bytes;
    other_end.back() = 1;
    EXPECT_FALSE(measure(Format::Local, other_end));
    std::string huge = bytes;
    huge[3] = 1;
    EXPECT_FALSE(measure(Format::Local, huge));
    std::string unknown_flag = bytes;
    unknown_flag[4] = 8;
    EXPECT_FALSE(decode_local(unknown_flag));
    std::string part_without_head = bytes;
    part_without_head[4] = 2;
    EXPECT_FALSE(decode_local(part_without_head));
}

std::vector<std::string> cut(std::vector<std::string> pieces) {
    Cutter cutter;
    std::vector<std::string> out;
    const auto note = [&](const Message& message) {
        out.push_back(format(
            "{}{}", message.text.size() > 20 ? "long" : message.text,
            message.part ? format(" {}{}", message.part->ordinal, message.part->last ? " last" : "")
                         : ""));
    };
    for (const std::string& piece : pieces) cutter.feed(Stream::Stdout, piece, note);
    cutter.end(Stream::Stdout, note);
    return out;
}

TEST(Cutter, lines_and_parts) {
    const std::string wide(16 * 1024, 'x');
    EXPECT_THAT(cut({"a\n\nb", "c\nd"}), ElementsAre("a", "", "bc", "d 1"));
    EXPECT_THAT(cut({wide + "rest\nnext\n"}), ElementsAre("long 1", "rest 2 last", "next"));
    EXPECT_THAT(cut({wide + "\nnext\n"}), ElementsAre("long 1", " 2 last", "next"));
    EXPECT_THAT(cut({wide + wide}), ElementsAre("long 1", "long 2"));
    EXPECT_THAT(cut({wide.substr(1) + "\n"}), ElementsAre("long"));
}

class LogFileTest : public testing::Test {
  protected:
    LogFileTest() : dir_(MUST(sys::TempDir::create())), path_(dir_.path() + "/log") {}
    FileWriter writer(Format format, std::int64_t max_files = 3) const {
        return MUST(FileWriter::open({.path = path_, .format = format, .max_files = max_files}));
    }
    std::vector<std::string> local_texts() const {
        const std::string bytes = MUST(sys::read_file(path_));
        std::vector<std::string> out;
        std::string_view rest = bytes;
        while (const auto length = measure(Format::Local, rest)) {
            if (*length == 0) break;
            out.emplace_back(decode_local(rest.substr(0, *length))->text);
            rest.remove_prefix(*length);
        }
        EXPECT_TRUE(rest.empty()) << "torn";
        return out;
    }
    sys::TempDir dir_;
    std::string path_;
};

TEST_F(LogFileTest, what_a_killed_writer_left_half_done_is_cut_off) {
    for (const std::size_t left : {0U, 3U, 10U, 20U}) {
        {
            FileWriter log = writer(Format::Local);
            ASSERT_TRUE(log.append({Stream::Stdout, at(1), "whole", std::nullopt}));
            ASSERT_TRUE(log.commit());
        }
        std::string bytes = MUST(sys::read_file(path_));
        std::string torn;
        append_local(torn, {Stream::Stdout, at(2), "torn", std::nullopt});
        ASSERT_TRUE(sys::write_file(path_, bytes + torn.substr(0, left)));
        FileWriter log = writer(Format::Local);
        ASSERT_TRUE(log.append({Stream::Stdout, at(3), "after", std::nullopt}));
        ASSERT_TRUE(log.commit());
        EXPECT_THAT(local_texts(), ElementsAre("whole", "after")) << left;
        ASSERT_EQ(::unlink(path_.c_str()), 0);
    }
}

TEST_F(LogFileTest, a_full_disk_tears_no_record) {
    ::signal(SIGXFSZ, SIG_IGN);
    for (const Format form : {Format::Local, Format::Json}) {
        FileWriter log = writer(form);
        rlimit before{};
        ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
        const rlimit full{100, before.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
        int failed = 0;
        for (int i = 0; i < 10; ++i) {
            const std::string text = std::to_string(i);
            ASSERT_TRUE(log.append({Stream::Stdout, at(i), text, std::nullopt}));
            if (!log.commit()) ++failed;
        }
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
        EXPECT_GT(failed, 3);
        ASSERT_TRUE(log.append({Stream::Stdout, at(99), "again", std::nullopt}));
        ASSERT_TRUE(log.commit());
        if (form == Format::Local) {
            const auto texts = local_texts();
            EXPECT_GE(texts.size(), 3U);
            EXPECT_EQ(texts.back(), "again");
        } else {
            const std::string text = MUST(sys::read_file(path_));
            for (const std::string& line : split(trim(text), '\n')) {
                EXPECT_TRUE(line.starts_with("{\"log\":\"") && line.ends_with("Z\"}")) << line;
            }
        }
        ASSERT_EQ(::unlink(path_.c_str()), 0);
    }
}

TEST_F(LogFileTest, a_lower_limit_of_files_counts_from_the_next_rotation_on) {
    FileWriter log = writer(Format::Json, 6);
    log.set_limits(10, 6);
    const auto write = [&] {
        ASSERT_TRUE(log.append({Stream::Stdout, at(1), "x", std::nullopt}));
        ASSERT_TRUE(log.commit());
    };
    for (int i = 0; i < 8; ++i) write();
    EXPECT_TRUE(sys::exists(path_ + ".5"));
    log.set_limits(10, 2);
    write();
    EXPECT_TRUE(sys::exists(path_ + ".1"));
    for (const char* name : {".2", ".3", ".4", ".5"}) EXPECT_FALSE(sys::exists(path_ + name));
}

TEST(GzipMark, is_an_empty_member_that_names_a_file) {
    const std::string mark = gzip_mark({3, ~0ULL, 7});
    EXPECT_EQ(mark.size(), kGzipMark);
    EXPECT_EQ(read_gzip_mark(mark), (Identity{3, ~0ULL, 7}));
    EXPECT_FALSE(read_gzip_mark(mark.substr(1)));
    EXPECT_FALSE(read_gzip_mark(std::string(60, 'x')));
}

Subject somebody() {
    Subject subject;
    subject.origin.container_id = "0123456789abcdef";
    subject.origin.container_name = "web";
    subject.origin.image_id = "sha256:fedcba98765432100";
    subject.origin.image_name = "nginx";
    subject.labels = {{"a", "1"}, {"ab", "2"}, {"b", "3"}};
    subject.env = {"E=v", "F=w=x", "none"};
    return subject;
}

TEST(Options, tags) {
    const auto expand = [](std::string_view text) {
        auto tag = expand_tag(text, somebody());
        return tag ? *tag : tag.error().message;
    };
    EXPECT_EQ(expand("{{.Name}}/{{.ID}}"), "web/0123456789ab");
    EXPECT_EQ(expand("x-{{ .ImageName }} {{.ImageID}}"), "x-nginx fedcba987654");
    EXPECT_EQ(expand("a {{- .Name -}} b"), "awebb");
    EXPECT_EQ(expand("{{index .ContainerLabels \"ab\"}}"), "2");
    EXPECT_EQ(expand("{{.FullID}}{{.DaemonName}}"), "0123456789abcdefcoffer");
    EXPECT_EQ(expand(""), "");
    EXPECT_EQ(expand("{{.Nope}}"),
              "template: log-tag:1: executing \"log-tag\" at <.Nope>: can't evaluate field Nope in "
              "type *logger.Info");
    EXPECT_EQ(expand("{{"), "template: log-tag:1: unclosed action");
}

TEST(Options, attributes) {
    const auto find = [](const Options& options) {
        std::vector<std::string> out;
        for (const auto& [key, value] : MUST(find_attributes(options, somebody()))) {
            out.push_back(key + "=" + value);
        }
        return out;
    };
    EXPECT_THAT(find({}), ElementsAre());
    EXPECT_THAT(find({{"labels", "b,zz"}, {"env", "F"}}), ElementsAre("F=w=x", "b=3"));
    EXPECT_THAT(find({{"labels-regex", "^a"}, {"env-regex", "^(E|X)$"}}),
                ElementsAre("E=v", "a=1", "ab=2"));
    EXPECT_FALSE(find_attributes({{"labels-regex", "("}}, somebody()));
}

TEST(Options, limits_and_where_a_log_lies) {
    const auto limits = [](const char* driver, const Options& options) {
        const FileLimits found = MUST(file_limits(driver, options));
        return format("{} {} {}", found.max_size, found.max_files, found.compress);
    };
    EXPECT_EQ(limits("json-file", {}), "10485760 3 false");
    EXPECT_EQ(limits("json-file", {{"max-size", "-1"}, {"max-file", "1"}}), "-1 1 false");
    EXPECT_EQ(limits("local", {}), "20971520 5 true");
    EXPECT_EQ(limits("local", {{"max-file", "1"}}), "20971520 1 false");
    EXPECT_EQ(limits("syslog", {{"max-size", "1m"}, {"cache-max-size", "2m"}}), "2097152 5 true");
    EXPECT_EQ(find_place("json-file", {}, "/c", "id")->path, "/c/id-json.log");
    EXPECT_EQ(find_place("local", {}, "/c", "id")->path, "/c/local-logs/container.log");
    EXPECT_EQ(find_place("gelf", {}, "/c", "id")->path, "/c/container-cached.log");
    EXPECT_FALSE(find_place("gelf", {{"cache-disabled", "true"}}, "/c", "id"));
    EXPECT_FALSE(find_place("none", {}, "/c", "id"));
}

TEST(Options, addresses) {
    const auto parse = [](std::string_view text) {
        const auto address = parse_host_port(Address::Kind::Tcp, text, "514");
        return address ? address->host + " " + address->port : address.error().message;
    };
    EXPECT_EQ(parse("host"), "host 514");
    EXPECT_EQ(parse("host:1"), "host 1");
    EXPECT_EQ(parse("[::1]:9"), "::1 9");
    EXPECT_EQ(parse(":9"), "localhost 9");
    EXPECT_EQ(parse("a:b:c"), "address a:b:c: too many colons in address");
    EXPECT_EQ(parse("a:70000"), "address a:70000: invalid port");
}

}  // namespace
}  // namespace coffer::logs
