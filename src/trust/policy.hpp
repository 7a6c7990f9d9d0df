#pragma once
// Which images may be used: containers-policy.json(5). Plain data and pure functions but for
// verify(), which reads the files of keys; safe from any thread.
//
//   {"default": [{"type": "reject"}],
//    "transports": {"docker": {
//        "docker.io/library": [{"type": "insecureAcceptAnything"}],
//        "*.corp.example": [{"type": "sigstoreSigned", "keyPath": "/etc/keys/corp.pub"}]}}}
//
// An unknown key is an error. What can be asked for but is not supported here (signedBy, fulcio,
// pki, rekor) is kept as a requirement that nothing meets.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "oci/reference.hpp"
#include "trust/signature.hpp"

namespace coffer::trust {

// Which reference a signature must be for.
struct SignedIdentity {
    enum class Match {
        RepoDigestOrExact,  // the repository where an image is named by digest, else as Exact
        Exact,
        Repository,
        ExactReference,   // `reference`, whatever the image is called
        ExactRepository,  // the repository `reference`
        Remap,            // `prefix` of the image's name replaced, then as RepoDigestOrExact
    };
    Match match = Match::RepoDigestOrExact;
    std::string reference;
    std::string prefix;
    std::string signed_prefix;
};
bool matches(const SignedIdentity& identity, const oci::Reference& image,
             std::string_view signed_for);

struct Requirement {
    enum class Kind { Accept, Reject, Signed, Unsupported };
    Kind kind = Kind::Reject;
    // Of Signed: one of these has made one of the signatures.
    std::vector<std::string> key_files;
    std::vector<std::string> key_texts;  // PEM
    SignedIdentity identity;
    std::string what;  // of Unsupported
};

struct Scope {
    std::string name;  // for messages: "file: transports.docker.registry.example"
    std::vector<Requirement> requirements;  // all of them must be met

    bool needs_signatures() const;
};

struct Policy {
    Scope fallback;
    std::map<std::string, Scope> docker;  // "" is for all that has none of its own

    // The most special one: of the reference, its repository, what that lies below, its host,
    // "*.domain" of the host.
    const Scope& scope_of(const oci::Reference& image) const;
};
// `path` is for the messages.
Result<Policy> parse_policy(std::string_view text, const std::string& path);

// Forbidden when a scope refuses an image whatever its signatures are.
Result<void> admit(const Scope& scope, const oci::Reference& image);
// Whether `image`, which is `digest`, meets all requirements; Forbidden says which not, and why.
Result<void> verify(const Scope& scope, const oci::Reference& image, const std::string& digest,
                    const std::vector<Signature>& signatures);

}  // namespace coffer::trust
