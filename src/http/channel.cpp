#include "http/channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

namespace coffer::http {

namespace {

constexpr std::size_t kMaxParts = 8;

class PlainChannel final : public Channel {
  public:
    PlainChannel(sys::Fd socket, const Cancel* cancel)
        : socket_(std::move(socket)), cancel_(cancel) {}

    Result<std::size_t> read(char* to, std::size_t size, Limit limit) override {
        for (;;) {
            switch (TRY(wait_for(socket_.get(), POLLIN, cancel_, limit))) {
                case Readiness::Ready:
                    break;
                case Readiness::TimedOut:
                    return fail(Code::Unavailable, "read: timed out");
                case Readiness::Cancelled:
                    return fail(Code::Cancelled, "read: cancelled");
            }
            const ssize_t n = ::recv(socket_.get(), to, size, MSG_DONTWAIT);
            if (n >= 0) return static_cast<std::size_t>(n);
            if (errno == ECONNRESET) return std::size_t{0};
            if (errno != EAGAIN && errno != EINTR) return fail_errno("read from peer");
        }
    }

    using Channel::write;
    Result<void> write(std::span<const std::string_view> parts, Limit limit) override {
        std::array<iovec, kMaxParts> vectors{};
        std::size_t count = 0;
        for (const std::string_view part : parts) {
            if (part.empty()) continue;
            if (count == kMaxParts) return fail(Code::Internal, "too many parts in one write");
            vectors[count++] = {const_cast<char*>(part.data()), part.size()};
        }
        return write_vectors(std::span(vectors.data(), count), limit);
    }

    int fd() const override { return socket_.get(); }

    Result<sys::Fd> detach(std::string&) override { return std::move(socket_); }

  private:
    Result<void> write_vectors(std::span<iovec> left, Limit limit) {
        while (!left.empty()) {
            msghdr message{};
            message.msg_iov = left.data();
            message.msg_iovlen = left.size();
            const ssize_t n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0) {
                TRY(retry_write(limit));
                continue;
            }
            auto sent = static_cast<std::size_t>(n);
            while (!left.empty() && sent >= left.front().iov_len) {
                sent -= left.front().iov_len;
                left = left.subspan(1);
            }
            if (left.empty()) break;
            left.front().iov_base = static_cast<char*>(left.front().iov_base) + sent;
            left.front().iov_len -= sent;
        }
        return {};
    }

    Result<void> retry_write(Limit limit) {
        if (errno == EINTR) return {};
        if (errno == EPIPE || errno == ECONNRESET) {
            return fail(Code::Cancelled, "write: the peer has hung up");
        }
        if (errno != EAGAIN) return fail_errno("write to peer");
        switch (TRY(wait_for(socket_.get(), POLLOUT, cancel_, limit))) {
            case Readiness::Ready:
                return {};
            case Readiness::TimedOut:
                return fail(Code::Unavailable, "write: timed out");
            case Readiness::Cancelled:
                return fail(Code::Cancelled, "write: cancelled");
        }
        return {};
    }

    sys::Fd socket_;
    const Cancel* cancel_;
};

}  // namespace

Result<Readiness> wait_for(int fd, short events, const Cancel* cancel, Channel::Limit limit) {
    std::array<pollfd, 2> polls{
        {{fd, events, 0}, {cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}}};
    const auto end = std::chrono::steady_clock::now() + limit.value_or(std::chrono::hours(0));
    for (;;) {
        int timeout = -1;
        if (limit) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(
                end - std::chrono::steady_clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
        }
        const int n = ::poll(polls.data(), polls.size(), timeout);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("poll");
        if (n == 0) return Readiness::TimedOut;
        return polls[1].revents != 0 ? Readiness::Cancelled : Readiness::Ready;
    }
}

std::unique_ptr<Channel> make_plain_channel(sys::Fd socket, const Cancel* cancel) {
    return std::make_unique<PlainChannel>(std::move(socket), cancel);
}

}  // namespace coffer::http
