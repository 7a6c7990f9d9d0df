#include "trust/signature.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coffer::trust {
namespace {

using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');

// As cosign writes it.
std::string payload(const std::string& optional = "null") {
    return R"({"critical":{"identity":{"docker-reference":"r.example/a"},"image":)"
           R"({"docker-manifest-digest":")" +
           kDigest + R"("},"type":"cosign container image signature"},"optional":)" + optional +
           "}";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}

std::string problem(const std::string& text) {
    const auto claim = parse_payload(text);
    return claim ? "none" : claim.error().message;
}

TEST(SignatureTest, a_payload_to_the_byte) {
    EXPECT_EQ(make_payload({"r.example/a", kDigest}), payload());
    const Claim claim = MUST(parse_payload(payload(R"({"creator":"x","timestamp":1})")));
    EXPECT_EQ(claim.reference, "r.example/a");
    EXPECT_EQ(claim.digest, kDigest);
}

TEST(SignatureTest, what_is_no_payload) {
    EXPECT_EQ(problem(payload()), "none");
    EXPECT_THAT(problem("{"), HasSubstr("payload: invalid JSON"));
    EXPECT_EQ(problem("{}"), "payload: critical: expected an object, got null");
    EXPECT_EQ(problem(with(payload(), R"("optional")", R"("more")")),
              "payload: unknown key \"more\"");
    EXPECT_EQ(problem(with(payload(), "container", "box")),
              "payload: type \"cosign box image signature\" is not \"cosign container image "
              "signature\"");
    EXPECT_EQ(problem(with(payload(), "sha256:a", "sha256:b/")),
              "payload: invalid digest \"sha256:b/" + std::string(63, 'a') + "\"");
    EXPECT_EQ(problem(with(payload(), R"({"docker-reference":"r.example/a"})", "{}")),
              "payload: critical: identity: no \"docker-reference\"");
    EXPECT_EQ(problem(with(payload(), R"({"docker-reference")", R"({"x":1,"docker-reference")")),
              "payload: critical: identity: unknown key \"x\"");
    EXPECT_THAT(problem(with(payload(), R"("type")", R"("image":{},"type")")),
                HasSubstr("the same member twice"));
    EXPECT_THAT(problem(payload("\"" + std::string(kMaxPayload, 'x') + "\"")),
                HasSubstr("larger than"));
}

TEST(SignatureTest, the_tag_of_signatures) {
    EXPECT_EQ(signature_tag(kDigest), "sha256-" + std::string(64, 'a') + ".sig");
}

}  // namespace
}  // namespace coffer::trust
