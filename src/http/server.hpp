#pragma once
// A blocking HTTP/1.1 server, one thread per connection, on unix sockets, tcp and TLS. The handler
// is called from many threads at once.

#include <cstdint>

#include "http/message.hpp"
#include "http/tls.hpp"

namespace coffer::http {

struct Listener {
    sys::Fd socket;
    std::string name;  // "unix:///run/coffer.sock", for logs
    bool is_unix = true;
    std::shared_ptr<TlsContext> tls;  // null: plain
};
// Mode 0660; `group` -1 leaves the group.
Result<Listener> listen_unix(const std::string& path, int group);
Result<Listener> listen_tcp(const std::string& host, std::uint16_t port,
                            std::shared_ptr<TlsContext> tls);
// A listening socket that was inherited (systemd's socket activation).
Result<Listener> adopt_listener(sys::Fd socket);

struct ServerOptions {
    std::size_t max_connections = 512;                                // above: 503
    std::chrono::milliseconds head_limit = std::chrono::seconds(30);  // head of a begun request
    std::chrono::milliseconds idle_limit = std::chrono::minutes(10);  // between requests
    // Of a body, in either direction, without a byte; absent: a peer may take its time.
    std::optional<std::chrono::milliseconds> stall_limit = {};
    std::chrono::milliseconds end_limit = std::chrono::seconds(10);  // of requests, at the stop
};

class Server {
  public:
    using Handler = std::function<Reply(const Request&)>;
    // What is answered for an error of the protocol itself and for a stream that failed before its
    // first byte.
    using ErrorReply = std::function<Reply(const Error&)>;

    Server(Handler handler, ErrorReply error_reply, ServerOptions options = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    Server(Server&&) = delete;
    Server& operator=(Server&&) = delete;

    // Accepts until `stop`; returns when all connections have ended. Fails with Unavailable when
    // some do not: their threads go on, and the server must stay.
    Result<void> run(std::vector<Listener> listeners, const Cancel& stop);
    // Serves one connected plain socket on the calling thread until it closes; for tests.
    void serve(sys::Fd socket, const Cancel& stop);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::http
