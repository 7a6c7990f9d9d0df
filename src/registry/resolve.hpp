#pragma once
// What a reference stands for at its registry: tag -> index -> manifest of a platform. Functions
// are stateless; every document is checked against its digest and read in one way only.

#include <string>
#include <vector>

#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "registry/repository.hpp"

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
    std::vector<oci::Descriptor> attestations;  // entries of the index that are about the manifest
};

// Errors are in docker's words: NotFound "manifest for x:y not found: manifest unknown: ...",
// "pull access denied for x, repository does not exist or may require 'docker login': ...".
Result<Plan> resolve(Repository& repository, const oci::Reference& reference,
                     const oci::Platform& platform);

// A manifest or index by tag or digest, checked against the digest.
Result<Document> fetch_document(Repository& repository, const oci::Reference& reference,
                                const std::string& object);

// What a registry has under a name, for all platforms; nothing is fetched but the documents. Errors
// are the registry's own words: NotFound, Unauthorized, Forbidden.
struct Description {
    oci::Descriptor descriptor;
    std::vector<oci::Platform> platforms;
};
Result<Description> describe(Repository& repository, const oci::Reference& reference);

// The digest that a reference stands for, in one request; empty when the registry does not tell it
// without sending the document.
Result<std::string> resolve_digest(Repository& repository, const oci::Reference& reference);

// All tags of a repository.
Result<std::vector<std::string>> list_tags(Repository& repository, const oci::Reference& reference);

// The manifest of an index for a platform: the best match, the first of equals; without any match
// the first that names no platform.
Result<oci::Descriptor> choose_platform(const oci::Index& index, const oci::Platform& wanted);

}  // namespace coffer::registry
