#pragma once
// Unpacking of a compressed layer: decoded and hashed by one thread, extracted by another, in a
// jailed process of its own (coffer-unpack). Functions are stateless and block.

#include <cstdint>
#include <functional>
#include <string>

#include "archive/layer.hpp"

namespace coffer::archive {

struct UnpackRequest {
    int input_fd = -1;    // the layer as it was distributed: gzip, zstd or plain tar
    int target_fd = -1;   // an empty folder
    std::string digest;   // of the input; empty: not checked
    std::string diff_id;  // of the decoded stream; empty: not checked
    TarLimits limits;
    std::uint64_t ratio = 1500;  // decoded bytes for one of input (gzip's own limit is 1032)
};

// In this process, with one more thread.
Result<AppliedLayer> unpack_here(const UnpackRequest& request);

// In a jailed child: `program` is the path of coffer-unpack. Opaque folders are marked.
Result<AppliedLayer> unpack_jailed(const std::string& program, const UnpackRequest& request);

using Unpacker = std::function<Result<AppliedLayer>(const UnpackRequest&)>;

}  // namespace coffer::archive
