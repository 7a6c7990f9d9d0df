#pragma once
// The connection of coffer-logger with who takes the log. Blocks, but never for long. One thread.

#include <chrono>
#include <memory>

#include "http/tls.hpp"
#include "logs/address.hpp"

namespace coffer::logger {

class Receiver {
  public:
    explicit Receiver(logs::Address address) : address_(std::move(address)) {}

    // For an address with TLS.
    Result<void> use_tls(const http::TlsFiles& files, bool skip_verify);
    // Errors are Go's: "dial tcp 127.0.0.1:514: connect: connection refused".
    Result<void> connect();
    // One datagram, or bytes of the stream. Connects first where there is no connection; after a
    // failure there is none.
    Result<void> send(std::string_view bytes);
    // Bytes of an answer; an error when none come within `limit`.
    Result<std::string> receive(std::chrono::milliseconds limit);
    bool is_datagram() const { return address_.is_datagram(); }
    // Closes once the peer has everything, or after a while.
    void finish();
    void close();

  private:
    Result<sys::Fd> open_socket() const;
    Result<sys::Fd> connect_unix(const std::string& path) const;
    Result<sys::Fd> connect_inet() const;
    Result<void> send_all(std::string_view bytes);
    bool has_hung_up() const;

    logs::Address address_;
    std::shared_ptr<http::TlsContext> tls_;
    sys::Fd socket_;
    std::unique_ptr<http::Channel> channel_;  // of TLS; it owns the socket then
};

}  // namespace coffer::logger
