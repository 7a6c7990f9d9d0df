#pragma once
// Layers: a layer's tar stream becomes a folder that overlayfs can use as a lower layer. Whiteouts
// become character devices 0:0; opaque folders are reported, since only the host's root may mark
// them. Nothing in a layer can reach a file outside of the target folder. Functions are stateless.

#include <cstdint>
#include <string>
#include <vector>

#include "archive/source.hpp"
#include "archive/tar.hpp"

namespace coffer::archive {

// How a layer says that a name is gone from those below it, and that a folder hides theirs.
inline constexpr std::string_view kWhiteout = ".wh.";
inline constexpr std::string_view kOpaque = ".wh..wh..opq";
// How overlayfs marks the same in an unpacked one: a device 0/0, and this attribute.
inline constexpr const char* kOverlayOpaque = "trusted.overlay.opaque";

struct AppliedLayer {
    std::string diff_id;             // digest of the uncompressed stream
    std::uint64_t stream_bytes = 0;  // of the uncompressed stream
    std::uint64_t size = 0;          // sum of the files' sizes, as docker counts a layer
    std::uint64_t entries = 0;
    std::uint64_t dropped = 0;        // device nodes and extended attributes left out
    std::vector<std::string> opaque;  // folders that hide what lies under them
};

// Extracts an uncompressed tar stream into the folder `target_fd`. What was written before an
// error stays for the caller to remove.
Result<AppliedLayer> apply_layer(Source& tar, int target_fd, const TarLimits& limits);

// Sets trusted.overlay.opaque on the reported folders; needs CAP_SYS_ADMIN of the host.
Result<void> mark_opaque(int target_fd, const std::vector<std::string>& folders);

}  // namespace coffer::archive
