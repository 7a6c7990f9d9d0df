#include "shim/control.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.hpp"

namespace coffer::shim {

namespace {

// An engine that has been stopped must not stop us for longer.
constexpr timeval kSendLimit{2, 0};

Result<void> check_peer(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return fail_errno("ask who connects");
    }
    if (peer.uid != ::geteuid()) {
        return fail(Code::Forbidden, "user {} may not control a container", peer.uid);
    }
    return {};
}

}  // namespace

Control::Control(sys::Reactor& reactor, Events events)
    : reactor_(reactor), events_(std::move(events)) {}

Control::~Control() {
    if (connection_) reactor_.remove(connection_.get());
    stop_listening();
}

Result<void> Control::take_over(sys::Fd connection) {
    if (::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof kSendLimit) !=
        0) {
        return fail_errno("limit the time of a send");
    }
    if (connection_) reactor_.remove(connection_.get());
    connection_ = std::move(connection);
    TRY(reactor_.add(connection_.get(), sys::kReadable,
                     [this](std::uint32_t) { on_connection(); }));
    send(events_.hello());
    return {};
}

Result<void> Control::listen(const std::string& path) {
    listener_ = TRY(sys::listen_unix(path, 0600, SOCK_SEQPACKET));
    path_ = path;
    return reactor_.add(listener_.get(), sys::kReadable, [this](std::uint32_t) { on_listener(); });
}

void Control::stop_listening() {
    if (!listener_) return;
    reactor_.remove(listener_.get());
    listener_.reset();
    ::unlink(path_.c_str());
}

void Control::send(const FromShim& message) {
    if (!connection_) return;
    const auto sent = sys::send_message(connection_.get(), encode(message));
    if (!sent) {
        LOG_WARN("engine: {}", sent.error().message);
        close();
    }
}

void Control::on_connection() {
    auto message = sys::receive_message(connection_.get());
    if (!message) LOG_WARN("engine: {}", message.error().message);
    if (!message || message->payload.empty()) return close();
    const auto envelope = decode_request(message->payload);
    if (!envelope) {
        LOG_ERROR("request of the engine: {}", envelope.error().message);
        return close();
    }
    events_.request(*envelope, std::move(message->fds));
}

void Control::on_listener() {
    sys::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    auto taken = check_peer(connection.get());
    if (taken) taken = take_over(std::move(connection));
    if (!taken) LOG_WARN("connection refused: {}", taken.error().message);
}

void Control::close() {
    reactor_.remove(connection_.get());
    connection_.reset();
    // From the loop: who sends does not expect to be ended by it.
    reactor_.after(std::chrono::milliseconds(0), [this] {
        if (!connection_) events_.closed();
    });
}

}  // namespace coffer::shim
