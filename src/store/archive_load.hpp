#pragma once
// Loading: a docker-archive (docker save of any version, podman, skopeo) or an OCI image layout in
// a tar, plain or compressed, becomes images of the store. Safe from any thread; blocks.

#include <functional>
#include <string>
#include <vector>

#include "archive/source.hpp"
#include "store/store.hpp"

namespace coffer::store {

struct LoadedImage {
    std::string id;
    std::vector<std::string> references;  // canonical "name:tag", as the archive names it
};

// Told when the unpacking of a layer begins (current 0) and when it is done (current == total).
using LoadProgress =
    std::function<void(const std::string& diff_id, std::uint64_t current, std::uint64_t total)>;

// Adds the images and leaves their names to the caller to set. Of an image for several platforms,
// this machine's is taken.
Result<std::vector<LoadedImage>> load_archive(Store& store, archive::Source& input,
                                              const LoadProgress& progress);

}  // namespace coffer::store
