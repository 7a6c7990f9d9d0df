#include "trust/signing_key.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "json/value.hpp"

namespace coffer::trust {

namespace {

constexpr std::uint64_t kMaxScryptMemory = std::uint64_t{512} << 20U;  // bytes
constexpr std::size_t kMaxBox = 64 * 1024;

using Bio = std::unique_ptr<BIO, decltype(&::BIO_free)>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// Wiped when it goes.
class Secret {
  public:
    explicit Secret(std::string text) : text_(std::move(text)) {}
    ~Secret() { ::OPENSSL_cleanse(text_.data(), text_.size()); }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    Secret(Secret&&) = delete;
    Secret& operator=(Secret&&) = delete;

    unsigned char* data() { return reinterpret_cast<unsigned char*>(text_.data()); }
    const std::string& text() const { return text_; }
    std::size_t size() const { return text_.size(); }

  private:
    std::string text_;
};

// Fills the box of PEM_read_bio_PrivateKey.
int give_pass_phrase(char* to, int size, int /*writing*/, void* from) {
    const auto& text = static_cast<const Secret*>(from)->text();
    if (std::cmp_greater(text.size(), size)) return -1;
    std::copy(text.begin(), text.end(), to);
    return static_cast<int>(text.size());
}

// The text between "-----BEGIN <label>-----" and its end; empty when there is none.
std::string_view body_of(std::string_view pem, std::string_view label) {
    const auto begin = cut(pem, format("-----BEGIN {}-----", label));
    const auto end = begin ? cut(begin->second, format("-----END {}-----", label)) : std::nullopt;
    return end ? end->first : std::string_view();
}

// cosign's {"kdf":{"name":"scrypt","params":{"N":..,"r":..,"p":..},"salt":..},
// "cipher":{"name":"nacl/secretbox","nonce":..},"ciphertext":..} around a PKCS #8 document.
Result<KeyPtr> open_box(std::string_view body, const SigningKey::AskPassPhrase& ask) {
    std::string packed;
    for (const char c : body) {
        if (c > ' ') packed += c;
    }
    const auto text = from_base64(packed);
    if (!text) return fail(Code::InvalidArgument, "it is no base64");
    const json::Value box = TRY(json::parse(*text, {.depth = 8, .bytes = kMaxBox}));
    const auto word = [&](std::string_view path) {
        const json::Value* value = box.at_path(path);
        return value != nullptr && value->if_string() != nullptr ? *value->if_string()
                                                                 : std::string();
    };
    const auto number = [&](std::string_view path) {
        const json::Value* value = box.at_path(path);
        return value == nullptr ? 0 : value->to_uint().value_or(0);
    };
    if (word("kdf.name") != "scrypt" || word("cipher.name") != "nacl/secretbox")
        return fail(Code::InvalidArgument, "it is not sealed with scrypt and nacl/secretbox");
    const auto salt = from_base64(word("kdf.salt"));
    const auto nonce = from_base64(word("cipher.nonce"));
    const auto sealed = from_base64(word("ciphertext"));
    if (!salt || !nonce || nonce->size() != crypto_secretbox_NONCEBYTES || !sealed ||
        sealed->size() <= crypto_secretbox_MACBYTES)
        return fail(Code::InvalidArgument, "its salt, nonce or text is damaged");
    const Secret pass(TRY(ask()));
    Secret key(std::string(crypto_secretbox_KEYBYTES, 0));
    const bool derived =
        ::EVP_PBE_scrypt(pass.text().data(), pass.size(), bytes_of(*salt), salt->size(),
                         number("kdf.params.N"), number("kdf.params.r"), number("kdf.params.p"),
                         kMaxScryptMemory, key.data(), key.size()) == 1;
    ::ERR_clear_error();
    if (!derived)
        return fail(Code::InvalidArgument,
                    "its parameters of scrypt are wrong, or ask for more "
                    "than {} bytes",
                    kMaxScryptMemory);
    Secret der(std::string(sealed->size() - crypto_secretbox_MACBYTES, 0));
    if (::crypto_secretbox_open_easy(der.data(), bytes_of(*sealed), sealed->size(),
                                     bytes_of(*nonce), key.data()) != 0)
        return fail(Code::InvalidArgument, "wrong pass phrase");
    const unsigned char* at = der.data();
    return KeyPtr(::d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
}

Result<KeyPtr> read_pem(const std::string& pem, const SigningKey::AskPassPhrase& ask) {
    for (const char* label : {"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"}) {
        if (const auto body = body_of(pem, label); !body.empty()) return open_box(body, ask);
    }
    const bool locked = pem.find("ENCRYPTED") != std::string::npos;
    Secret pass(locked ? TRY(ask()) : std::string());
    const Bio source(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free);
    KeyPtr key(::PEM_read_bio_PrivateKey(source.get(), nullptr, &give_pass_phrase, &pass));
    ::ERR_clear_error();
    if (!key && locked) return fail(Code::InvalidArgument, "wrong pass phrase, or a damaged key");
    return key;
}

}  // namespace

Result<SigningKey> SigningKey::parse(const std::string& pem, const AskPassPhrase& ask) {
    KeyPtr key = TRY(read_pem(pem, ask));
    ::ERR_clear_error();
    if (!key) return fail(Code::InvalidArgument, "no private key in PEM");
    TRY(check_kind(*key));
    return SigningKey(std::move(key));
}

Result<std::string> SigningKey::sign(std::string_view message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(),
                                                                            &::EVP_MD_CTX_free);
    const EVP_MD* hash = hashes_first(*key_) ? ::EVP_sha256() : nullptr;
    std::string signature(static_cast<std::size_t>(::EVP_PKEY_get_size(key_.get())), 0);
    std::size_t size = signature.size();
    const bool done =
        ::EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key_.get()) == 1 &&
        ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                         bytes_of(message), message.size()) == 1;
    ::ERR_clear_error();
    if (!done) return fail(Code::Internal, "the key does not sign");
    signature.resize(size);
    return signature;
}

}  // namespace coffer::trust
