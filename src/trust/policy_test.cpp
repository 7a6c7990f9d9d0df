#include "trust/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/file.hpp"
#include "trust/policy_file.hpp"

namespace coffer::trust {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');

oci::Reference ref(const std::string& text) {
    return MUST(oci::parse_reference(text));
}

Policy parse(const std::string& docker, const std::string& fallback = R"([{"type":"reject"}])") {
    return MUST(parse_policy(
        format(R"({{"default":{},"transports":{{"docker":{{{}}}}}}})", fallback, docker), "p"));
}

std::string problem(const std::string& text) {
    const auto policy = parse_policy(text, "p");
    return policy ? "none" : policy.error().message;
}

std::string problem_of(const std::string& requirement) {
    return problem(format(R"({{"default":[{}]}})", requirement));
}

TEST(PolicyTest, the_most_special_scope_counts) {
    std::string scopes;
    for (const std::string name :
         {"a.b.example:5000/x/y:1", "a.b.example:5000/x/y", "a.b.example:5000/x",
          "a.b.example:5000", "*.b.example", "*.example", "docker.io/library", ""}) {
        scopes += format(R"({}"{}":[{{"type":"insecureAcceptAnything"}}])",
                         scopes.empty() ? "" : ",", name);
    }
    const Policy policy = parse(scopes);
    const auto scope = [&](const std::string& name) { return policy.scope_of(ref(name)).name; };
    EXPECT_EQ(scope("a.b.example:5000/x/y:1"), "p: transports.docker.a.b.example:5000/x/y:1");
    EXPECT_EQ(scope("a.b.example:5000/x/y:1@" + kDigest),
              "p: transports.docker.a.b.example:5000/x/y");
    EXPECT_EQ(scope("a.b.example:5000/x/y:2"), "p: transports.docker.a.b.example:5000/x/y");
    EXPECT_EQ(scope("a.b.example:5000/x/z"), "p: transports.docker.a.b.example:5000/x");
    EXPECT_EQ(scope("a.b.example:5000/xx"), "p: transports.docker.a.b.example:5000");
    EXPECT_EQ(scope("a.b.example/xx"), "p: transports.docker.*.b.example");
    EXPECT_EQ(scope("c.b.example:1/xx"), "p: transports.docker.*.b.example");
    EXPECT_EQ(scope("b.example/xx"), "p: transports.docker.*.example");
    EXPECT_EQ(scope("busybox"), "p: transports.docker.docker.io/library");
    EXPECT_EQ(scope("some/one"), "p: transports.docker.");
    EXPECT_EQ(parse("").scope_of(ref("some/one")).name, "p: default");
}

TEST(PolicyTest, what_is_wrong_with_a_policy) {
    EXPECT_THAT(problem("{"), HasSubstr("p: invalid JSON"));
    EXPECT_EQ(problem("[]"), "p: expected an object, got array");
    EXPECT_EQ(problem("{}"), "p: default: no requirements");
    EXPECT_EQ(problem(R"({"default":[]})"), "p: default: no requirements");
    EXPECT_EQ(problem(R"({"default":{}})"), "p: default: expected a list, got object");
    EXPECT_EQ(problem(R"({"default":["reject"]})"), "p: default.0: expected an object, got string");
    EXPECT_EQ(problem(R"({"defaults":[]})"), "p: unknown key \"defaults\"");
    EXPECT_THAT(problem(R"({"default":[{"type":"reject"}],"default":[{"type":"reject"}]})"),
                EndsWith("an object with the same member twice"));
    EXPECT_EQ(problem(R"({"default":[{"type":"reject"}],"transports":{"docker":{"x":[]}}})"),
              "p: transports.docker.x: no requirements");
    EXPECT_EQ(
        problem(R"({"default":[{"type":"reject"}],"transports":{"dir":{"":[{"type":"y"}]}}})"),
        "p: transports.dir..0: unknown type \"y\"");
    EXPECT_EQ(problem_of(R"({"type":"accept"})"), "p: default.0: unknown type \"accept\"");
    EXPECT_EQ(problem_of("{}"), "p: default.0: no \"type\"");
    EXPECT_EQ(problem_of(R"({"type":"reject","keyPath":"/k"})"),
              "p: default.0: unknown key \"keyPath\"");
    const std::string one = "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki";
    EXPECT_EQ(problem_of(R"({"type":"sigstoreSigned"})"), "p: default.0: " + one);
    EXPECT_EQ(problem_of(R"({"type":"sigstoreSigned","keyPath":"/a","keyData":"YQ=="})"),
              "p: default.0: " + one);
    EXPECT_THAT(problem_of(R"({"type":"sigstoreSigned","keyPaths":[]})"),
                HasSubstr("keyPaths has no key"));
    EXPECT_EQ(problem_of(R"({"type":"sigstoreSigned","keyPath":""})"),
              "p: default.0: no \"keyPath\"");
    EXPECT_EQ(problem_of(R"({"type":"sigstoreSigned","keyData":"*"})"),
              "p: default.0: keyData is no base64");
    EXPECT_EQ(problem_of(R"({"type":"sigstoreSigned","keyPath":"/a","keyPth":"/b"})"),
              "p: default.0: unknown key \"keyPth\"");
    const auto identity = [](const std::string& text) {
        return problem_of(
            format(R"({{"type":"sigstoreSigned","keyPath":"/a","signedIdentity":{}}})", text));
    };
    EXPECT_EQ(identity(R"({"type":"matchExact"})"), "none");
    EXPECT_EQ(identity(R"({"type":"matchAny"})"),
              "p: default.0.signedIdentity: unknown type \"matchAny\"");
    EXPECT_EQ(identity(R"({"type":"matchExact","prefix":"x"})"),
              "p: default.0.signedIdentity: unknown key \"prefix\"");
    EXPECT_THAT(identity(R"({"type":"exactReference","dockerReference":"busybox"})"),
                HasSubstr("without tag and digest"));
    EXPECT_THAT(identity(R"({"type":"exactRepository","dockerRepository":"BAD"})"),
                HasSubstr("must be lowercase"));
    EXPECT_THAT(identity(R"({"type":"remapIdentity","prefix":"busybox","signedPrefix":"a.b"})"),
                HasSubstr("written in full"));
}

// A policy that asks for what is not there is no damaged one: what it is about is refused.
TEST(PolicyTest, what_is_not_supported_is_refused_by_name) {
    const auto refusal = [](const std::string& requirement) {
        const Policy policy = parse(format(R"("a.example":[{}])", requirement),
                                    R"([{"type":"insecureAcceptAnything"}])");
        EXPECT_TRUE(admit(policy.scope_of(ref("b.example/x")), ref("b.example/x")));
        const auto name = ref("a.example/x:1");
        const auto admitted = admit(policy.scope_of(name), name);
        EXPECT_EQ(admitted ? Code::Internal : admitted.error().code, Code::Forbidden);
        EXPECT_FALSE(verify(policy.scope_of(name), name, kDigest, {}));
        return admitted ? "none" : admitted.error().message;
    };
    const std::string start =
        "a.example/x:1 is refused by the signature policy (p: "
        "transports.docker.a.example): ";
    EXPECT_EQ(refusal(R"({"type":"reject"})"), start + "reject");
    EXPECT_EQ(refusal(R"({"type":"insecureAcceptAnything"},{"type":"reject"})"), start + "reject");
    EXPECT_EQ(refusal(R"({"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"})"),
              start + "signedBy (GPG) is not supported");
    EXPECT_EQ(refusal(R"({"type":"sigstoreSigned","fulcio":{"caPath":"/k"}})"),
              start + "sigstoreSigned with fulcio is not supported");
    EXPECT_EQ(refusal(R"({"type":"sigstoreSigned","pki":{}})"),
              start + "sigstoreSigned with pki is not supported");
    EXPECT_EQ(refusal(R"({"type":"sigstoreSigned","keyPath":"/k","rekorPublicKeyPath":"/r"})"),
              start + "sigstoreSigned with rekorPublicKeyPath is not supported");
}

TEST(PolicyTest, the_identity_of_a_signature) {
    using Match = SignedIdentity::Match;
    const auto check = [](const SignedIdentity& identity, const std::string& image,
                          const std::string& signed_for) {
        return matches(identity, ref(image), signed_for);
    };
    const std::string by_digest = "r.example/a@" + kDigest;
    const SignedIdentity standard;
    EXPECT_TRUE(check(standard, "r.example/a:1", "r.example/a:1"));
    EXPECT_FALSE(check(standard, "r.example/a:1", "r.example/a:2"));
    EXPECT_FALSE(check(standard, "r.example/a:1", "r.example/a"));
    EXPECT_FALSE(check(standard, "r.example/a", "r.example/a"));
    EXPECT_FALSE(check(standard, "r.example/a:1", "r.example/b:1"));
    EXPECT_FALSE(check(standard, "r.example/a:1", "R!"));
    EXPECT_TRUE(check(standard, by_digest, "r.example/a:7"));
    EXPECT_TRUE(check(standard, "r.example/a:9@" + kDigest, "r.example/a"));
    EXPECT_FALSE(check(standard, by_digest, "r.example/b:7"));
    EXPECT_TRUE(check(standard, "busybox", "docker.io/library/busybox:latest"));
    const SignedIdentity exact{.match = Match::Exact};
    EXPECT_TRUE(check(exact, "r.example/a:1", "r.example/a:1"));
    EXPECT_FALSE(check(exact, by_digest, "r.example/a:1"));
    EXPECT_TRUE(check(exact, by_digest, by_digest));
    const SignedIdentity repository{.match = Match::Repository};
    EXPECT_TRUE(check(repository, "r.example/a:1", "r.example/a:2"));
    EXPECT_TRUE(check(repository, "r.example/a:1", "r.example/a"));
    EXPECT_FALSE(check(repository, "r.example/a:1", "r.example/a/b"));
    const SignedIdentity one{.match = Match::ExactReference, .reference = "r.example/up:3"};
    EXPECT_TRUE(check(one, "mirror.example/a:1", "r.example/up:3"));
    EXPECT_FALSE(check(one, "mirror.example/a:1", "r.example/up"));
    const SignedIdentity any{.match = Match::ExactRepository, .reference = "r.example/up"};
    EXPECT_TRUE(check(any, "mirror.example/a:1", "r.example/up:4"));
    EXPECT_FALSE(check(any, "mirror.example/a:1", "r.example/upper:4"));
    const SignedIdentity remap{
        .match = Match::Remap, .prefix = "mirror.example/hub", .signed_prefix = "docker.io"};
    EXPECT_TRUE(check(remap, "mirror.example/hub/team/a:1", "docker.io/team/a:1"));
    EXPECT_FALSE(check(remap, "mirror.example/hub/team/a:1", "docker.io/team/a:2"));
    EXPECT_FALSE(check(remap, "mirror.example/hubs/team/a:1", "docker.io/s/team/a:1"));
    EXPECT_TRUE(check(remap, "other.example/a:1", "other.example/a:1"));
}

TEST(PolicyTest, a_file_is_read_again_and_a_damaged_one_refuses) {
    const auto folder = MUST(sys::TempDir::create());
    const std::string path = folder.path() + "/policy.json";
    PolicyFile file(path);
    EXPECT_THAT(file.read().error().message, HasSubstr("read the signature policy '" + path));
    MUST(sys::write_file(path, R"({"default":[{"type":"reject"}]})"));
    const auto first = MUST(file.read());
    EXPECT_EQ(first->fallback.requirements.size(), 1U);
    EXPECT_EQ(MUST(file.read()), first);
    MUST(sys::write_file(path, R"({"default":[{"type":"reject"},{"type":"reject"}]})"));
    EXPECT_EQ(MUST(file.read())->fallback.requirements.size(), 2U);
    MUST(sys::write_file(path, R"({"default":)"));
    EXPECT_THAT(file.read().error().message, HasSubstr("damaged: " + path));
    EXPECT_FALSE(file.read());
}

}  // namespace
}  // namespace coffer::trust
