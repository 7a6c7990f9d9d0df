#pragma once
// Docker's stdcopy frames: [type,0,0,0,length as 4 bytes big endian] and the payload, for streams
// that carry standard output and error on one connection. A FrameDecoder belongs to one thread.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::http {

enum class FrameType : std::uint8_t { Stdin = 0, Stdout = 1, Stderr = 2, SystemError = 3 };

constexpr std::size_t kFrameHeader = 8;
// Readers hold one whole frame in memory, so writers keep them small.
constexpr std::size_t kMaxFrameWritten = 16 * 1024;
constexpr std::size_t kMaxFrameRead = 16 * 1024 * 1024;

std::array<char, kFrameHeader> frame_header(FrameType type, std::uint32_t length);
// Appends `payload` as one or more frames.
void append_frames(std::string& out, FrameType type, std::string_view payload);

struct Frame {
    FrameType type = FrameType::Stdout;
    std::string payload;
};

// Takes bytes as they arrive and gives whole frames.
class FrameDecoder {
  public:
    // An unknown type, non-zero padding or a frame over kMaxFrameRead is an error, and stays one.
    Result<std::vector<Frame>> feed(std::string_view bytes);
    // True when the stream may end here.
    bool at_boundary() const { return pending_.empty(); }

  private:
    std::string pending_;
};

}  // namespace coffer::http
