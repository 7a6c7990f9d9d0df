// Any bytes as what a websocket client sends: the first byte says in which pieces they arrive. No
// piece size may change what is understood.

#include <cstdint>
#include <cstdlib>

#include "http/websocket.hpp"

namespace {

using namespace coffer;

std::string understand(std::string_view bytes, std::size_t piece) {
    http::WebSocketDecoder decoder;
    std::string out;
    const http::WebSocketDecoder::Events events{
        .data = [&](std::string_view data) { out += data; },
        .control =
            [&](http::WebSocketOpcode opcode, std::string_view payload) {
                if (payload.size() > 125) std::abort();
                out += static_cast<char>(opcode);
                out += payload;
            }};
    while (!bytes.empty()) {
        if (!decoder.feed(bytes.substr(0, piece), events)) return out + "!";
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::string whole = understand(input, input.size() + 1);
    if (understand(input, data[0] + std::size_t{1}) != whole) std::abort();
    // What the server writes is what the length says.
    std::string frame;
    http::append_websocket_frame(frame, http::WebSocketOpcode::Binary, input);
    if (frame.size() < input.size() + 2 || !frame.ends_with(input)) std::abort();
    return 0;
}
