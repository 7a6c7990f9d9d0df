#pragma once
// The manifest under which an image leaves the store: the one it came with, or one made for an
// image that was loaded, imported or built without. Safe from any thread.

#include <string>

#include "oci/image_spec.hpp"
#include "store/store.hpp"

namespace coffer::store {

struct ImageManifest {
    oci::Descriptor descriptor;
    oci::Manifest document;
    std::string text;
};

oci::Descriptor descriptor_of(const ImageBlob& blob);
Result<ImageManifest> manifest_of(Store& store, const ImageRecord& record);

}  // namespace coffer::store
