#pragma once
// A private key that signs images: PKCS #8 or its older forms in PEM, with a pass phrase or
// without, and what `cosign generate-key-pair` writes (scrypt and NaCl's secretbox). Of the kinds
// of trust/key.hpp. It stays in this process. Safe from any thread.

#include <functional>
#include <string>
#include <string_view>

#include "trust/key.hpp"

namespace coffer::trust {

class SigningKey {
  public:
    // Asked once, when the key needs one.
    using AskPassPhrase = std::function<Result<std::string>()>;
    static Result<SigningKey> parse(const std::string& pem, const AskPassPhrase& ask);
    Result<std::string> sign(std::string_view message) const;

  private:
    explicit SigningKey(KeyPtr key) : key_(std::move(key)) {}
    KeyPtr key_;
};

}  // namespace coffer::trust
