// Any bytes as an image name, a platform and an image document: what is accepted must be accepted
// again in the form it is printed in, and mean the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "oci/image_spec.hpp"
#include "oci/reference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto reference = coffer::oci::parse_reference(text)) {
        const auto canonical = coffer::oci::parse_reference(reference->to_string());
        if (!canonical || *canonical != *reference) std::abort();
        if (reference->path.find("..") != std::string::npos) std::abort();
        for (const char c : reference->to_string())
            if (c <= ' ' || c > '~') std::abort();
    }
    if (const auto platform = coffer::oci::parse_platform(text)) {
        const auto again = coffer::oci::parse_platform(coffer::oci::to_string(*platform));
        if (!again || !(*again == *platform)) std::abort();
    }
    const auto manifest = coffer::oci::parse_manifest(text, "");
    const auto index = coffer::oci::parse_index(text, "");
    if (manifest && index) std::abort();
    coffer::ignore(coffer::oci::parse_image_config(text), "only has to return");
    return 0;
}
