#pragma once
// The grammar of HTTP/1.1 (RFC 9112), strict: what two readers could take differently is refused.
// Pure functions; a ChunkDecoder belongs to one thread.

#include <optional>

#include "http/message.hpp"

namespace coffer::http {

// A head must fit; more is answered with 431.
constexpr std::size_t kMaxHead = 64 * 1024;
constexpr std::size_t kMaxFields = 256;

struct RequestHead {
    std::string method;
    std::string target;
    int minor_version = 1;
    Headers headers;
};
struct ResponseHead {
    int status = 0;
    int minor_version = 1;
    Headers headers;
};

// Bytes up to and with the blank line; nullopt while it has not come. A search can go on at `from`,
// the size of the buffer at the last try.
std::optional<std::size_t> find_head_end(std::string_view buffer, std::size_t from = 0);
// `head` with its blank line.
Result<RequestHead> parse_request_head(std::string_view head);
Result<ResponseHead> parse_response_head(std::string_view head);

// How the length of a body is told.
struct Framing {
    enum class Kind { None, Length, Chunked, UntilClose };
    Kind kind = Kind::None;
    std::uint64_t length = 0;
};
// Refuses both Content-Length and Transfer-Encoding, repeated lengths, and codings but "chunked".
Result<Framing> request_framing(const RequestHead& head);
Result<Framing> response_framing(const ResponseHead& head, Method request);
bool keeps_alive(int minor_version, const Headers& headers);

// Chunked coding. Takes input as it comes and tells what is data.
class ChunkDecoder {
  public:
    struct Step {
        std::size_t consumed = 0;  // of the input
        std::string_view data;     // within the input
    };
    // Takes at most one line or `max_data` bytes of data. Nothing consumed: more input is needed.
    Result<Step> step(std::string_view input, std::size_t max_data);
    bool done() const { return state_ == State::Done; }

  private:
    enum class State { Size, Data, DataEnd, Trailer, Done };
    State state_ = State::Size;
    std::uint64_t left_ = 0;
    std::size_t trailer_bytes_ = 0;
};

// "<size in hex>\r\n"; the chunk's bytes and "\r\n" follow.
std::string chunk_head(std::size_t size);
std::string write_request_head(Method method, std::string_view target, const Headers& headers);
std::string write_response_head(int status, std::string_view phrase, const Headers& headers);

}  // namespace coffer::http
