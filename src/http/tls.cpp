#include "http/tls.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <thread>

namespace coffer::http {

namespace {

using SslPtr = std::unique_ptr<SSL, decltype(&::SSL_free)>;

constexpr std::size_t kRelaySize = 16 * 1024;

std::string openssl_error() {
    std::array<char, 256> text{};
    const unsigned long code = ::ERR_get_error();
    ::ERR_clear_error();
    if (code == 0) return "connection closed";
    ::ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

class TlsChannel final : public Channel {
  public:
    TlsChannel(sys::Fd socket, SslPtr ssl, const Cancel* cancel)
        : socket_(std::move(socket)), ssl_(std::move(ssl)), cancel_(cancel) {}
    ~TlsChannel() override {
        if (relay_.joinable()) relay_.join();
        if (ssl_ && healthy_) ::SSL_shutdown(ssl_.get());
    }
    TlsChannel(const TlsChannel&) = delete;
    TlsChannel& operator=(const TlsChannel&) = delete;
    TlsChannel(TlsChannel&&) = delete;
    TlsChannel& operator=(TlsChannel&&) = delete;

    Result<std::size_t> read(char* to, std::size_t size, Limit limit) override {
        std::size_t n = 0;
        while (::SSL_read_ex(ssl_.get(), to, size, &n) != 1) {
            const int why = ::SSL_get_error(ssl_.get(), 0);
            if (why == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
            TRY(wait_for_ssl(why, limit, "read"));
        }
        return n;
    }

    using Channel::write;
    Result<void> write(std::span<const std::string_view> parts, Limit limit) override {
        // One record for a small head and its body.
        std::string joined;
        for (const std::string_view part : parts) joined += part;
        std::string_view left = joined;
        while (!left.empty()) {
            std::size_t n = 0;
            if (::SSL_write_ex(ssl_.get(), left.data(), left.size(), &n) == 1) {
                left.remove_prefix(n);
            } else {
                TRY(wait_for_ssl(::SSL_get_error(ssl_.get(), 0), limit, "write"));
            }
        }
        return {};
    }

    Result<void> handshake(Limit limit) {
        for (;;) {
            const int rc = ::SSL_do_handshake(ssl_.get());
            if (rc == 1) return {};
            TRY(wait_for_ssl(::SSL_get_error(ssl_.get(), rc), limit, "TLS handshake"));
        }
    }

    int fd() const override { return socket_.get(); }
    bool has_buffered() const override { return ::SSL_has_pending(ssl_.get()) == 1; }
    SSL* ssl() const { return ssl_.get(); }

    Result<sys::Fd> detach(std::string& early) override {
        sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_STREAM));
        relay_ = std::thread([this, near = std::move(pair.ours), first = std::exchange(early, {})] {
            relay(near, first);
        });
        return std::move(pair.theirs);
    }

  private:
    Result<void> wait_for_ssl(int why, Limit limit, std::string_view what) {
        if (!still_healthy(why)) return fail(Code::Cancelled, "{}: {}", what, openssl_error());
        const short events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        switch (TRY(wait_for(socket_.get(), events, cancel_, limit))) {
            case Readiness::Ready:
                return {};
            case Readiness::TimedOut:
                return fail(Code::Unavailable, "{}: timed out", what);
            case Readiness::Cancelled:
                return fail(Code::Cancelled, "{}: cancelled", what);
        }
        return {};
    }

    // One direction of the relay: nothing is read while something waits to be written.
    struct Flow {
        std::string pending;
        bool open = true;
    };

    // Carries bytes between TLS and `near` until both directions have ended. One thread only may
    // use an SSL, so both directions take turns here and neither may block the other.
    void relay(const sys::Fd& near, std::string first) {
        Flow in{std::move(first)};
        Flow out;
        while (healthy_ && (in.open || out.open)) {
            const bool buffered = in.open && in.pending.empty() && has_buffered();
            std::array<pollfd, 3> polls{{{near.get(), 0, 0},
                                         {socket_.get(), 0, 0},
                                         {cancel_ == nullptr ? -1 : cancel_->fd(), POLLIN, 0}}};
            const auto want = [](pollfd& poll, bool wanted, short event) {
                if (wanted) poll.events = static_cast<short>(poll.events | event);
            };
            want(polls[0], out.open && out.pending.empty(), POLLIN);
            want(polls[0], !in.pending.empty(), POLLOUT);
            want(polls[1], in.open && in.pending.empty(), POLLIN);
            want(polls[1], !out.pending.empty(), POLLOUT);
            if (polls[1].events == 0) polls[1].fd = -1;  // its POLLHUP would spin
            if (::poll(polls.data(), polls.size(), buffered ? 0 : -1) < 0 && errno != EINTR) return;
            if (polls[2].revents != 0) return;
            if (out.open && out.pending.empty() && polls[0].revents != 0) read_near(near, out);
            if (!out.pending.empty()) write_ssl(out);
            if (in.open && in.pending.empty() && (buffered || polls[1].revents != 0)) read_ssl(in);
            if (!in.pending.empty() || !in.open) write_near(near, in);
            if (!out.open && (polls[0].revents & POLLHUP) != 0) return;  // nobody reads there
        }
    }

    void read_near(const sys::Fd& near, Flow& out) {
        out.pending.resize(kRelaySize);
        const ssize_t n = ::recv(near.get(), out.pending.data(), kRelaySize, MSG_DONTWAIT);
        out.pending.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
        out.open = false;
        ::SSL_shutdown(ssl_.get());
    }

    void write_ssl(Flow& out) {
        std::size_t n = 0;
        if (::SSL_write_ex(ssl_.get(), out.pending.data(), out.pending.size(), &n) == 1) {
            out.pending.erase(0, n);
        } else {
            still_healthy(::SSL_get_error(ssl_.get(), 0));
        }
    }

    void read_ssl(Flow& in) {
        std::size_t n = 0;
        in.pending.resize(kRelaySize);
        const bool read = ::SSL_read_ex(ssl_.get(), in.pending.data(), kRelaySize, &n) == 1;
        const int why = read ? SSL_ERROR_NONE : ::SSL_get_error(ssl_.get(), 0);
        in.pending.resize(n);
        if (why == SSL_ERROR_ZERO_RETURN || (!read && !still_healthy(why))) in.open = false;
    }

    void write_near(const sys::Fd& near, Flow& in) {
        const ssize_t n =
            ::send(near.get(), in.pending.data(), in.pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) in.pending.erase(0, static_cast<std::size_t>(n));
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            in.pending.clear();
            in.open = false;
        }
        if (!in.open && in.pending.empty()) ::shutdown(near.get(), SHUT_WR);
    }

    bool still_healthy(int why) {
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) healthy_ = false;
        return healthy_;
    }

    sys::Fd socket_;
    SslPtr ssl_;
    const Cancel* cancel_;
    bool healthy_ = true;
    std::thread relay_;
};

using ContextPtr = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;

Result<ContextPtr> make_context(const SSL_METHOD* method, const TlsFiles& files) {
    ContextPtr context(::SSL_CTX_new(method), &::SSL_CTX_free);
    if (!context) return fail(Code::Internal, "create TLS context: {}", openssl_error());
    ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    ::SSL_CTX_set_mode(context.get(),
                       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ::SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (!files.cert.empty() || !files.key.empty()) {
        if (::SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
            return fail(Code::InvalidArgument, "could not load X509 certificate '{}': {}",
                        files.cert, openssl_error());
        }
        if (::SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) !=
                1 ||
            ::SSL_CTX_check_private_key(context.get()) != 1) {
            return fail(Code::InvalidArgument, "could not load X509 key '{}': {}", files.key,
                        openssl_error());
        }
    }
    if (!files.ca.empty() &&
        ::SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) != 1) {
        return fail(Code::InvalidArgument, "could not read CA certificate '{}': {}", files.ca,
                    openssl_error());
    }
    return context;
}

// The name that the server's certificate must carry: an address or a host name, also for SNI.
bool expect_host(SSL* ssl, const std::string& host) {
    std::array<unsigned char, 16> address{};
    X509_VERIFY_PARAM* parameters = ::SSL_get0_param(ssl);
    if (::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
        ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1) {
        return ::X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1;
    }
    return ::SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                      const_cast<char*>(host.c_str())) == 1 &&
           ::X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size()) == 1;
}

Result<std::unique_ptr<TlsChannel>> make_channel(SSL_CTX* context, sys::Fd socket,
                                                 const Cancel* cancel) {
    SslPtr ssl(::SSL_new(context), &::SSL_free);
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (!ssl || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
        ::SSL_set_fd(ssl.get(), socket.get()) != 1) {
        return fail(Code::Internal, "create TLS connection: {}", openssl_error());
    }
    return std::make_unique<TlsChannel>(std::move(socket), std::move(ssl), cancel);
}

}  // namespace

struct TlsContext::Impl {
    ContextPtr context;
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::server(const TlsFiles& files) {
    if (files.cert.empty() || files.key.empty()) {
        return fail(Code::InvalidArgument, "TLS needs a certificate and a key");
    }
    ContextPtr context = TRY(make_context(::TLS_server_method(), files));
    if (!files.ca.empty()) {
        ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                             nullptr);
        ::SSL_CTX_set_client_CA_list(context.get(), ::SSL_load_client_CA_file(files.ca.c_str()));
    }
    // Resumed sessions carry no fresh proof of the client's certificate.
    ::SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(context.get(), 0);
    return std::shared_ptr<TlsContext>(
        new TlsContext(std::make_unique<Impl>(Impl{std::move(context)})));
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(const TlsFiles& files, Verify verify) {
    ContextPtr context = TRY(make_context(::TLS_client_method(), files));
    if (files.ca.empty()) ::SSL_CTX_set_default_verify_paths(context.get());
    ::SSL_CTX_set_verify(context.get(), verify == Verify::Peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                         nullptr);
    return std::shared_ptr<TlsContext>(
        new TlsContext(std::make_unique<Impl>(Impl{std::move(context)})));
}

Result<std::unique_ptr<Channel>> TlsContext::accept(sys::Fd socket, const Cancel* cancel,
                                                    Channel::Limit limit) const {
    auto channel = TRY(make_channel(impl_->context.get(), std::move(socket), cancel));
    ::SSL_set_accept_state(channel->ssl());
    TRY(channel->handshake(limit));
    return std::unique_ptr<Channel>(std::move(channel));
}

Result<std::unique_ptr<Channel>> TlsContext::connect(sys::Fd socket, const std::string& host,
                                                     const Cancel* cancel,
                                                     Channel::Limit limit) const {
    auto channel = TRY(make_channel(impl_->context.get(), std::move(socket), cancel));
    ::SSL_set_connect_state(channel->ssl());
    if (!expect_host(channel->ssl(), host)) {
        return fail(Code::InvalidArgument, "invalid host name '{}'", host);
    }
    TRY(channel->handshake(limit));
    return std::unique_ptr<Channel>(std::move(channel));
}

std::string peer_certificate_name(const Channel& channel) {
    const auto* tls = dynamic_cast<const TlsChannel*>(&channel);
    if (tls == nullptr) return {};
    const X509* certificate = ::SSL_get0_peer_certificate(tls->ssl());
    if (certificate == nullptr || ::SSL_get_verify_result(tls->ssl()) != X509_V_OK) return {};
    std::array<char, 256> name{};
    ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName, name.data(),
                                static_cast<int>(name.size()));
    return name.data();
}

}  // namespace coffer::http
