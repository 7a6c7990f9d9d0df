#include "http/websocket.hpp"

#include <openssl/sha.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace coffer::http {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kNonce = 16;  // bytes in Sec-WebSocket-Key
constexpr std::size_t kLongestControl = 125;
constexpr std::size_t kFullBuffer = 256 * 1024;
constexpr std::size_t kBlock = 32 * 1024;
constexpr std::uint16_t kNormal = 1000;
constexpr std::uint16_t kGoingAway = 1001;
constexpr std::uint16_t kProtocolError = 1002;

std::string status_payload(std::uint16_t status) {
    return {static_cast<char>(status >> 8U), static_cast<char>(status)};
}

bool is_control(WebSocketOpcode opcode) {
    return static_cast<unsigned>(opcode) >= 8;
}

}  // namespace

Result<std::string> accept_websocket(const Request& request) {
    const Headers& headers = request.headers;
    if (!headers.has_token("Upgrade", "websocket") || !headers.has_token("Connection", "Upgrade")) {
        return fail(Code::InvalidArgument, "not a websocket: no upgrade is asked for");
    }
    if (headers.get("Sec-WebSocket-Version") != "13") {
        return fail(Code::InvalidArgument, "not a websocket of version 13");
    }
    const std::string key(headers.get("Sec-WebSocket-Key"));
    const auto nonce = from_base64(key);
    if (!nonce || nonce->size() != kNonce) {
        return fail(Code::InvalidArgument, "Sec-WebSocket-Key is no base64 of 16 bytes");
    }
    const std::string text = key + std::string(kGuid);
    std::string digest(SHA_DIGEST_LENGTH, '\0');
    ::SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return to_base64(digest);
}

void append_websocket_frame(std::string& out, WebSocketOpcode opcode, std::string_view payload) {
    const std::size_t size = payload.size();
    out.push_back(static_cast<char>(0x80U | static_cast<unsigned>(opcode)));
    const unsigned width = size <= 125 ? 0 : size <= 0xFFFF ? 2 : 8;
    out.push_back(static_cast<char>(width == 0 ? size : width == 2 ? 126 : 127));
    for (unsigned i = width; i > 0; --i) {
        out.push_back(static_cast<char>(std::uint64_t{size} >> (8U * (i - 1))));
    }
    out.append(payload);
}

Result<void> WebSocketDecoder::check_head(unsigned first, std::uint64_t length) {
    const unsigned number = first & 15U;
    const bool is_last = (first & 0x80U) != 0;
    if ((first & 0x70U) != 0) return fail(Code::InvalidArgument, "websocket: reserved bits");
    if ((number > 2 && number < 8) || number > 10) {
        return fail(Code::InvalidArgument, "websocket: unknown opcode {}", number);
    }
    opcode_ = static_cast<WebSocketOpcode>(number);
    if (is_control(opcode_)) {
        if (!is_last || length > kLongestControl) {
            return fail(Code::InvalidArgument, "websocket: control frame too long or in parts");
        }
        return {};
    }
    // A continuation only within a message, and nothing but that.
    if ((opcode_ == WebSocketOpcode::Continuation) != in_message_) {
        return fail(Code::InvalidArgument, "websocket: unexpected continuation");
    }
    if (length >> 63U != 0) return fail(Code::InvalidArgument, "websocket: frame too long");
    in_message_ = !is_last;
    return {};
}

// True once the head is whole and has been read.
Result<bool> WebSocketDecoder::read_head() {
    if (head_.size() < 2) return false;
    const auto byte = [&](std::size_t i) -> unsigned {
        return static_cast<unsigned char>(head_[i]);
    };
    if ((byte(1) & 0x80U) == 0) return fail(Code::InvalidArgument, "websocket: not masked");
    const unsigned size = byte(1) & 0x7FU;
    const std::size_t width = size < 126 ? 0 : size == 126 ? 2 : 8;
    if (head_.size() < 2 + width + mask_.size()) return false;
    std::uint64_t length = width == 0 ? size : 0;
    for (std::size_t i = 0; i < width; ++i) length = length << 8U | byte(2 + i);
    TRY(check_head(byte(0), length));
    std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(2 + width), mask_.size(),
                mask_.begin());
    head_.clear();
    control_.clear();
    left_ = length;
    mask_at_ = 0;
    return true;
}

void WebSocketDecoder::take_payload(std::string_view bytes, const Events& events) {
    std::string plain(bytes);
    for (char& c : plain) {
        c = static_cast<char>(static_cast<unsigned char>(c) ^
                              static_cast<unsigned char>(mask_[mask_at_++ % mask_.size()]));
    }
    left_ -= bytes.size();
    if (!is_control(opcode_)) {
        if (!plain.empty()) events.data(plain);
        return;
    }
    control_ += plain;
    if (left_ == 0) events.control(opcode_, control_);
}

Result<void> WebSocketDecoder::feed(std::string_view bytes, const Events& events) {
    for (;;) {
        if (!in_payload_) {
            while (!bytes.empty()) {
                head_.push_back(bytes.front());
                bytes.remove_prefix(1);
                in_payload_ = TRY(read_head());
                if (in_payload_) break;
            }
            if (!in_payload_) return {};
        }
        const std::size_t taken =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
        if (taken > 0 || left_ == 0) take_payload(bytes.substr(0, taken), events);
        bytes.remove_prefix(taken);
        if (left_ > 0) return {};
        in_payload_ = false;
    }
}

namespace {

class Relaying {
  public:
    explicit Relaying(WebSocketRelay relay) : relay_(std::move(relay)) {
        events_.data = [this](std::string_view bytes) { to_inner_.append(bytes); };
        events_.control = [this](WebSocketOpcode opcode, std::string_view payload) {
            if (opcode == WebSocketOpcode::Ping) {
                append_websocket_frame(to_client_, WebSocketOpcode::Pong, payload);
            } else if (opcode == WebSocketOpcode::Close) {
                // Its own status is the answer.
                close(payload.substr(0, 2));
            }
        };
    }

    Result<void> run(const Cancel& cancel) {
        take(std::exchange(relay_.early, {}));
        while (!(closing_ && to_client_.empty())) {
            const bool takes_input =
                !closing_ && to_inner_.size() < kFullBuffer && to_client_.size() < kFullBuffer;
            const bool takes_output = !closing_ && to_client_.size() < kFullBuffer;
            std::array<pollfd, 3> polls{{wanted(relay_.client, takes_input, !to_client_.empty()),
                                         wanted(relay_.inner, takes_output, !to_inner_.empty()),
                                         {cancel.fd(), POLLIN, 0}}};
            if (::poll(polls.data(), polls.size(), -1) < 0) {
                if (errno == EINTR) continue;
                return fail_errno("relay a websocket");
            }
            if (polls[2].revents != 0) {
                close(status_payload(kGoingAway));
                flush(relay_.client, to_client_);
                return {};
            }
            // After a hang-up nothing can be written either.
            if ((polls[0].revents & (POLLERR | POLLHUP)) != 0 && !takes_input) return {};
            if ((polls[0].revents & (POLLIN | POLLHUP)) != 0 && takes_input) read_client();
            if ((polls[1].revents & (POLLIN | POLLHUP)) != 0 && takes_output) read_inner();
            if (!flush(relay_.client, to_client_)) return {};
            // Who takes no input may still have output.
            if (!flush(relay_.inner, to_inner_)) to_inner_.clear();
        }
        return {};
    }

  private:
    // A socket of which nothing is wanted is left out: its hang-up would be reported for ever.
    static pollfd wanted(const sys::Fd& socket, bool reads, bool writes) {
        const auto events = static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
        return {events == 0 ? -1 : socket.get(), events, 0};
    }

    void close(std::string_view payload) {
        if (std::exchange(closing_, true)) return;
        append_websocket_frame(to_client_, WebSocketOpcode::Close, payload);
    }

    void take(std::string_view bytes) {
        if (!decoder_.feed(bytes, events_)) close(status_payload(kProtocolError));
    }

    void read_client() {
        std::array<char, kBlock> block;
        const ssize_t n = ::recv(relay_.client.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (n > 0) {
            take({block.data(), static_cast<std::size_t>(n)});
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            closing_ = true;
            to_client_.clear();
        }
    }

    void read_inner() {
        std::array<char, kBlock> block;
        const ssize_t n = ::recv(relay_.inner.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (n > 0) {
            std::string_view bytes(block.data(), static_cast<std::size_t>(n));
            const std::size_t head = std::min(relay_.head, bytes.size());
            to_client_.append(bytes.substr(0, head));
            relay_.head -= head;
            bytes.remove_prefix(head);
            if (!bytes.empty()) {
                append_websocket_frame(to_client_, WebSocketOpcode::Binary, bytes);
            }
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(status_payload(kNormal));
        }
    }

    // What the socket takes now; false when it takes nothing any more.
    static bool flush(const sys::Fd& socket, std::string& bytes) {
        while (!bytes.empty()) {
            const ssize_t n =
                ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return errno == EAGAIN;
            bytes.erase(0, static_cast<std::size_t>(n));
        }
        return true;
    }

    WebSocketRelay relay_;
    WebSocketDecoder decoder_;
    WebSocketDecoder::Events events_;
    std::string to_client_;
    std::string to_inner_;
    bool closing_ = false;
};

}  // namespace

Result<void> relay_websocket(WebSocketRelay relay, const Cancel& cancel) {
    return Relaying(std::move(relay)).run(cancel);
}

}  // namespace coffer::http
