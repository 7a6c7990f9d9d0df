// Any bytes as a layer, compressed or not: the reader must end, and what it reports must lie within
// what it announced. The answer of the unpacker is read as well, since hostile input shapes it.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "archive/compress.hpp"
#include "archive/tar.hpp"
#include "archive/unpack_wire.hpp"

namespace {

using coffer::archive::TarEntry;
using coffer::archive::TarReader;

void read_content(TarReader& reader, const TarEntry& entry) {
    std::uint64_t end = 0;
    for (;;) {
        const auto piece = reader.read();
        if (!piece || piece->bytes.empty()) return;
        if (piece->offset < end || piece->bytes.size() > entry.size ||
            piece->offset > entry.size - piece->bytes.size()) {
            std::abort();
        }
        end = piece->offset + piece->bytes.size();
    }
}

void read_all(coffer::archive::Source& source, bool contents) {
    TarReader reader(source, {.entries = 1000, .stream_bytes = 8U << 20U});
    for (;;) {
        const auto entry = reader.next();
        if (!entry || !*entry) break;
        if ((*entry)->name.empty() || (*entry)->name.find('\0') != std::string::npos) std::abort();
        if (contents) read_content(reader, **entry);
    }
}

// A mutated header would nearly always fail by its checksum alone.
std::string with_checksums(std::string_view bytes) {
    std::string out(bytes);
    for (std::size_t start = 0; start + 512 <= out.size(); start += 512) {
        if (out.compare(start + 257, 5, "ustar") != 0) continue;
        out.replace(start + 148, 8, 8, ' ');
        unsigned sum = 0;
        for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(out[start + i]);
        out.replace(start + 148, 7, coffer::format("{:06o}", sum) + '\0');
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const bool contents : {false, true}) {
        coffer::archive::MemorySource memory(bytes, contents ? 100 : 4096);
        coffer::archive::DecodingSource decoded(memory);
        read_all(decoded, contents);
    }
    const std::string repaired = with_checksums(bytes);
    coffer::archive::MemorySource memory(repaired);
    read_all(memory, true);
    const auto answer = coffer::archive::parse_answer(bytes);
    if (answer && coffer::archive::parse_answer(coffer::archive::to_answer(*answer))->opaque !=
                      answer->opaque) {
        std::abort();
    }
    return 0;
}
