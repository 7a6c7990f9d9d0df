#include "shim/client_stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace coffer::shim {

namespace {

constexpr std::size_t kBlock = 16 * 1024;
// After the program's end a client has this long to read what is left.
constexpr auto kLinger = std::chrono::minutes(5);

// docker's frame: the stream's number, three zeros, the length in network order.
std::array<char, 8> frame_header(Source source, std::size_t length) {
    const auto byte = [&](unsigned shift) { return static_cast<char>(length >> shift & 0xFFU); };
    return {static_cast<char>(source == Source::Stdout ? 1 : 2),
            0,
            0,
            0,
            byte(24),
            byte(16),
            byte(8),
            byte(0)};
}

}  // namespace

ClientStream::ClientStream(sys::Reactor& reactor, sys::Fd socket, sys::Fd gate,
                           const Client& client, bool terminal, DetachKeys keys, Events events)
    : reactor_(reactor),
      socket_(std::move(socket)),
      gate_(std::move(gate)),
      client_(client),
      terminal_(terminal),
      keys_(std::move(keys)),
      events_(std::move(events)),
      input_open_(client.use_stdin) {}

ClientStream::~ClientStream() {
    disconnect();
}

Result<void> ClientStream::watch() {
    TRY(reactor_.add(socket_.get(), input_open_ ? sys::kReadable : 0U,
                     [this](std::uint32_t ready) { on_ready(ready); }));
    if (gate_) {
        TRY(reactor_.add(gate_.get(), sys::kReadable, [this](std::uint32_t) { open_gate(); }));
    }
    const std::string early = std::exchange(client_.early, {});
    if (input_open_ && !early.empty()) take_input(early);
    return {};
}

void ClientStream::send(Source source, std::string_view bytes) {
    if (!socket_ || finishing_ || bytes.empty()) return;
    if (source == Source::Stdout ? !client_.use_stdout : !client_.use_stderr) return;
    const std::array<char, 8> header = frame_header(source, bytes.size());
    const std::size_t header_size = terminal_ || client_.raw ? 0 : header.size();
    std::size_t done = 0;
    if (queue_.empty() && !gate_) {
        std::array<iovec, 2> parts{{{const_cast<char*>(header.data()), header_size},
                                    {const_cast<char*>(bytes.data()), bytes.size()}}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return close();
        done = n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    if (done < header_size) queue_.append(header.data() + done, header_size - done);
    queue_.append(bytes.substr(done - std::min(done, header_size)));
    update_interest();
}

void ClientStream::hold_input(bool held) {
    input_held_ = held;
    update_interest();
}

void ClientStream::finish() {
    if (!socket_ || finishing_) return;
    finishing_ = true;
    if (queue_.empty() && !gate_) return close();
    linger_ = reactor_.after(kLinger, [this] { close(); });
    update_interest();
}

void ClientStream::on_ready(std::uint32_t ready) {
    if ((ready & sys::kWritable) != 0) write_queue();
    if (!socket_) return;
    const bool hung_up = (ready & sys::kHangUp) != 0;
    if (input_open_ && ((ready & sys::kReadable) != 0 || hung_up)) read_input(hung_up);
    if (hung_up && socket_) close();
}

void ClientStream::open_gate() {
    reactor_.remove(gate_.get());
    gate_.reset();
    write_queue();
}

// A client that has hung up leaves what it had sent: no more than a socket buffer.
void ClientStream::read_input(bool to_the_end) {
    std::array<char, kBlock> block;
    do {
        const ssize_t n = ::recv(socket_.get(), block.data(), block.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return end_input();
        take_input(std::string_view(block.data(), static_cast<std::size_t>(n)));
    } while (to_the_end && socket_ && input_open_);
}

void ClientStream::take_input(std::string_view bytes) {
    if (!terminal_) return events_.input(bytes);
    std::string pass_on;
    const bool detach = keys_.feed(bytes, pass_on);
    if (!pass_on.empty()) events_.input(pass_on);
    if (!detach) return;
    input_open_ = false;
    events_.detached();
    finish();
}

void ClientStream::end_input() {
    input_open_ = false;
    update_interest();
    events_.input_end(*this);
}

void ClientStream::write_queue() {
    const bool was_full = is_full();
    while (sent_ < queue_.size()) {
        const ssize_t n = ::send(socket_.get(), queue_.data() + sent_, queue_.size() - sent_,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return close();
        sent_ += static_cast<std::size_t>(n);
    }
    if (sent_ == queue_.size()) {
        queue_ = {};  // gives the memory back
        sent_ = 0;
        if (finishing_) return close();
    }
    update_interest();
    if (was_full && !is_full()) events_.drained();
}

void ClientStream::update_interest() {
    if (!socket_) return;
    const std::uint32_t interest =
        (input_open_ && !input_held_ && !finishing_ ? sys::kReadable : 0U) |
        (queue_.empty() || gate_ ? 0U : sys::kWritable);
    ignore(reactor_.change(socket_.get(), interest), "it is watched");
}

void ClientStream::close() {
    disconnect();
    queue_ = {};
    sent_ = 0;
    const bool had_input = std::exchange(input_open_, false);
    if (had_input && !finishing_) events_.input_end(*this);
    events_.gone();
}

void ClientStream::disconnect() {
    reactor_.cancel(linger_);
    if (gate_) reactor_.remove(gate_.get());
    gate_.reset();
    if (!socket_) return;
    reactor_.remove(socket_.get());
    // A unix socket that is closed with unread input resets its peer, who then misses our last
    // bytes: nothing may come any more, and what has come is taken out.
    ::shutdown(socket_.get(), SHUT_RDWR);
    std::array<char, 4096> rest;
    while (::recv(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT) > 0) {
    }
    socket_.reset();
}

}  // namespace coffer::shim
