#pragma once
// Signatures in the repository of an image, as cosign keeps them (trust/signature.hpp). Safe from
// any thread.

#include <string>
#include <vector>

#include "registry/repository.hpp"
#include "trust/signature.hpp"

namespace coffer::registry {

// All signatures of a manifest or index; none when there is no such tag. Fails when there are more
// or larger ones than trust allows, and when what is there is no manifest of signatures.
Result<std::vector<trust::Signature>> fetch_signatures(Repository& repository,
                                                       const std::string& digest);

// Puts one more beside those that are there; what is there already stays as it is. Two that do so
// at once may lose one: a registry has no way to prevent it.
Result<void> add_signature(Repository& repository, const std::string& digest,
                           const trust::Signature& signature);

}  // namespace coffer::registry
