#include "base/hash.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>

#include "base/text.hpp"

namespace coffer {

struct Hash::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const EVP_MD* kind;

    explicit State(const EVP_MD* which) : kind(which) { start(); }
    ~State() { EVP_MD_CTX_free(context); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    State(State&&) = delete;
    State& operator=(State&&) = delete;
    void start() const { EVP_DigestInit_ex(context, kind, nullptr); }
};

Hash::Hash(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hash::~Hash() = default;
Hash::Hash(Hash&&) noexcept = default;
Hash& Hash::operator=(Hash&&) noexcept = default;

Sha256::Sha256() : Hash(std::make_unique<State>(EVP_sha256())) {}
Sha512::Sha512() : Hash(std::make_unique<State>(EVP_sha512())) {}

void Hash::update(std::string_view bytes) {
    EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

Result<std::uint64_t> Hash::update_from(int file_fd) {
    std::array<char, 64 * 1024> buffer;
    std::uint64_t taken = 0;
    for (;;) {
        const ssize_t n = ::read(file_fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read");
        if (n == 0) return taken;
        update({buffer.data(), static_cast<std::size_t>(n)});
        taken += static_cast<std::uint64_t>(n);
    }
}

std::string Hash::finish_hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(state_->context, digest.data(), &size);
    state_->start();
    return to_hex(std::string(digest.begin(), digest.begin() + size));
}

std::string sha256_hex(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish_hex();
}

std::string digest_of(std::string_view bytes) {
    return "sha256:" + sha256_hex(bytes);
}

bool is_digest(std::string_view text) {
    return text.starts_with("sha256:") && text.size() == 71 && is_hex(text.substr(7));
}

bool is_sha512_digest(std::string_view text) {
    return text.starts_with("sha512:") && text.size() == 135 && is_hex(text.substr(7));
}

std::string sha512_digest_of(std::string_view bytes) {
    Sha512 hash;
    hash.update(bytes);
    return "sha512:" + hash.finish_hex();
}

std::string_view hex_of(std::string_view digest) {
    return digest.substr(7);
}

}  // namespace coffer
