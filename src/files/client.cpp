#include "files/client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "files/view.hpp"

namespace coffer::files {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18U;

}  // namespace

Result<Client> Client::start(const std::string& program, const Request& request, int pidfd,
                             const Cancel& cancel) {
    sys::SocketPair socket = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    sys::SpawnOptions options;
    options.argv = {program};
    options.fds = {{kControl, socket.theirs.get()}};
    if (pidfd >= 0) options.fds.emplace_back(kPidfd, pidfd);
    sys::PipeEnds pipe;
    const bool writes = request.verb == Verb::Write;
    if (request.verb != Verb::Stat) {
        pipe = TRY(sys::make_pipe(sys::PipeSize::Wide));
        options.fds.emplace_back(writes ? 0 : 1, writes ? pipe.read.get() : pipe.write.get());
    }
    sys::Process process = TRY(sys::spawn(options));
    // Theirs alone now: their end is seen.
    socket.theirs.reset();
    (writes ? pipe.read : pipe.write).reset();
    Client client(cancel, std::move(process), std::move(socket.ours), std::move(pipe.write),
                  std::move(pipe.read));
    TRY(sys::send_message(client.control_.get(), encode(request)));
    client.stat_ = TRY(client.receive()).stat;
    return client;
}

Result<void> Client::wait(int fd, Until until) const {
    std::array<pollfd, 2> fds = {
        pollfd{fd, static_cast<short>(until == Until::Readable ? POLLIN : POLLOUT), 0},
        pollfd{cancel_->fd(), POLLIN, 0}};
    for (;;) {
        const int ready = ::poll(fds.data(), fds.size(), -1);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return fail_errno("wait for coffer-files");
        if (fds[1].revents != 0) return fail(Code::Cancelled, "context canceled");
        return {};
    }
}

Result<Answer> Client::receive() {
    TRY(wait(control_.get(), Until::Readable));
    const sys::Message message = TRY(sys::receive_message(control_.get(), kLargestMessage));
    if (!message.payload.empty()) return decode_answer(message.payload);
    const auto status = TRY(process_.wait());
    return fail(Code::Internal, "coffer-files ended without an answer, status {}",
                status.value_or(-1));
}

Result<std::size_t> Client::read(char* to, std::size_t size) {
    for (;;) {
        TRY(wait(output_.get(), Until::Readable));
        const ssize_t n = ::read(output_.get(), to, size);
        if (n > 0) return static_cast<std::size_t>(n);
        if (n == 0) break;
        if (errno != EINTR && errno != EAGAIN) return fail_errno("read from coffer-files");
    }
    TRY(receive());
    return std::size_t{0};
}

Result<void> Client::write(std::string_view bytes) {
    while (!bytes.empty()) {
        TRY(wait(input_.get(), Until::Writable));
        const ssize_t n = ::write(input_.get(), bytes.data(), bytes.size());
        if (n < 0 && errno != EINTR && errno != EAGAIN) return fail_errno("write to coffer-files");
        if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> Client::write_all(
    const std::function<Result<std::size_t>(char*, std::size_t)>& input) {
    // So that a wait can be cancelled.
    if (::fcntl(input_.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("set non-blocking");
    std::string piece(kPiece, '\0');
    for (;;) {
        const std::size_t n = TRY(input(piece.data(), piece.size()));
        if (n == 0) break;
        auto written = write(std::string_view(piece).substr(0, n));
        if (written) continue;
        // It has ended and said why.
        if (written.error().sys_errno == EPIPE) break;
        return written;
    }
    input_.reset();
    TRY(receive());
    return {};
}

}  // namespace coffer::files
