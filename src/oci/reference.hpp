#pragma once
// Image names: "busybox" is docker.io/library/busybox:latest. Pure data and functions, safe from
// any thread. Rules and error texts are docker's.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::oci {

struct Reference {
    std::string domain;  // docker.io, registry.example.com:5000
    std::string path;    // library/busybox
    std::string tag;     // empty when only a digest was given
    std::string digest;  // sha256:..., empty when not given

    std::string name() const;             // docker.io/library/busybox
    std::string familiar_name() const;    // busybox
    std::string to_string() const;        // docker.io/library/busybox:1.36@sha256:...
    std::string familiar_string() const;  // busybox:1.36@sha256:...
    // What a registry is asked for: the digest if there is one, else the tag.
    std::string_view object() const { return digest.empty() ? tag : digest; }
    bool operator==(const Reference&) const = default;
};

// Normalises, and adds the tag "latest" when neither tag nor digest is given.
Result<Reference> parse_reference(std::string_view text);
// The same without adding "latest".
Result<Reference> parse_reference_as_given(std::string_view text);

bool is_tag(std::string_view text);

// What `docker search` is asked for: the words, and the registry that is to find them.
struct SearchTerm {
    std::string domain;  // docker.io unless the first part is a host's name
    std::string words;
};
Result<SearchTerm> parse_search_term(std::string_view text);

}  // namespace coffer::oci
