#pragma once
// TLS 1.2 and newer by OpenSSL, for the server and the client. A TlsContext may be shared between
// threads; a channel belongs to one.

#include "http/channel.hpp"

namespace coffer::http {

struct TlsFiles {
    std::string ca;    // verify the peer against it; empty: the system's (client), none (server)
    std::string cert;  // our certificate chain, PEM
    std::string key;
};

class TlsContext {
  public:
    // A client certificate signed by `ca` is required when `ca` is given.
    static Result<std::shared_ptr<TlsContext>> server(const TlsFiles& files);
    enum class Verify { Peer, Nothing };
    static Result<std::shared_ptr<TlsContext>> client(const TlsFiles& files, Verify verify);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    TlsContext(TlsContext&&) = delete;
    TlsContext& operator=(TlsContext&&) = delete;

    // Both do the whole handshake within `limit`.
    Result<std::unique_ptr<Channel>> accept(sys::Fd socket, const Cancel* cancel,
                                            Channel::Limit limit) const;
    Result<std::unique_ptr<Channel>> connect(sys::Fd socket, const std::string& host,
                                             const Cancel* cancel, Channel::Limit limit) const;

  private:
    struct Impl;
    explicit TlsContext(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// The subject's common name of the peer's verified certificate; "" when there is none.
std::string peer_certificate_name(const Channel& channel);

}  // namespace coffer::http
