#pragma once
// What a reference stands for at its registry: tag -> index -> manifest of a platform. Functions
// are stateless; every document is checked against its digest and read in one way only.

#include <string>
#include <vector>

#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "registry/client.hpp"

namespace coffer::registry {

struct Document {
    std::string digest;
    std::string media_type;
    std::string text;
};

struct Plan {
    oci::Reference reference;
    std::string digest;               // what the reference points to: the index or the manifest
    std::vector<Document> documents;  // the index, if there is one, and the manifest
    oci::Manifest manifest;
};

// Errors are in docker's words: NotFound "manifest for x:y not found: manifest unknown: ...",
// "pull access denied for x, repository does not exist or may require 'docker login': ...".
Result<Plan> resolve(Client& client, const oci::Reference& reference,
                     const oci::Platform& platform);

// All tags of a repository.
Result<std::vector<std::string>> list_tags(Client& client, const oci::Reference& reference);

// The manifest of an index for a platform: the best match, the first of equals; without any match
// the first that names no platform.
Result<oci::Descriptor> choose_platform(const oci::Index& index, const oci::Platform& wanted);

}  // namespace coffer::registry
