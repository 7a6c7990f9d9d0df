#include <algorithm>

#include "sys/file.hpp"
#include "trust/key.hpp"
#include "trust/policy.hpp"

namespace coffer::trust {

namespace {

constexpr std::size_t kMaxKeyFile = 64 * 1024;
constexpr std::size_t kReasonsTold = 3;

struct Keys {
    std::vector<PublicKey> keys;
    std::vector<std::string> names;  // for messages
};

Result<Keys> load_keys(const Requirement& requirement) {
    Keys keys;
    for (const std::string& path : requirement.key_files) {
        const auto pem = TRY_CONTEXT(sys::read_file(path, kMaxKeyFile), "read key '{}'", path);
        keys.keys.push_back(TRY_CONTEXT(PublicKey::parse(pem), "key '{}'", path));
        keys.names.push_back(path);
    }
    for (const std::string& pem : requirement.key_texts) {
        keys.keys.push_back(TRY_CONTEXT(PublicKey::parse(pem), "keyData"));
        keys.names.emplace_back("keyData");
    }
    return keys;
}

// Nothing of a payload is read before a key has vouched for it.
Result<void> check(const Requirement& requirement, const Keys& keys, const oci::Reference& image,
                   const std::string& digest, const Signature& signature) {
    const bool made = std::any_of(keys.keys.begin(), keys.keys.end(), [&](const PublicKey& key) {
        return key.verify(signature.payload, signature.signature);
    });
    if (!made) return fail(Code::Forbidden, "not made with {}", join(keys.names, ", "));
    const Claim claim = TRY(parse_payload(signature.payload));
    if (claim.digest != digest) return fail(Code::Forbidden, "made for {}", claim.digest);
    if (!matches(requirement.identity, image, claim.reference))
        return fail(Code::Forbidden, "made for the name \"{}\"", claim.reference);
    return {};
}

Result<void> check_all(const Requirement& requirement, const oci::Reference& image,
                       const std::string& digest, const std::vector<Signature>& signatures) {
    const Keys keys = TRY(load_keys(requirement));
    if (signatures.empty())
        return fail(Code::Forbidden, "no signature of {}, which must be made with {}", digest,
                    join(keys.names, " or "));
    std::vector<std::string> reasons;
    for (const Signature& signature : signatures) {
        const auto good = check(requirement, keys, image, digest, signature);
        if (good) return {};
        const std::string& why = good.error().message;
        const bool told = std::find(reasons.begin(), reasons.end(), why) != reasons.end();
        if (!told && reasons.size() < kReasonsTold) reasons.push_back(why);
    }
    return fail(Code::Forbidden, "none of the {} signatures of {} will do: {}", signatures.size(),
                digest, join(reasons, "; "));
}

Failure refuse(const Scope& scope, const oci::Reference& image, std::string_view why) {
    return fail(Code::Forbidden, "{} is refused by the signature policy ({}): {}",
                image.familiar_string(), scope.name, why);
}

}  // namespace

Result<void> admit(const Scope& scope, const oci::Reference& image) {
    for (const Requirement& one : scope.requirements) {
        if (one.kind == Requirement::Kind::Reject) return refuse(scope, image, "reject");
        if (one.kind == Requirement::Kind::Unsupported)
            return refuse(scope, image, one.what + " is not supported");
    }
    return {};
}

Result<void> verify(const Scope& scope, const oci::Reference& image, const std::string& digest,
                    const std::vector<Signature>& signatures) {
    TRY(admit(scope, image));
    for (const Requirement& one : scope.requirements) {
        if (one.kind != Requirement::Kind::Signed) continue;
        const auto good = check_all(one, image, digest, signatures);
        if (!good) return refuse(scope, image, good.error().message);
    }
    return {};
}

}  // namespace coffer::trust
