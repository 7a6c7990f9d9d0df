#pragma once
// A signature of an image as cosign makes it with a key: over a "simple signing" payload, which
// names the digest of a manifest or index and the reference that it is for. Signatures lie in the
// repository of the image, as layers of the manifest with the tag sha256-<hex>.sig (the
// specification is sigstore/cosign's SIGNATURE_SPEC). Plain data and pure functions.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::trust {

inline constexpr std::size_t kMaxSignatures = 128;  // of one digest
inline constexpr std::size_t kMaxPayload = 16 * 1024;
inline constexpr std::size_t kMaxSignature = 4 * 1024;  // in base64

inline constexpr std::string_view kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
inline constexpr std::string_view kSignatureAnnotation = "dev.cosignproject.cosign/signature";

struct Signature {
    std::string payload;    // what is signed, to the byte
    std::string signature;  // the bytes that the key made
    bool operator==(const Signature&) const = default;
};

// What a payload says.
struct Claim {
    std::string reference;  // "registry.example/app:1" or "registry.example/app"
    std::string digest;
};
// Refused: what is not exactly of that form, or says something twice.
Result<Claim> parse_payload(std::string_view payload);
std::string make_payload(const Claim& claim);

// The tag under which the signatures of a digest are.
std::string signature_tag(std::string_view digest);

}  // namespace coffer::trust
