#pragma once
// SHA-256 and SHA-512, streaming and one-shot, and the digest text "sha256:<64 hex>". A hash
// belongs to one thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer {

class Hash {
  public:
    ~Hash();
    Hash(Hash&&) noexcept;
    Hash& operator=(Hash&&) noexcept;
    Hash(const Hash&) = delete;
    Hash& operator=(const Hash&) = delete;

    void update(std::string_view bytes);
    // The rest of a file; gives its size.
    Result<std::uint64_t> update_from(int file_fd);
    // Lower-case hex digits; the object starts over afterwards.
    std::string finish_hex();

  protected:
    struct State;
    explicit Hash(std::unique_ptr<State> state);

  private:
    std::unique_ptr<State> state_;
};

class Sha256 : public Hash {
  public:
    Sha256();
};

class Sha512 : public Hash {
  public:
    Sha512();
};

std::string sha256_hex(std::string_view bytes);
// "sha256:" + hex.
std::string digest_of(std::string_view bytes);
// True for "sha256:" followed by exactly 64 lower-case hex digits: safe as a file name part.
bool is_digest(std::string_view text);
// The same for "sha512:" and 128 digits, which registries may use; the store names nothing so.
bool is_sha512_digest(std::string_view text);
std::string sha512_digest_of(std::string_view bytes);
// The hex part of a valid digest.
std::string_view hex_of(std::string_view digest);

}  // namespace coffer
