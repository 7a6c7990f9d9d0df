// Any bytes as a compressed stream: decoding must end, and in whatever pieces the bytes come, what
// comes out is the same.

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "archive/compress.hpp"

namespace {

constexpr std::size_t kMost = 4U << 20U;  // decoded bytes that are looked at

// Nothing when it fails.
std::optional<std::string> decode(std::string_view bytes, std::size_t piece) {
    coffer::archive::MemorySource memory(bytes, piece);
    coffer::archive::DecodingSource source(memory);
    std::string out;
    while (out.size() < kMost) {
        const auto next = source.next();
        if (!next) return std::nullopt;
        if (next->empty()) return out;
        out.append(*next);
    }
    out.resize(kMost);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto whole = decode(bytes, 1U << 20U);
    if (decode(bytes, 7) != whole) std::abort();
    return 0;
}
