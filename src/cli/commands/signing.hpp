#pragma once
// Signing an image at its registry with a key that does not leave this process. One thread.

#include "cli/command.hpp"
#include "oci/reference.hpp"
#include "trust/signing_key.hpp"

namespace coffer::cli {

// A key from a file; its pass phrase is $COFFER_SIGN_PASSWORD, or typed.
Result<trust::SigningKey> load_signing_key(const std::string& path);
// For the tag or the digest that `reference` has.
Result<void> sign_image(Invocation& call, const trust::SigningKey& key,
                        const oci::Reference& reference, const std::string& digest);

}  // namespace coffer::cli
