#include "http/address.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <limits>
#include <memory>

#include "http/channel.hpp"

namespace coffer::http {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> resolve(const HostPort& address, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    const int rc = ::getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                                 format("{}", address.port).c_str(), &hints, &found);
    if (rc != 0) {
        return fail(Code::Unavailable, "resolve '{}': {}", address.host, ::gai_strerror(rc));
    }
    return Addresses(found, &::freeaddrinfo);
}

void set_option(int socket, int level, int name) {
    const int on = 1;
    ::setsockopt(socket, level, name, &on, sizeof on);
}

Result<void> finish_connect(int socket, const Cancel* cancel, std::chrono::milliseconds limit) {
    switch (TRY(wait_for(socket, POLLOUT, cancel, limit))) {
        case Readiness::Ready:
            break;
        case Readiness::TimedOut:
            return fail(Code::Unavailable, "timed out");
        case Readiness::Cancelled:
            return fail(Code::Cancelled, "cancelled");
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(Code::Unavailable, "{}", errno_text(error));
    return {};
}

Result<sys::Fd> connect_one(const addrinfo& to, const Cancel* cancel,
                            std::chrono::milliseconds limit) {
    sys::Fd socket(::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return fail_errno("create socket");
    if (::connect(socket.get(), to.ai_addr, to.ai_addrlen) != 0) {
        if (errno != EINPROGRESS) return fail_errno("connect");
        TRY(finish_connect(socket.get(), cancel, limit));
    }
    // Blocking again: the socket may be handed on as it is.
    ::fcntl(socket.get(), F_SETFL, 0);
    set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY);
    return socket;
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
    std::string_view host = text;
    std::string_view port;
    if (text.substr(0, 1) == "[") {
        const auto sides = cut(text.substr(1), "]");
        if (!sides || (!sides->second.empty() && sides->second[0] != ':')) {
            return fail(Code::InvalidArgument, "invalid address '{}'", text);
        }
        host = sides->first;
        if (!sides->second.empty()) port = sides->second.substr(1);
    } else if (const auto sides = cut(text, ":")) {
        host = sides->first;
        port = sides->second;
    }
    HostPort address{std::string(host), default_port};
    if (port.empty()) return address;
    const auto number = parse_uint(port);
    if (!number || *number > std::numeric_limits<std::uint16_t>::max()) {
        return fail(Code::InvalidArgument, "invalid port in address '{}'", text);
    }
    address.port = static_cast<std::uint16_t>(*number);
    return address;
}

bool is_loopback(std::string_view host) {
    const std::string text(host);
    in_addr v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
    in6_addr v6{};
    if (::inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return equals_ignoring_case(host, "localhost");
}

Result<sys::Fd> listen_on(const HostPort& address) {
    const Addresses found = TRY(resolve(address, AI_PASSIVE | AI_NUMERICSERV));
    sys::Fd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("create socket");
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR);
    if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
        ::listen(socket.get(), SOMAXCONN) != 0) {
        return fail_errno("listen on '{}:{}'", address.host, address.port);
    }
    return socket;
}

Result<sys::Fd> connect_to(const HostPort& address, const Cancel* cancel,
                           std::chrono::milliseconds limit) {
    const Addresses found = TRY(resolve(address, AI_NUMERICSERV));
    Error last;
    for (const addrinfo* to = found.get(); to != nullptr; to = to->ai_next) {
        auto socket = connect_one(*to, cancel, limit);
        if (socket) return socket;
        last = socket.error();
    }
    return wrap(std::move(last), format("connect to '{}:{}'", address.host, address.port));
}

std::string peer_address(int socket) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (::getpeername(socket, address, &size) != 0) return {};
    std::string host(NI_MAXHOST, '\0');
    std::string port(NI_MAXSERV, '\0');
    if (::getnameinfo(address, size, host.data(), NI_MAXHOST, port.data(), NI_MAXSERV,
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return {};
    }
    const std::string host_text = host.c_str();
    if (host_text.find(':') != std::string::npos) return format("[{}]:{}", host_text, port.c_str());
    return format("{}:{}", host_text, port.c_str());
}

}  // namespace coffer::http
