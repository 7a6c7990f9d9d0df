#include "http/stream.hpp"

#include <algorithm>

namespace coffer::http {

std::array<char, kFrameHeader> frame_header(FrameType type, std::uint32_t length) {
    const auto byte = [&](unsigned shift) { return static_cast<char>((length >> shift) & 0xffU); };
    return {static_cast<char>(type), 0, 0, 0, byte(24), byte(16), byte(8), byte(0)};
}

void append_frames(std::string& out, FrameType type, std::string_view payload) {
    while (!payload.empty()) {
        const std::string_view part = payload.substr(0, kMaxFrameWritten);
        const auto header = frame_header(type, static_cast<std::uint32_t>(part.size()));
        out.append(header.data(), header.size());
        out.append(part);
        payload.remove_prefix(part.size());
    }
}

Result<std::vector<Frame>> FrameDecoder::feed(std::string_view bytes) {
    pending_.append(bytes);
    std::vector<Frame> frames;
    std::size_t at = 0;
    while (pending_.size() - at >= kFrameHeader) {
        const auto byte = [&](std::size_t i) {
            return static_cast<std::uint32_t>(static_cast<unsigned char>(pending_[at + i]));
        };
        if (byte(0) > 3 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
            return fail(Code::InvalidArgument, "unrecognized stream type {}", byte(0));
        }
        const std::uint32_t length = byte(4) << 24U | byte(5) << 16U | byte(6) << 8U | byte(7);
        if (length > kMaxFrameRead) {
            return fail(Code::InvalidArgument, "stream frame of {} bytes", length);
        }
        if (pending_.size() - at - kFrameHeader < length) break;
        frames.push_back({FrameType{static_cast<std::uint8_t>(byte(0))},
                          pending_.substr(at + kFrameHeader, length)});
        at += kFrameHeader + length;
    }
    pending_.erase(0, at);
    return frames;
}

}  // namespace coffer::http
