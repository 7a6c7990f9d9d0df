// Any bytes as a signature policy, as the payload of a signature and as a key: what is accepted is
// whole.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/hash.hpp"
#include "trust/key.hpp"
#include "trust/policy.hpp"

namespace {

using namespace coffer::trust;  // NOLINT(google-build-using-namespace): one file

void check_policy(std::string_view text) {
    const auto policy = parse_policy(text, "policy");
    if (!policy) return;
    for (const char* name : {"busybox", "a.example:5000/x/y:1", "a.example/x"}) {
        const auto image = coffer::oci::parse_reference(name);
        const Scope& scope = policy->scope_of(*image);
        if (scope.requirements.empty()) std::abort();
        for (const Requirement& one : scope.requirements) {
            const bool keys = !one.key_files.empty() || !one.key_texts.empty();
            if (one.kind == Requirement::Kind::Signed && !keys) std::abort();
            if (one.kind != Requirement::Kind::Accept && !scope.needs_signatures() &&
                admit(scope, *image))
                std::abort();
            // Terminates, whatever the identity is.
            matches(one.identity, *image, "docker.io/library/busybox:latest");
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_policy(text);
    if (const auto claim = parse_payload(text)) {
        if (!coffer::is_digest(claim->digest)) std::abort();
        if (parse_payload(make_payload(*claim))->digest != claim->digest) std::abort();
    }
    if (const auto key = PublicKey::parse(text)) key->verify(text, text);
    return 0;
}
