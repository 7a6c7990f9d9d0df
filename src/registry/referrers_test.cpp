#include "registry/referrers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/fake_server_test.hpp"

namespace coffer::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string digest(char digit) {
    return "sha256:" + std::string(64, digit);
}

std::string index_of(const std::string& manifests) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",)"
           R"("manifests":[)" +
           manifests + "]}";
}

std::string entry(char digit, const std::string& type) {
    return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":")" +
           digest(digit) + R"(","artifactType":")" + type + "\"}";
}

std::string found(const std::string& body, const std::string& headers = {}) {
    return answer("200 OK", body,
                  "Content-Type: application/vnd.oci.image.index.v1+json\r\n" + headers);
}

Result<std::vector<std::string>> referrers(FakeServer& server, const std::string& type = {}) {
    Registries registries(no_files());
    const Cancel cancel;
    const auto reference = TRY(oci::parse_reference(server.host() + "/r:1"));
    const auto repository = TRY(Repository::open(
        registries, reference, {.first_pause = std::chrono::milliseconds(1)}, cancel));
    std::vector<std::string> digests;
    for (const auto& one : TRY(list_referrers(*repository, digest('a'), type)))
        digests.push_back(one.digest);
    return digests;
}

TEST(Referrers, pages_are_followed) {
    FakeServer server([](const FakeRequest& request) {
        if (request.line.find("last=") != std::string::npos)
            return found(index_of(entry('2', "x")));
        return found(index_of(entry('1', "x")),
                     "Link: </v2/r/referrers/" + digest('a') + "?last=1>; rel=\"next\"\r\n");
    });
    EXPECT_THAT(MUST(referrers(server)), ElementsAre(digest('1'), digest('2')));
}

TEST(Referrers, the_type_is_ours_to_check) {
    FakeServer server([](const FakeRequest&) {
        return found(index_of(entry('1', "x/a") + "," + entry('2', "x/b")));
    });
    EXPECT_THAT(MUST(referrers(server, "x/b")), ElementsAre(digest('2')));
    EXPECT_THAT(server.requests().back().line, HasSubstr("?artifactType=x%2Fb"));
}

TEST(Referrers, a_tag_stands_for_the_list) {
    FakeServer server([](const FakeRequest& request) {
        if (request.line.find("/manifests/sha256-" + std::string(64, 'a')) == std::string::npos)
            return answer("404 Not Found", "{}");
        return found(index_of(entry('1', "x")));
    });
    EXPECT_THAT(MUST(referrers(server)), ElementsAre(digest('1')));
}

TEST(Referrers, none_at_all_and_nonsense) {
    FakeServer none([](const FakeRequest&) { return answer("404 Not Found", "{}"); });
    EXPECT_THAT(MUST(referrers(none)), ElementsAre());
    FakeServer page([](const FakeRequest&) { return answer("200 OK", "<html>"); });
    EXPECT_THAT(referrers(page).error().message, HasSubstr("list referrers of sha256:aaa"));
    FakeServer endless([](const FakeRequest&) {
        return found(index_of(""), "Link: </v2/r/referrers/x?last=1>; rel=\"next\"\r\n");
    });
    EXPECT_THAT(referrers(endless).error().message, HasSubstr("have no end"));
}

}  // namespace
}  // namespace coffer::registry
