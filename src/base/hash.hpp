#pragma once
// SHA-256, streaming and one-shot, and the digest text "sha256:<64 hex>". A Sha256 belongs to one
// thread.

#include <memory>
#include <string>
#include <string_view>

namespace coffer {

class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(std::string_view bytes);
    // 64 lower-case hex digits; the object starts over afterwards.
    std::string finish_hex();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::string sha256_hex(std::string_view bytes);
// "sha256:" + hex.
std::string digest_of(std::string_view bytes);
// True for "sha256:" followed by exactly 64 lower-case hex digits: safe as a file name part.
bool is_digest(std::string_view text);
// The hex part of a valid digest.
std::string_view hex_of(std::string_view digest);

}  // namespace coffer
