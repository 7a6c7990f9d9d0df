#include "logger/receiver.hpp"

#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <thread>

namespace coffer::logger {

namespace {

constexpr auto kConnectLimit = std::chrono::seconds(10);
constexpr auto kSendLimit = std::chrono::seconds(10);  // for the receiver to take anything
constexpr auto kLookAgain = std::chrono::milliseconds(10);
constexpr const char* kSyslogSockets[] = {"/dev/log", "/var/run/syslog", "/var/run/log"};

Result<void> wait_for(int fd, short events, std::chrono::milliseconds limit) {
    const auto ready = TRY(http::wait_for(fd, events, nullptr, limit));
    if (ready == http::Readiness::TimedOut) return fail(Code::Unavailable, "i/o timeout");
    return {};
}

std::string go_text(int error) {
    return to_lower(errno_text(error));
}

Result<sys::Fd> connect_to(int family, int type, const sockaddr* address, socklen_t size) {
    sys::Fd socket(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return fail(Code::Unavailable, "socket: {}", go_text(errno));
    int error = ::connect(socket.get(), address, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        TRY(wait_for(socket.get(), POLLOUT, kConnectLimit));
        socklen_t length = sizeof error;
        ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    }
    if (error != 0) return fail(Code::Unavailable, "connect: {}", go_text(error));
    return socket;
}

}  // namespace

Result<void> Receiver::use_tls(const http::TlsFiles& files, bool skip_verify) {
    tls_ = TRY(http::TlsContext::client(
        files, skip_verify ? http::TlsContext::Verify::Nothing : http::TlsContext::Verify::Peer));
    return {};
}

void Receiver::close() {
    channel_.reset();
    socket_.reset();
}

Result<void> Receiver::connect() {
    close();
    sys::Fd socket = TRY(open_socket());
    if (tls_ == nullptr) {
        socket_ = std::move(socket);
        return {};
    }
    channel_ = TRY_CONTEXT(tls_->connect(std::move(socket), address_.host, nullptr, kConnectLimit),
                           "{}", address_.dial());
    return {};
}

Result<sys::Fd> Receiver::open_socket() const {
    if (!address_.is_unix()) return connect_inet();
    if (!address_.path.empty()) {
        return TRY_CONTEXT(connect_unix(address_.path), "{}", address_.dial());
    }
    for (const char* path : kSyslogSockets) {
        auto socket = connect_unix(path);
        if (socket) return socket;
    }
    return fail(Code::Unavailable, "Unix syslog delivery error");
}

Result<sys::Fd> Receiver::connect_unix(const std::string& path) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return fail(Code::InvalidArgument, "the path is too long");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    const int type = address_.kind == logs::Address::Kind::UnixStream ? SOCK_STREAM : SOCK_DGRAM;
    return connect_to(AF_UNIX, type, generic, sizeof address);
}

// Every address of the name in turn; the last error counts.
Result<sys::Fd> Receiver::connect_inet() const {
    addrinfo hints{};
    hints.ai_socktype = address_.kind == logs::Address::Kind::Udp ? SOCK_DGRAM : SOCK_STREAM;
    addrinfo* found = nullptr;
    const int status = ::getaddrinfo(address_.host.c_str(), address_.port.c_str(), &hints, &found);
    if (status != 0) {
        return fail(Code::Unavailable, "{}: lookup {}: {}", address_.dial(), address_.host,
                    to_lower(::gai_strerror(status)));
    }
    Result<sys::Fd> socket = fail(Code::Unavailable, "no such host");
    for (const addrinfo* one = found; one != nullptr && !socket; one = one->ai_next) {
        socket = connect_to(one->ai_family, one->ai_socktype, one->ai_addr, one->ai_addrlen);
    }
    ::freeaddrinfo(found);
    return TRY_CONTEXT(std::move(socket), "{}", address_.dial());
}

// A stream that the receiver has closed still takes one write, which is lost.
bool Receiver::has_hung_up() const {
    char byte = 0;
    return socket_ && !is_datagram() &&
           ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

Result<void> Receiver::send(std::string_view bytes) {
    if (has_hung_up()) close();
    if (!socket_ && channel_ == nullptr) TRY(connect());
    auto sent = send_all(bytes);
    if (!sent) close();
    return sent;
}

Result<void> Receiver::send_all(std::string_view bytes) {
    if (channel_ != nullptr) return channel_->write(bytes, kSendLimit);
    for (;;) {
        const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
            if (is_datagram() || bytes.empty()) return {};
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            return fail(Code::Unavailable, "{}: write: {}", address_.dial(), go_text(errno));
        }
        TRY_CONTEXT(wait_for(socket_.get(), POLLOUT, kSendLimit), "{}: write", address_.dial());
    }
}

// close() throws away what was not sent yet if anything was not read, such as a ticket of TLS.
void Receiver::finish() {
    const int fd = channel_ != nullptr ? channel_->fd() : socket_.get();
    const auto deadline = std::chrono::steady_clock::now() + kSendLimit;
    while (fd >= 0 && !is_datagram() && std::chrono::steady_clock::now() < deadline) {
        ignore(receive(std::chrono::milliseconds(0)), "there need not be any");
        int unsent = 0;
        if (::ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent == 0) break;
        std::this_thread::sleep_for(kLookAgain);
    }
    close();
}

Result<std::string> Receiver::receive(std::chrono::milliseconds limit) {
    std::string bytes(4096, '\0');
    if (channel_ != nullptr) {
        bytes.resize(TRY(channel_->read(bytes.data(), bytes.size(), limit)));
        return bytes;
    }
    TRY(wait_for(socket_.get(), POLLIN, limit));
    const ssize_t n = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (n <= 0) return fail(Code::Unavailable, "{}: read: connection closed", address_.dial());
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
}

}  // namespace coffer::logger
