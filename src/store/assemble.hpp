#pragma once
// An image whose blobs are in the store becomes one that runs: its layers are unpacked. Safe from
// any thread; blocks.

#include <functional>
#include <string>

#include "store/store.hpp"

namespace coffer::store {

// Told when the unpacking of a layer begins (current 0) and when it is done (current == total),
// from several threads.
using UnpackProgress =
    std::function<void(const std::string& diff_id, std::uint64_t current, std::uint64_t total)>;

// Unpacks the layers that are not there and adds the image, of which id and blobs are given and
// held by the lease. InvalidArgument when config and layers do not fit together.
Result<void> assemble_image(Store& store, Lease& lease, ImageRecord image,
                            const UnpackProgress& progress);

}  // namespace coffer::store
