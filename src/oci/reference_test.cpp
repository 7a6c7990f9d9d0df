#include "oci/reference.hpp"

#include <gtest/gtest.h>

namespace coffer::oci {

namespace {

const std::string kSha = "sha256:" + std::string(64, 'a');

TEST(Reference, NormalisesNames) {
    struct Row {
        std::string given, canonical, familiar;
    };
    const std::string digest = "@" + kSha;
    for (const Row& row : std::vector<Row>{
             {"busybox", "docker.io/library/busybox:latest", "busybox:latest"},
             {"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"},
             {"library/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
             {"library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
             {"me/app", "docker.io/me/app:latest", "me/app:latest"},
             {"docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
             {"index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"},
             {"localhost/a", "localhost/a:latest", "localhost/a:latest"},
             {"localhost:5000/a:t", "localhost:5000/a:t", "localhost:5000/a:t"},
             {"quay.io/a/b/c", "quay.io/a/b/c:latest", "quay.io/a/b/c:latest"},
             {"reg:5000/a", "reg:5000/a:latest", "reg:5000/a:latest"},
             {"UPPER/foo", "UPPER/foo:latest", "UPPER/foo:latest"},
             {"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"},
             {"[FE80::1]/x", "[FE80::1]/x:latest", "[FE80::1]/x:latest"},
             {"a__b", "docker.io/library/a__b:latest", "a__b:latest"},
             {"a---b.c_d", "docker.io/library/a---b.c_d:latest", "a---b.c_d:latest"},
             {"a:T_.-9", "docker.io/library/a:T_.-9", "a:T_.-9"},
             {"a" + digest, "docker.io/library/a" + digest, "a" + digest},
             {"a:t" + digest, "docker.io/library/a:t" + digest, "a:t" + digest},
         }) {
        const auto reference = parse_reference(row.given);
        ASSERT_TRUE(reference) << row.given << ": " << reference.error().message;
        EXPECT_EQ(reference->to_string(), row.canonical);
        EXPECT_EQ(reference->familiar_string(), row.familiar);
        EXPECT_EQ(*parse_reference(reference->to_string()), *reference);
        EXPECT_EQ(*parse_reference(reference->familiar_string()), *reference);
    }
}

TEST(Reference, SaysWhatDockerSays) {
    const std::string format = "invalid reference format";
    const auto lower = [&](const std::string& name) {
        return format + ": repository name (" + name + ") must be lowercase";
    };
    struct Row {
        std::string given, message;
    };
    for (const Row& row : std::vector<Row>{
             {"BusyBox", lower("library/BusyBox")},
             {"Foo/Bar", lower("Bar")},
             {"foo.Com/Bar", lower("Bar")},
             {"a@SHA256:" + std::string(64, 'a'), lower("library/a@SHA256")},
             {"", format},
             {"/", format},
             {"x/", format},
             {"/x", format},
             {"a//b", format},
             {"-a", format},
             {"a-", format},
             {"a..b", format},
             {"a___b", format},
             {"a._b", format},
             {"a b", format},
             {"a:", format},
             {"a:B:c", format},
             {"a:-t", format},
             {"a:.t", format},
             {"a:" + std::string(129, 't'), format},
             {"a@sha256:abc", format},
             {"a@" + kSha + "@" + kSha, format},
             {"a@sha256:" + std::string(40, 'a'), "invalid checksum digest length"},
             {"a@sha256:" + std::string(64, 'A'), "invalid checksum digest format"},
             {"a@md5:" + std::string(40, 'a'), "unsupported digest algorithm"},
             {"-x.com/a", format},
             {"x..com/a", format},
             {"x.com:/a", format},
             {"x.com:80x/a", format},
             {"[]/a", format},
             {"[::1/a", format},
             {"[::1]x/a", format},
             {"http://x.com/a", format},
             {"a\nb", format},
             {"../../etc", format},
             {"x.com/../etc", format},
             {std::string("a\0b", 3), format},
             {"é", format},
             {std::string(64, 'a'), "invalid repository name (" + std::string(64, 'a') +
                                        "), cannot specify 64-byte hexadecimal strings"},
             {std::string(250, 'b'), "repository name must not be more than 255 characters"},
         }) {
        const auto reference = parse_reference(row.given);
        ASSERT_FALSE(reference) << row.given;
        EXPECT_EQ(reference.error().message, row.message) << row.given;
        EXPECT_EQ(reference.error().code, Code::InvalidArgument);
    }
    EXPECT_TRUE(parse_reference(std::string(247, 'b')));
    EXPECT_TRUE(parse_reference("a:" + std::string(128, 't')));
}

TEST(Reference, LeavesTheTagOutWhenAsked) {
    EXPECT_EQ(parse_reference_as_given("busybox")->to_string(), "docker.io/library/busybox");
    EXPECT_EQ(parse_reference("a@" + kSha)->tag, "");
    EXPECT_EQ(parse_reference("a:t@" + kSha)->object(), kSha);
    EXPECT_EQ(parse_reference("a")->object(), "latest");
}

TEST(SearchTerm, NamesItsRegistryInWhateverWords) {
    struct Row {
        std::string given, domain, words;
    };
    for (const Row& row : std::vector<Row>{
             {"busybox", "docker.io", "busybox"},
             {"library/busybox", "docker.io", "busybox"},
             {"me/App", "docker.io", "me/App"},
             {"docker.io/library/a", "docker.io", "a"},
             {"index.docker.io/a", "docker.io", "a"},
             {"localhost/a", "localhost", "a"},
             // No name of an image, and another registry all the same.
             {"reg.example:5000/Some Words", "reg.example:5000", "Some Words"},
         }) {
        const auto term = parse_search_term(row.given);
        ASSERT_TRUE(term) << row.given << ": " << term.error().message;
        EXPECT_EQ(term->domain, row.domain);
        EXPECT_EQ(term->words, row.words);
    }
    EXPECT_FALSE(parse_search_term("https://reg.example/a"));
    EXPECT_FALSE(parse_search_term("docker.io@reg.example/a"));
    EXPECT_FALSE(parse_search_term("reg.example?/a"));
}

}  // namespace

}  // namespace coffer::oci
