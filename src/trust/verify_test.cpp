#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sys/file.hpp"
#include "trust/key.hpp"
#include "trust/policy.hpp"

namespace coffer::trust {
namespace {

using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kOther = "sha256:" + std::string(64, 'b');

// Keys in base64 of their DER, and what they made of the payload below: by openssl's program.
constexpr std::string_view kP256 =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWAb/VkBpOZtWzzKIZBUNuG6JONYNnnhz0Qp7er/i9yGa"
    "v1NSWPl7vi5DWnktbLmIeIKKTo6CLb3g2wl+rWY4uQ==";
constexpr std::string_view kP256Signature =
    "MEQCICIp9WE1A3L21XhmUpmHpGnPMS0rBjXrPzZgbXgk+McOAiAsrROT4rBqYnFTi+5D4o1Uzm2bZQvD"
    "2ZAnuDDEDZ2qeQ==";
constexpr std::string_view kP384 =
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEjt55BSBlZAoexiVuwNY1UQKPgS6angtm0F3l4CrmG4xucpOS"
    "TkPKFP0oGAkQktx3h/h3J8+5V2YhIXheLnQ0pq1jc6YurlQh2e+DTHq1fAPIWP6wY1ZGfU6UVuNCZL0E";
constexpr std::string_view kP384Signature =
    "MGQCMBIFqZk9/2z2p8OpI0C0ueM1OR1a57xENrXr0oEAQ5XyIZrL6PChDphqDiObzmmqNwIwS+D3DkmX"
    "BeFBsNRP6uu0f98QkDtIGsObUlUoKvAvgyFKpPloKFEV5+OBdwBZ0poc";
constexpr std::string_view kRsa =
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyo93aQ+uMDe63HK+UzlFbPKjhTUcIs1rYLiy"
    "5wr4et8ovd3Wmn8FA9cL2m+0z9xZCwpmweb2ae74TmQK91X4bKi4vfPAhCzGWi5s3dskxbVd9/66K5JR"
    "m2MGjUc0wBF+bHSKht7XjUKNpVTDZkBda9Gk3UV7+5rg38TCvBkeYFFwNUD3ox8t1I4Y5suvBG2OwC+Q"
    "gE5ksIRhmMTF2HkKKB27DTjegK5UtNWgE/DLTeIW5R5LEVYcSPJWzMsJwmPnY7raeBvGwdehjf5lOuj5"
    "7YHGtV2ntD3akjb5LQkOoOlhlKY7lxUsjMnAhnpddOwKzp/LL3Rti9MTXpVx/mQfNQIDAQAB";
constexpr std::string_view kRsaSignature =
    "I0bG17bbGn5P3p4/eG0OcEP3elBnLz569lt1pd2UJcCfMAhtgFGWWdjYcagnH5tNBl7JeEORXjNIHMTY"
    "3SgV8CqKMQq7tFO9UsqdMML3muouqFzWzmYS7RgRHlpTU18jPI2K5ijoqLPRQvRdiH3P13LKFBaiIMlR"
    "9AWarjRqPnhFYNqh1R0g2QTLQhG1xHeLlaE586UC/OvXoFkfXYsaaOYN5G5WOIAEIvpUufYBSFiBvjDb"
    "Zhrk4FAObCzfp2fbostv9VnMdfny0QT8fjcvAJJw5oxY19ulyDnKjVgXUzpyo1Gy8xG3V3roRe/mvagG"
    "J5wAO+5rIbjhMpNoGPvZwQ==";
constexpr std::string_view kEd25519 =
    "MCowBQYDK2VwAyEALdQP6dDXYvvHbgtkFIrY8rEEsz7IGDcer/He2hkbnn8=";
constexpr std::string_view kEd25519Signature =
    "EG0W9+LLOmitBMiUc27pWvSjnZg04tHdB6ns+DHf2uP3pt3fgn/oYCT8f2CsTFEHrW8OcO2hSOqIGVY0"
    "RHsvDQ==";
constexpr std::string_view kSmallRsa =
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQChij+nGmq1oZpZ+P5PHf6RIVz9n4dq2DDHm6fvh5P4"
    "LdoDAza8tdPys5PsIZN1jJA4umrBFCq+n/3tLN7lpBbzOkknwjrcjEc/YVSgfbCspVyswu0y0QtaMNQY"
    "q3XDDsACF2t3j1VIbwGWQh/kDIm3Pvq6aQZo0rCerMfe/O5A6wIDAQAB";
constexpr std::string_view kK1 =
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE0NqGrMZYyYHBlK/BC/eKPV067alU0x32OUe6xCf/+yRE2pgO"
    "Ndj8wjckFQzHdEMEGGzlr/QNu59aDOAI6gYfBA==";

std::string payload_for(const std::string& name, const std::string& digest) {
    return make_payload({name, digest});
}
const std::string kPayload = payload_for("r.example/a:1", kDigest);

std::string pem_of(std::string_view key) {
    return format("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", key);
}
Signature signature_of(std::string_view text, std::string payload = kPayload) {
    return {std::move(payload), from_base64(text).value()};
}

struct Vector {
    std::string_view key;
    std::string_view signature;
};
constexpr Vector kVectors[] = {{kP256, kP256Signature},
                               {kP384, kP384Signature},
                               {kRsa, kRsaSignature},
                               {kEd25519, kEd25519Signature}};

TEST(KeyTest, the_kinds_of_keys) {
    for (const Vector& one : kVectors) {
        const auto key = MUST(PublicKey::parse(pem_of(one.key)));
        for (const Vector& other : kVectors) {
            const std::string bytes = from_base64(other.signature).value();
            EXPECT_EQ(key.verify(kPayload, bytes), one.key == other.key);
            EXPECT_FALSE(key.verify(kPayload + " ", bytes));
        }
        EXPECT_FALSE(key.verify(kPayload, ""));
    }
    const auto problem = [](const std::string& pem) {
        const auto key = PublicKey::parse(pem);
        return key ? "none" : key.error().message;
    };
    EXPECT_THAT(problem(pem_of(kSmallRsa)), HasSubstr("1024 bits"));
    EXPECT_THAT(problem(pem_of(kK1)), HasSubstr("secp256k1 is not supported"));
    EXPECT_EQ(problem("x"), "no public key in PEM");
    EXPECT_EQ(problem(""), "no public key in PEM");
}

class VerifyTest : public ::testing::Test {
  protected:
    VerifyTest() {
        MUST(sys::write_file(path_, pem_of(kP256)));
        policy_ = MUST(parse_policy(
            format(R"({{"default":[{{"type":"sigstoreSigned","keyPath":"{}"}}]}})", path_), "p"));
    }
    // Why an image is refused; empty when it is not.
    std::string refusal(const std::vector<Signature>& signatures,
                        const std::string& digest = kDigest,
                        const std::string& name = "r.example/a:1") {
        const auto image = MUST(oci::parse_reference(name));
        const auto good = verify(policy_.scope_of(image), image, digest, signatures);
        if (good) return {};
        EXPECT_EQ(good.error().code, Code::Forbidden);
        return good.error().message;
    }

    sys::TempDir folder_ = *sys::TempDir::create();
    std::string path_ = folder_.path() + "/a.pub";
    Policy policy_;
};

TEST_F(VerifyTest, one_good_signature_is_enough) {
    EXPECT_EQ(refusal({signature_of(kP256Signature)}), "");
    EXPECT_EQ(refusal({signature_of(kRsaSignature), signature_of(kP256Signature)}), "");
}

TEST_F(VerifyTest, what_a_refusal_says) {
    const std::string start = "r.example/a:1 is refused by the signature policy (p: default): ";
    EXPECT_EQ(refusal({}),
              start + "no signature of " + kDigest + ", which must be made with " + path_);
    EXPECT_EQ(
        refusal({signature_of(kRsaSignature)}),
        start + "none of the 1 signatures of " + kDigest + " will do: not made with " + path_);
    EXPECT_EQ(refusal({signature_of(kP256Signature)}, kOther),
              start + "none of the 1 signatures of " + kOther + " will do: made for " + kDigest);
    EXPECT_THAT(refusal({signature_of(kP256Signature)}, kDigest, "r.example/a:2"),
                HasSubstr("will do: made for the name \"r.example/a:1\""));
    // A payload that was changed is not believed, whatever it says.
    EXPECT_THAT(refusal({signature_of(kP256Signature, payload_for("r.example/a:2", kDigest))},
                        kDigest, "r.example/a:2"),
                HasSubstr("not made with"));
    MUST(sys::write_file(path_, "no key"));
    EXPECT_THAT(refusal({signature_of(kP256Signature)}),
                HasSubstr("key '" + path_ + "': no public key in PEM"));
    MUST(sys::remove_tree(path_));
    EXPECT_THAT(refusal({signature_of(kP256Signature)}), HasSubstr("read key '" + path_ + "'"));
}

TEST_F(VerifyTest, every_requirement_must_be_met_by_one_of_its_keys) {
    const auto data = [](std::string_view key) { return to_base64(pem_of(key)); };
    policy_ = MUST(
        parse_policy(format(R"({{"default":[{{"type":"sigstoreSigned","keyDatas":["{}","{}"]}},)"
                            R"({{"type":"sigstoreSigned","keyData":"{}"}}]}})",
                            data(kP384), data(kRsa), data(kEd25519)),
                     "p"));
    EXPECT_EQ(refusal({signature_of(kRsaSignature), signature_of(kEd25519Signature)}), "");
    EXPECT_EQ(refusal({signature_of(kP384Signature), signature_of(kEd25519Signature)}), "");
    EXPECT_THAT(refusal({signature_of(kP384Signature), signature_of(kRsaSignature)}),
                HasSubstr("not made with keyData"));
    EXPECT_THAT(refusal({signature_of(kEd25519Signature)}), HasSubstr("not made with keyData"));
}

}  // namespace
}  // namespace coffer::trust
