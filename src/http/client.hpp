#pragma once
// A small blocking HTTP/1.1 client over unix sockets, tcp and TLS with keep-alive, streamed bodies
// and hijack. A Client is safe from any thread (each call has a connection of its own); a Response
// belongs to one thread and must go before its Client.

#include "http/message.hpp"
#include "http/tls.hpp"

namespace coffer::http {

struct Endpoint {
    bool is_unix = true;
    std::string path;  // of the unix socket
    std::string host;
    std::uint16_t port = 0;
    std::shared_ptr<TlsContext> tls;  // null: plain
};
// "unix:///run/coffer.sock", "tcp://host:2375", "http://host:2375". The port defaults to 2375.
Result<Endpoint> parse_endpoint(std::string_view text);

struct Call {
    Method method = Method::Get;
    std::string target = {};  // path and query, encoded
    Headers headers = {};     // Host, Content-Length and the like are added
    std::string body = {};    // with its type in `headers`
    // Set: a chunked body instead; fills the buffer and returns how much, 0 at the end.
    std::function<Result<std::size_t>(char* to, std::size_t size)> source = {};
};

class Response {
  public:
    struct Impl;
    explicit Response(std::unique_ptr<Impl> impl);
    ~Response();
    Response(Response&&) noexcept;
    Response& operator=(Response&&) noexcept;
    Response(const Response&) = delete;
    Response& operator=(const Response&) = delete;

    int status() const;
    const Headers& headers() const;
    // The decoded body. Once it was read to its end the connection is used again.
    BodyReader& body();
    // For poll(): readable when body() has more, unless has_buffered().
    int fd() const;
    bool has_buffered() const;

  private:
    std::unique_ptr<Impl> impl_;
};

class Client {
  public:
    struct Impl;
    explicit Client(Endpoint endpoint);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    Client(Client&&) = delete;
    Client& operator=(Client&&) = delete;

    // Returns as soon as the head of the response is here, whatever its status.
    Result<Response> send(const Call& call);
    // Asks for an upgrade (Connection: Upgrade, Upgrade: `protocol`). Not `upgraded`: the server
    // answered with a plain response.
    struct UpgradeResult {
        std::optional<Upgraded> upgraded;
        int status = 0;
        Headers headers;
        std::string body;  // of a refusal, at most 1 MiB
    };
    Result<UpgradeResult> upgrade(const Call& call, std::string_view protocol = "tcp");

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::http
