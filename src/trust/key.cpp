#include "trust/key.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>

namespace coffer::trust {

namespace {

constexpr int kMinRsa = 2048;
constexpr int kMaxRsa = 8192;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void FreeKey::operator()(evp_pkey_st* key) const {
    ::EVP_PKEY_free(key);
}

Result<void> check_kind(const evp_pkey_st& key) {
    const int kind = ::EVP_PKEY_get_base_id(&key);
    if (kind == EVP_PKEY_ED25519) return {};
    const int bits = ::EVP_PKEY_get_bits(&key);
    if (kind == EVP_PKEY_RSA) {
        if (bits >= kMinRsa && bits <= kMaxRsa) return {};
        return fail(Code::InvalidArgument, "an RSA key of {} bits, not of {} to {}", bits, kMinRsa,
                    kMaxRsa);
    }
    std::array<char, 32> curve{};
    if (kind == EVP_PKEY_EC &&
        ::EVP_PKEY_get_group_name(&key, curve.data(), curve.size(), nullptr) == 1) {
        const std::string_view name = curve.data();
        if (name == SN_X9_62_prime256v1 || name == SN_secp384r1 || name == SN_secp521r1) return {};
        return fail(Code::InvalidArgument, "the curve {} is not supported", name);
    }
    return fail(Code::InvalidArgument, "keys of this kind are not supported");
}

bool hashes_first(const evp_pkey_st& key) {
    return ::EVP_PKEY_get_base_id(&key) != EVP_PKEY_ED25519;
}

Result<PublicKey> PublicKey::parse(std::string_view pem) {
    const std::unique_ptr<BIO, decltype(&::BIO_free)> source(
        ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free);
    KeyPtr key(::PEM_read_bio_PUBKEY(source.get(), nullptr, nullptr, nullptr));
    ::ERR_clear_error();
    if (!key) return fail(Code::InvalidArgument, "no public key in PEM");
    TRY(check_kind(*key));
    return PublicKey(std::move(key));
}

namespace {

bool verify_as(evp_pkey_st& key, int rsa_padding, std::string_view message,
               std::string_view signature) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(),
                                                                            &::EVP_MD_CTX_free);
    const EVP_MD* hash = hashes_first(key) ? ::EVP_sha256() : nullptr;
    EVP_PKEY_CTX* details = nullptr;  // the context's
    const bool good =
        ::EVP_DigestVerifyInit(context.get(), &details, hash, nullptr, &key) == 1 &&
        (rsa_padding == 0 || ::EVP_PKEY_CTX_set_rsa_padding(details, rsa_padding) == 1) &&
        ::EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                           message.size()) == 1;
    ::ERR_clear_error();
    return good;
}

}  // namespace

bool PublicKey::verify(std::string_view message, std::string_view signature) const {
    if (::EVP_PKEY_get_base_id(key_.get()) != EVP_PKEY_RSA)
        return verify_as(*key_, 0, message, signature);
    return verify_as(*key_, RSA_PKCS1_PADDING, message, signature) ||
           verify_as(*key_, RSA_PKCS1_PSS_PADDING, message, signature);
}

}  // namespace coffer::trust
