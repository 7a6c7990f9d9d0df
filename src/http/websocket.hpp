#pragma once
// The server's side of RFC 6455: handshake, frames, and a relay between a client and a socket of
// plain bytes. A decoder and a relay belong to one thread.

#include <array>
#include <functional>

#include "http/message.hpp"

namespace coffer::http {

// The value of Sec-WebSocket-Accept for a request that asks for a websocket; InvalidArgument when
// it does not, or not as it must.
Result<std::string> accept_websocket(const Request& request);

enum class WebSocketOpcode : std::uint8_t {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
};
void append_websocket_frame(std::string& out, WebSocketOpcode opcode, std::string_view payload);

// Reads what a client sends. Data is handed on as it comes, whatever the size of its frame; of a
// control frame, which has at most 125 bytes, only the whole.
class WebSocketDecoder {
  public:
    struct Events {
        std::function<void(std::string_view)> data;
        std::function<void(WebSocketOpcode, std::string_view)> control;
    };
    // An error ends the conversation: the next call must not come.
    Result<void> feed(std::string_view bytes, const Events& events);

  private:
    Result<bool> read_head();
    Result<void> check_head(unsigned first, std::uint64_t length);
    void take_payload(std::string_view bytes, const Events& events);

    std::string head_;
    bool in_payload_ = false;
    bool in_message_ = false;  // of several frames, whose last one has not come
    WebSocketOpcode opcode_ = WebSocketOpcode::Binary;
    std::uint64_t left_ = 0;  // of the payload
    std::size_t mask_at_ = 0;
    std::array<char, 4> mask_{};
    std::string control_;
};

struct WebSocketRelay {
    sys::Fd client;
    std::string early;  // bytes of the client that were read already
    // Plain bytes: what is read from it goes to the client in binary frames, but for the first
    // `head` bytes, which are the answer to the handshake.
    sys::Fd inner;
    std::size_t head = 0;
};
// Until either side has ended or `cancel` comes. What waits for a slow side is bounded.
Result<void> relay_websocket(WebSocketRelay relay, const Cancel& cancel);

}  // namespace coffer::http
