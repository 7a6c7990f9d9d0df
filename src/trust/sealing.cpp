#include "trust/sealing.hpp"

#include <fcntl.h>
#include <sodium.h>

#include <cstdlib>

#include "sys/file.hpp"

namespace coffer::trust {

namespace {

constexpr std::size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t kLargestKeyFile = 64 * 1024;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

// Whatever its length.
std::string key_from(std::string material) {
    std::string key(kKeyBytes, '\0');
    ::crypto_generichash(bytes_of(key), key.size(), bytes_of(std::string_view(material)),
                         material.size(), nullptr, 0);
    wipe(material);
    return key;
}

}  // namespace

Result<SealingKey> SealingKey::open(const std::string& file) {
    if (::sodium_init() < 0) return fail(Code::Internal, "no random numbers");
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes our environment
    if (const char* folder = ::getenv("CREDENTIALS_DIRECTORY")) {
        const std::string given = std::string(folder) + "/coffer.secrets.key";
        if (sys::exists(given)) {
            return SealingKey(
                key_from(TRY(sys::read_regular_file(AT_FDCWD, given, kLargestKeyFile))));
        }
    }
    if (!sys::exists(file)) {
        std::string made(kKeyBytes, '\0');
        ::randombytes_buf(made.data(), made.size());
        const auto kept = sys::replace_file(file, made, 0600);
        wipe(made);
        TRY_CONTEXT(kept, "make the key of secrets");
    }
    std::string material = TRY(sys::read_regular_file(AT_FDCWD, file, kLargestKeyFile));
    if (material.size() < kKeyBytes)
        return fail(Code::Internal, "the key of secrets '{}' is damaged", file);
    return SealingKey(key_from(std::move(material)));
}

SealingKey::~SealingKey() {
    wipe(key_);
}

std::string SealingKey::seal(std::string_view plain, std::string_view context) const {
    std::string sealed(kNonceBytes + plain.size() + kTagBytes, '\0');
    ::randombytes_buf(sealed.data(), kNonceBytes);
    ::crypto_aead_xchacha20poly1305_ietf_encrypt(
        bytes_of(sealed) + kNonceBytes, nullptr, bytes_of(plain), plain.size(), bytes_of(context),
        context.size(), nullptr, bytes_of(sealed), bytes_of(std::string_view(key_)));
    return sealed;
}

Result<std::string> SealingKey::unseal(std::string_view sealed, std::string_view context) const {
    if (sealed.size() < kNonceBytes + kTagBytes) return fail(Code::Internal, "it is damaged");
    std::string plain(sealed.size() - kNonceBytes - kTagBytes, '\0');
    const std::string_view box = sealed.substr(kNonceBytes);
    if (::crypto_aead_xchacha20poly1305_ietf_decrypt(
            bytes_of(plain), nullptr, nullptr, bytes_of(box), box.size(), bytes_of(context),
            context.size(), bytes_of(sealed), bytes_of(std::string_view(key_))) != 0) {
        return fail(Code::Internal, "it is damaged, or was sealed with another key");
    }
    return plain;
}

void wipe(std::string& text) {
    ::sodium_memzero(text.data(), text.size());
    text.clear();
}

}  // namespace coffer::trust
