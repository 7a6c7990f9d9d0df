#include "engine/shim_link.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <exception>

#include "base/log.hpp"

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
        return fail(Code::Unavailable, "{}",
                    closed_.load() ? "the container's shim has died"
                                   : "the container's shim does not answer");
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
        // Its socket closes when it ends: this reaps it at once.
        if (process_) ignore(process_.wait(std::chrono::seconds(1)), "reaped later by init");
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
        return;
    }
    handler_(&*decoded);
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
    std::shared_ptr<ShimLink> link(
        new ShimLink(std::move(socket), std::move(process), std::move(handler)));
    (*links_.lock())[fd] = link;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        auto failed = fail_errno("watch shim");
        links_.lock()->erase(fd);
        return failed;
    }
    return link;
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
    return add(std::move(socket), {}, std::move(handler));
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
            link->receive();
            if (link->closed()) {
                ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
                links_.lock()->erase(fd);
            }
        }
    }
}

}  // namespace coffer::engine
