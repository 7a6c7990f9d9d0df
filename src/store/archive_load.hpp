#pragma once
// Loading: a docker-archive (docker save of any version, podman, skopeo) or an OCI image layout in
// a tar, plain or compressed, becomes images of the store. Safe from any thread; blocks.

#include <optional>
#include <string>
#include <vector>

#include "archive/source.hpp"
#include "oci/image_spec.hpp"
#include "store/assemble.hpp"
#include "store/store.hpp"

namespace coffer::store {

struct LoadedImage {
    std::string id;
    std::vector<std::string> references;  // canonical "name:tag", as the archive names it
    std::string target;  // digest of the index or manifest that the archive names so; may be empty
};

// Adds the images and leaves their names to the caller to set. Of an image for several platforms,
// all that the archive has are taken, or the one that suits `platform` best.
Result<std::vector<LoadedImage>> load_archive(Store& store, archive::Source& input,
                                              const UnpackProgress& progress,
                                              const std::optional<oci::Platform>& platform = {});

}  // namespace coffer::store
