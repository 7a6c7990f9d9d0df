#include "api/artifact.hpp"

namespace coffer::api {

void describe(json::Fields& f, const Artifact& s) {
    f("Name", s.name);
    f("Digest", s.digest);
    f("Type", s.type);
    f("Size", s.size);
    f("Created", s.created, json::kOmitEmpty);
    f("Manifest", s.manifest, json::kOmitEmpty);
    f("Error", s.error, json::kOmitEmpty);
}

void describe(json::Fields& f, const ArtifactDeleteItem& s) {
    f("Untagged", s.untagged);
    f("Deleted", s.deleted, json::kOmitEmpty);
}

void describe(json::Fields& f, const ArtifactAdded& s) {
    f("Digest", s.digest);
}

}  // namespace coffer::api
