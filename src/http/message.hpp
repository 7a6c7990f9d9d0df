#pragma once
// HTTP messages: methods, headers, query, bodies, Request and Reply. Plain data but for BodyReader
// and StreamWriter; everything here belongs to the thread that serves the connection.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sync.hpp"
#include "sys/fd.hpp"

namespace coffer::http {

enum class Method { Get, Head, Post, Put, Patch, Delete, Options, Other };
Method parse_method(std::string_view text);
std::string_view to_text(Method method);

struct Header {
    std::string name;
    std::string value;
};

// Header fields in their order. Names compare without case.
class Headers {
  public:
    void add(std::string name, std::string value);
    // Replaces all fields of that name.
    void set(std::string name, std::string value);
    void remove(std::string_view name);
    const std::string* find(std::string_view name) const;  // the first; null when absent
    std::string_view get(std::string_view name) const;     // "" when absent
    bool has(std::string_view name) const { return find(name) != nullptr; }
    std::size_t count(std::string_view name) const;
    // True if one of the comma-separated elements of the fields of that name is `token`.
    bool has_token(std::string_view name, std::string_view token) const;
    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }
    std::size_t size() const { return fields_.size(); }

  private:
    std::vector<Header> fields_;
};

// Decoded query parameters in their order.
class Query {
  public:
    static Result<Query> parse(std::string_view text);
    void add(std::string name, std::string value);
    const std::string* find(std::string_view name) const;  // the first; null when absent
    std::string_view get(std::string_view name) const;     // "" when absent
    bool has(std::string_view name) const { return find(name) != nullptr; }
    std::vector<std::string> all(std::string_view name) const;
    auto begin() const { return parameters_.begin(); }
    auto end() const { return parameters_.end(); }
    std::string encode() const;  // "a=1&b=x%20y", "" when there are none

  private:
    std::vector<Header> parameters_;
};

std::string percent_encode(std::string_view text);  // all but unreserved characters
std::optional<std::string> percent_decode(std::string_view text);
// The standard phrase of a status: "Not Found".
std::string_view reason(int status);

// A body that is read as it arrives.
class BodyReader {
  public:
    BodyReader() = default;
    virtual ~BodyReader() = default;
    BodyReader(const BodyReader&) = delete;
    BodyReader& operator=(const BodyReader&) = delete;
    BodyReader(BodyReader&&) = delete;
    BodyReader& operator=(BodyReader&&) = delete;

    // Blocks for at least one byte; 0 is the end of the body. A truncated body is an error.
    virtual Result<std::size_t> read(char* to, std::size_t size) = 0;
    // True when there is no body, or all of it was read.
    virtual bool at_end() const = 0;
    // The rest of the body; more than `limit` bytes is an error.
    Result<std::string> read_all(std::size_t limit);
};

// Who is on the other side.
struct Peer {
    bool local = false;  // a unix socket: pid, uid and gid are of the process that connected
    int pid = -1;
    unsigned uid = ~0U;
    unsigned gid = ~0U;
    std::string address;      // "127.0.0.1:4711" on tcp
    bool tls = false;         // encrypted
    std::string certificate;  // subject name of a verified client certificate
};

struct Request {
    Method method = Method::Get;
    std::string method_text;  // as sent
    std::string target;       // as sent
    std::string path;         // decoded, without the query
    Query query;
    Headers headers;
    int minor_version = 1;  // of HTTP/1.x
    Peer peer;
    BodyReader* body = nullptr;  // never null in a handler
    // Cancelled when the client hangs up or the server stops; for engine calls that block. Made on
    // first use, never null in a handler.
    std::function<Cancel&()> hangup;
};

// The sending side of a streamed reply. The head goes out with the first write or begin(), so that
// a stream that fails before that is answered by a real error status.
class StreamWriter {
  public:
    enum class Wake { Ready, Timeout, Closed };

    StreamWriter() = default;
    virtual ~StreamWriter() = default;
    StreamWriter(const StreamWriter&) = delete;
    StreamWriter& operator=(const StreamWriter&) = delete;
    StreamWriter(StreamWriter&&) = delete;
    StreamWriter& operator=(StreamWriter&&) = delete;

    // Sends the head now.
    virtual Result<void> begin() = 0;
    // Sent at once. Fails with Cancelled when the client has gone.
    virtual Result<void> write(std::string_view bytes) = 0;
    // True when the client has hung up or the server stops.
    virtual bool closed() = 0;
    // Waits for `fd` (-1: none) to be readable, for the time to pass, or for closed().
    virtual Wake wait(int fd, std::optional<std::chrono::milliseconds> limit = {}) = 0;
};

// A connection after a hijack. `fd` is a socket that can be passed to another process (over TLS it
// is one end of a socket pair that the server relays).
struct Upgraded {
    sys::Fd fd;
    // Server: the head of the reply, not sent yet: write it to `fd` before anything else, and only
    // once the stream is registered with who feeds it, because the client goes on as soon as it
    // has it. Client: empty.
    std::string greeting;
    // What the peer has sent already; it comes before all that can be read from `fd`.
    std::string early;
};

// The answer to a request.
struct Reply {
    using Stream = std::function<Result<void>(StreamWriter&)>;
    using Upgrade = std::function<void(Upgraded)>;

    int status = 200;
    Headers headers;
    std::string body;                     // buffered replies
    Stream stream_function;               // set: chunked, runs on the connection's thread
    std::optional<std::uint64_t> length;  // of what the stream writes: then it is not chunked
    Upgrade upgrade_function;             // set: hijack; runs on the connection's thread

    static Reply empty(int status);
    static Reply text(int status, std::string body);  // text/plain; charset=utf-8
    static Reply json(int status, std::string body);  // application/json
    // The Request (with its body) is alive while `run` runs.
    static Reply stream(int status, std::string content_type, Stream run);
    // 101 UPGRADED when the client sent an Upgrade header, 200 and the raw bytes otherwise.
    static Reply upgrade(std::string content_type, Upgrade run);
};

}  // namespace coffer::http
