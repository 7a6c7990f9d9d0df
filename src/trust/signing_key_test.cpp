#include "trust/signing_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coffer::trust {
namespace {

using ::testing::HasSubstr;

// PKCS #8 in base64.
constexpr std::string_view kP256 =
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAwYJ92nz6ycy1S67\n"
    "3yU/Ou6nsuG615wOeTh6QOY03POhRANCAARYBv9WQGk5m1bPMohkFQ24bok41g2e\n"
    "eHPRCnt6v+L3IZq/U1JY+Xu+LkNaeS1suYh4gopOjoItveDbCX6tZji5\n";
constexpr std::string_view kP256Public =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWAb/VkBpOZtWzzKIZBUNuG6JONYN\n"
    "nnhz0Qp7er/i9yGav1NSWPl7vi5DWnktbLmIeIKKTo6CLb3g2wl+rWY4uQ==\n";
constexpr std::string_view kP256Locked =  // with "secret"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgKfk2Bv4ZRwgICA+gw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEHJ8hdE4UxAjl0R8XwzLyAsEgZAk\n"
    "39z1mfMgYaW2t+5ckQhsPSQ9jnYsWpg0nlL6zcDK4bYEp/4HBerVFHsLrIjAOw7I\n"
    "csD2dcBssJlQTn0oFFqYtakuafgkXTxp4AaeJXcOx8DGzZOqMMirzyXc9y+jT5VI\n"
    "ZDkimpFQO8EyUVjuslHCU9O77cMf97gtHaenQc2n55pr9JjcME5f7yLFzrfdPAE=\n";
constexpr std::string_view kEd25519 =
    "MC4CAQAwBQYDK2VwBCIEIN0qCoeN0MxoV+8OMPPrHyFv3+4PTVxMN/aXdlNiWaXv\n";

std::string pem_of(std::string_view label, std::string_view text) {
    return format("-----BEGIN {0}-----\n{1}-----END {0}-----\n", label, text);
}

class SigningKeyTest : public ::testing::Test {
  protected:
    Result<SigningKey> parse(std::string_view label, std::string_view text) {
        return SigningKey::parse(pem_of(label, text), [&]() -> Result<std::string> {
            ++asked_;
            return pass_;
        });
    }
    std::string problem(std::string_view label, std::string_view text) {
        const auto key = parse(label, text);
        return key ? "none" : key.error().message;
    }

    std::string pass_ = "secret";
    int asked_ = 0;
    const PublicKey public_ = *PublicKey::parse(pem_of("PUBLIC KEY", kP256Public));
};

TEST_F(SigningKeyTest, signs_what_its_public_key_verifies) {
    const auto key = *parse("PRIVATE KEY", kP256);
    EXPECT_TRUE(public_.verify("text", *key.sign("text")));
    EXPECT_FALSE(public_.verify("other", *key.sign("text")));
    const auto other = *parse("PRIVATE KEY", kEd25519);
    EXPECT_FALSE(public_.verify("text", *other.sign("text")));
    EXPECT_EQ(*other.sign("text"), *other.sign("text"));
    EXPECT_EQ(asked_, 0);
}

TEST_F(SigningKeyTest, asks_for_the_pass_phrase_once) {
    const auto key = *parse("ENCRYPTED PRIVATE KEY", kP256Locked);
    EXPECT_TRUE(public_.verify("text", *key.sign("text")));
    EXPECT_EQ(asked_, 1);
    pass_ = "wrong";
    EXPECT_EQ(problem("ENCRYPTED PRIVATE KEY", kP256Locked), "wrong pass phrase, or a damaged key");
    pass_ = std::string(5000, 'x');
    EXPECT_EQ(problem("ENCRYPTED PRIVATE KEY", kP256Locked), "wrong pass phrase, or a damaged key");
}

TEST_F(SigningKeyTest, what_is_no_key) {
    EXPECT_EQ(problem("PUBLIC KEY", kP256Public), "no private key in PEM");
    EXPECT_EQ(problem("NOTHING", "\n"), "no private key in PEM");
    EXPECT_EQ(problem("ENCRYPTED COSIGN PRIVATE KEY", "!\n"), "it is no base64");
    const auto box = [&](const std::string& document) {
        return problem("ENCRYPTED SIGSTORE PRIVATE KEY", to_base64(document) + "\n");
    };
    EXPECT_THAT(box("{"), HasSubstr("invalid JSON"));
    EXPECT_EQ(box("{}"), "it is not sealed with scrypt and nacl/secretbox");
    const auto sealed = [&](const std::string& n, const std::string& nonce) {
        return box(R"({"kdf":{"name":"scrypt","params":{"N":)" + n +
                   R"(,"r":8,"p":1},"salt":"YWJj"},"cipher":{"name":"nacl/secretbox","nonce":")" +
                   to_base64(nonce) + R"("},"ciphertext":")" + to_base64(std::string(40, 'x')) +
                   R"("})");
    };
    EXPECT_EQ(sealed("1024", "short"), "its salt, nonce or text is damaged");
    EXPECT_THAT(sealed("1073741824", std::string(24, 'n')), HasSubstr("parameters of scrypt"));
    EXPECT_THAT(sealed("0", std::string(24, 'n')), HasSubstr("parameters of scrypt"));
    EXPECT_EQ(sealed("1024", std::string(24, 'n')), "wrong pass phrase");
}

}  // namespace
}  // namespace coffer::trust
