#pragma once
// Manifests that are about another one (OCI distribution specification 1.1, "Listing Referrers"):
// as the registry lists them, or as an index with the tag "sha256-<hex>" does where the registry
// has no such list. Functions are stateless.

#include <string>
#include <vector>

#include "oci/image_spec.hpp"
#include "registry/repository.hpp"

namespace coffer::registry {

// Those about the manifest `digest`, of a type unless that is empty.
Result<std::vector<oci::Descriptor>> list_referrers(Repository& repository,
                                                    const std::string& digest,
                                                    const std::string& artifact_type);

// Adds `referrer` to the index that stands for the list of `subject`. For a registry that took no
// note of it by itself; who adds another one at the same time may win over this one.
Result<void> add_referrer(Repository& repository, const Repository::Target& target,
                          const std::string& subject, const oci::Descriptor& referrer);

}  // namespace coffer::registry
