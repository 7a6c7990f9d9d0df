#pragma once
// Saving: images as one tar that is both an OCI image layout and a docker-archive, as docker 25 and
// later write it. Blobs go in as they are stored, so a load elsewhere gives the same digests.
// Safe from any thread; blocks.

#include <string>
#include <vector>

#include "archive/source.hpp"
#include "store/store.hpp"

namespace coffer::store {

struct SavedImage {
    std::string id;
    std::vector<std::string> references;  // canonical "name:tag"; may be empty
    std::string
        index;  // saved with all that is here of it, of which `id` is one; empty: `id` alone
};

Result<void> save_archive(Store& store, const std::vector<SavedImage>& images,
                          const archive::Sink& output);

}  // namespace coffer::store
