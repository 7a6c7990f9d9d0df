#pragma once
// Sealing: bytes that only this engine can read again (XChaCha20-Poly1305). Safe from any thread.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::trust {

class SealingKey {
  public:
    // The machine's, where systemd has given us one ($CREDENTIALS_DIRECTORY/coffer.secrets.key);
    // else that of the file, which is made, 0600, where there is none.
    static Result<SealingKey> open(const std::string& file);
    ~SealingKey();
    SealingKey(SealingKey&&) noexcept = default;
    SealingKey& operator=(SealingKey&&) noexcept = default;
    SealingKey(const SealingKey&) = delete;
    SealingKey& operator=(const SealingKey&) = delete;

    // `context` says what it is; another context does not open it.
    std::string seal(std::string_view plain, std::string_view context) const;
    Result<std::string> unseal(std::string_view sealed, std::string_view context) const;

  private:
    explicit SealingKey(std::string key) : key_(std::move(key)) {}
    std::string key_;
};

// Overwrites what is in there, also where a compiler sees no use in it.
void wipe(std::string& text);

}  // namespace coffer::trust
