#include "http/server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <exception>

#include "base/log.hpp"
#include "http/address.hpp"
#include "http/connection.hpp"

namespace coffer::http {

namespace {

// Address space only: a page costs when it is touched. libnftables puts 64 KiB buffers on it.
constexpr std::size_t kStackSize = 1024 * 1024;
constexpr auto kHandshakeLimit = std::chrono::seconds(10);

Peer peer_of(int socket, bool is_unix) {
    Peer peer;
    peer.local = is_unix;
    if (!is_unix) {
        peer.address = peer_address(socket);
        return peer;
    }
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
        peer.pid = credentials.pid;
        peer.uid = credentials.uid;
        peer.gid = credentials.gid;
    }
    return peer;
}

bool is_unix_socket(int socket) {
    int domain = 0;
    socklen_t size = sizeof domain;
    return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

Result<void> start_thread(std::function<void()> body) {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, kStackSize);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    auto owned = std::make_unique<std::function<void()>>(std::move(body));
    pthread_t thread{};
    const int error = ::pthread_create(
        &thread, &attributes,
        [](void* argument) -> void* {
            const std::unique_ptr<std::function<void()>> run(
                static_cast<std::function<void()>*>(argument));
            (*run)();
            return nullptr;
        },
        owned.get());
    ::pthread_attr_destroy(&attributes);
    if (error != 0) return fail_with(error, "start thread");
    static_cast<void>(owned.release());
    return {};
}

}  // namespace

struct Server::Impl {
    Handler handler;
    ErrorReply error_reply;
    ServerOptions options;
    HangupWatcher hangups;
    Sync<std::size_t> connections;
    std::condition_variable ended;

    Impl(Handler handler_, ErrorReply error_reply_, ServerOptions options_)
        : handler(std::move(handler_)), error_reply(std::move(error_reply_)), options(options_) {}

    void accept(const Listener& listener, const Cancel& stop);
    void serve(sys::Fd socket, bool is_unix, const TlsContext* tls, const Cancel& stop);
    void turn_away(const sys::Fd& socket, const Error& error);
    void count_down();
};

void Server::Impl::accept(const Listener& listener, const Cancel& stop) {
    sys::Fd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
        if (errno == EMFILE || errno == ENFILE) {
            LOG_ERROR("accept on {}: {}", listener.name, errno_text(errno));
            // The connection stays in the queue: do not spin on it.
            static_cast<void>(wait_for(stop.fd(), POLLIN, nullptr, std::chrono::milliseconds(100)));
        }
        return;
    }
    {
        auto count = connections.lock();
        if (*count >= options.max_connections) {
            count.unlock();
            if (!listener.tls) turn_away(socket, {Code::Unavailable, 0, "too many connections"});
            return;
        }
        ++*count;
    }
    const int number = socket.get();
    auto shared = std::make_shared<sys::Fd>(std::move(socket));  // std::function copies
    const auto started = start_thread([this, shared, &listener, &stop] {
        serve(std::move(*shared), listener.is_unix, listener.tls.get(), stop);
        count_down();
    });
    if (!started) {
        LOG_ERROR("connection {}: {}", number, started.error().message);
        turn_away(*shared, started.error());
        count_down();
    }
}

void Server::Impl::turn_away(const sys::Fd& socket, const Error& error) {
    Reply reply = error_reply(error);
    reply.headers.set("Content-Length", format("{}", reply.body.size()));
    reply.headers.set("Connection", "close");
    const std::string text = write_response_head(503, reason(503), reply.headers) + reply.body;
    static_cast<void>(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

void Server::Impl::count_down() {
    // Notified under the lock: run() may end the server as soon as it sees zero.
    auto count = connections.lock();
    --*count;
    ended.notify_all();
}

void Server::Impl::serve(sys::Fd socket, bool is_unix, const TlsContext* tls, const Cancel& stop) {
    try {
        Peer peer = peer_of(socket.get(), is_unix);
        std::unique_ptr<Channel> channel;
        if (!is_unix) {
            const int on = 1;
            ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        }
        if (tls == nullptr) {
            channel = make_plain_channel(std::move(socket), &stop);
        } else {
            auto accepted = tls->accept(std::move(socket), &stop, kHandshakeLimit);
            if (!accepted) {
                LOG_INFO("connection of {}: {}", peer.address, accepted.error().message);
                return;
            }
            channel = *std::move(accepted);
            peer.tls = true;
            peer.certificate = peer_certificate_name(*channel);
        }
        Connection(*channel, std::move(peer), {handler, error_reply, options, hangups, stop})
            .serve();
    } catch (const std::exception& error) {
        LOG_ERROR("connection: {}", error.what());
    }
}

Server::Server(Handler handler, ErrorReply error_reply, ServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(handler), std::move(error_reply), options)) {}

Server::~Server() = default;

Result<void> Server::run(std::vector<Listener> listeners, const Cancel& stop) {
    std::vector<pollfd> polls;
    polls.reserve(listeners.size() + 1);
    for (const Listener& listener : listeners) polls.push_back({listener.socket.get(), POLLIN, 0});
    polls.push_back({stop.fd(), POLLIN, 0});
    while (polls.back().revents == 0) {
        if (::poll(polls.data(), polls.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return fail_errno("poll listeners");
        }
        for (std::size_t i = 0; i < listeners.size(); ++i) {
            if (polls[i].revents != 0) impl_->accept(listeners[i], stop);
        }
    }
    for (Listener& listener : listeners) listener.socket.reset();
    impl_->hangups.cancel_all();
    auto count = impl_->connections.lock();
    if (!count.wait_for(impl_->ended, impl_->options.end_limit, [&] { return *count == 0; })) {
        return fail(Code::Unavailable, "end the server: {} requests have not ended", *count);
    }
    return {};
}

void Server::serve(sys::Fd socket, const Cancel& stop) {
    const bool is_unix = is_unix_socket(socket.get());
    impl_->serve(std::move(socket), is_unix, nullptr, stop);
}

Result<Listener> listen_unix(const std::string& path, int group) {
    // A socket file is stale unless somebody answers on it.
    if (sys::connect_unix(path, SOCK_STREAM)) {
        return fail(Code::Conflict, "listen on '{}': another process listens there", path);
    }
    sys::Fd socket = TRY(sys::listen_unix(path, 0660, SOCK_STREAM, group));
    return Listener{std::move(socket), "unix://" + path, true, nullptr};
}

Result<Listener> listen_tcp(const std::string& host, std::uint16_t port,
                            std::shared_ptr<TlsContext> tls) {
    sys::Fd socket = TRY(listen_on({host, port}));
    return Listener{std::move(socket), format("tcp://{}:{}", host, port), false, std::move(tls)};
}

Result<Listener> adopt_listener(sys::Fd socket) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
        listening == 0) {
        return fail(Code::InvalidArgument, "inherited descriptor {} is no listening socket",
                    socket.get());
    }
    const bool is_unix = is_unix_socket(socket.get());
    return Listener{std::move(socket), "fd://", is_unix, nullptr};
}

}  // namespace coffer::http
