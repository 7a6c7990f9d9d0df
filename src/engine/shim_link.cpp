#include "engine/shim_link.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <exception>

#include "base/log.hpp"
#include "sys/clone.hpp"

namespace coffer::engine {

Result<void> ShimLink::post(shim::Request request) {
    std::uint64_t seq = 0;
    {
        const std::lock_guard lock(mutex_);
        seq = ++last_seq_;
    }
    return sys::send_message(socket_.get(), shim::encode(shim::Envelope{seq, std::move(request)}));
}

Result<shim::Reply> ShimLink::request(shim::Request request, std::span<const int> fds,
                                      std::chrono::seconds limit) {
    std::unique_lock lock(mutex_);
    const std::uint64_t seq = ++last_seq_;
    waiting_.emplace(seq, std::nullopt);
    lock.unlock();
    const auto sent = sys::send_message(socket_.get(),
                                        shim::encode(shim::Envelope{seq, std::move(request)}), fds);
    lock.lock();
    if (sent) {
        answered_.wait_for(lock, limit, [&] { return waiting_[seq].has_value() || closed_; });
    }
    const std::optional<shim::Reply> reply = std::move(waiting_[seq]);
    waiting_.erase(seq);
    if (!sent) return fail(Code::Unavailable, "the container's shim is gone");
    if (!reply) {
        if (closed_) return fail(Code::Unavailable, "the container's shim has died");
        silent_ = true;
        return fail(Code::Unavailable,
                    "the container's shim (process {}) has not answered for {} seconds",
                    process_.pid(), limit.count());
    }
    return *reply;
}

void ShimLink::receive() {
    auto message = sys::receive_message(socket_.get());
    if (!message || message->payload.empty()) {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        answered_.notify_all();
        handler_(nullptr);
        return;
    }
    auto decoded = shim::decode_from_shim(message->payload);
    if (!decoded) {
        LOG_ERROR("message of a shim: {}", decoded.error().message);
        return;
    }
    if (const auto* reply = std::get_if<shim::Reply>(&*decoded)) {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(reply->seq);
        if (found != waiting_.end()) found->second = *reply;
        answered_.notify_all();
        silent_ = false;
        return;
    }
    silent_ = false;
    handler_(&*decoded);
}

Result<void> ShimLink::kill_shim() {
    const std::lock_guard lock(mutex_);
    return process_.signal(SIGKILL);
}

void ShimLink::reap() {
    const std::lock_guard lock(mutex_);
    ignore(process_.wait(std::chrono::seconds(0)), "the child of an engine before us is init's");
}

Result<std::unique_ptr<ShimLinks>> ShimLinks::create(std::string program) {
    sys::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return fail_errno("create epoll");
    std::unique_ptr<ShimLinks> links(new ShimLinks(std::move(program), std::move(epoll)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = links->stop_.fd();
    if (::epoll_ctl(links->epoll_.get(), EPOLL_CTL_ADD, links->stop_.fd(), &event) != 0) {
        return fail_errno("watch the stop signal");
    }
    links->thread_ = std::thread([raw = links.get()] {
        try {
            raw->read_all();
        } catch (const std::exception& error) {
            LOG_ERROR("shim reader: {}", error.what());
        }
    });
    return links;
}

ShimLinks::~ShimLinks() {
    stop_.cancel();
    if (thread_.joinable()) thread_.join();
}

Result<std::shared_ptr<ShimLink>> ShimLinks::add(sys::Fd socket, sys::Process process,
                                                 ShimLinkHandler handler) {
    const int fd = socket.get();
    // A shim that has stopped reading must not hold up who writes to it.
    const timeval limit{ShimLink::kAnswerLimit.count(), 0};
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        return fail_errno("limit the time of sending to a shim");
    }
    std::shared_ptr<ShimLink> link(
        new ShimLink(std::move(socket), std::move(process), std::move(handler)));
    TRY(watch(fd, link));
    return link;
}

Result<void> ShimLinks::watch(int fd, const std::shared_ptr<ShimLink>& link) {
    (*links_.lock())[fd] = link;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    auto failed = fail_errno("watch shim");
    links_.lock()->erase(fd);
    return failed;
}

Result<std::shared_ptr<ShimLink>> ShimLinks::spawn(const std::string& bundle,
                                                   ShimLinkHandler handler) {
    sys::SocketPair pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
    sys::SpawnOptions options;
    options.argv = {program_, bundle};
    options.cwd = "/";
    options.fds = {{3, pair.theirs.get()}};
    options.new_session = true;
    sys::Process process = TRY_CONTEXT(sys::spawn(options), "start the container's shim");
    return add(std::move(pair.ours), std::move(process), std::move(handler));
}

Result<std::shared_ptr<ShimLink>> ShimLinks::connect(const std::string& bundle,
                                                     ShimLinkHandler handler) {
    sys::Fd socket = TRY(sys::connect_unix(bundle + "/shim.sock", SOCK_SEQPACKET));
    // Who listens: the number was its own when the kernel noted it, and the handle is good while
    // the connection stands.
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return fail_errno("find the process of a shim");
    }
    sys::Fd pidfd = TRY(sys::open_pidfd(peer.pid));
    return add(std::move(socket), sys::Process(peer.pid, std::move(pidfd)), std::move(handler));
}

void ShimLinks::read_all() {
    std::array<epoll_event, 32> events;
    for (;;) {
        const int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
        for (int i = 0; i < n; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == stop_.fd()) return;
            std::shared_ptr<ShimLink> link;
            {
                auto links = links_.lock();
                const auto found = links->find(fd);
                if (found == links->end()) continue;
                link = found->second;
            }
            if (fd == link->socket_.get()) {
                link->receive();
                if (!link->closed()) continue;
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
                links_.lock()->erase(fd);
                // It may live on for the readers of its output: it is reaped when it ends.
                const auto watched = watch(link->process_.pidfd(), link);
                if (!watched) LOG_WARN("{}", watched.error().message);
            } else {
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
                links_.lock()->erase(fd);
                link->reap();
            }
        }
    }
}

}  // namespace coffer::engine
