#pragma once
// Public keys that check signatures: ECDSA on P-256, P-384 and P-521, RSA with PKCS #1 v1.5 (2048
// to 8192 bits), both over SHA-256, and Ed25519: what cosign's keys are. Safe from any thread.

#include <memory>
#include <string_view>

#include "base/result.hpp"

struct evp_pkey_st;

namespace coffer::trust {

// OpenSSL's key, public or private.
struct FreeKey {
    void operator()(evp_pkey_st* key) const;
};
using KeyPtr = std::unique_ptr<evp_pkey_st, FreeKey>;

// Fails for kinds and sizes of keys other than the above.
Result<void> check_kind(const evp_pkey_st& key);
// What SHA-256 or nothing is, for EVP_DigestSignInit and EVP_DigestVerifyInit.
bool hashes_first(const evp_pkey_st& key);

class PublicKey {
  public:
    // The first key of a PEM text ("-----BEGIN PUBLIC KEY-----").
    static Result<PublicKey> parse(std::string_view pem);
    bool verify(std::string_view message, std::string_view signature) const;

  private:
    explicit PublicKey(KeyPtr key) : key_(std::move(key)) {}
    KeyPtr key_;
};

}  // namespace coffer::trust
