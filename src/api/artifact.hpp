#pragma once
// Artifacts, our own: what a registry keeps that is no image. Plain data. A member is the snake
// case of its wire name.

#include <string>

#include "json/codec.hpp"
#include "json/value.hpp"

namespace coffer::api {

struct Artifact {
    std::string name;  // "registry.example/models/small:1"
    std::string digest;
    std::string type;
    std::int64_t size = 0;  // of its blobs
    std::string created;    // as its annotations say; may be empty
    json::Value manifest;   // null in a list
    std::string error;      // in a list: what is wrong with it; then its type and size are unknown
};

struct ArtifactDeleteItem {
    std::string untagged;
    std::string deleted;  // digest
};

struct ArtifactAdded {
    std::string digest;
};

void describe(json::Fields& f, const Artifact& s);
void describe(json::Fields& f, const ArtifactDeleteItem& s);
void describe(json::Fields& f, const ArtifactAdded& s);

}  // namespace coffer::api
