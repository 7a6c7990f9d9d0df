#include "sys/reactor.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>

namespace coffer::sys {

namespace {

std::uint32_t to_epoll(std::uint32_t interest) {
    return ((interest & kReadable) != 0 ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
           ((interest & kWritable) != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
}

std::uint32_t from_epoll(std::uint32_t events) {
    return ((events & EPOLLIN) != 0 ? kReadable : 0U) |
           ((events & EPOLLOUT) != 0 ? kWritable : 0U) |
           ((events & (EPOLLHUP | EPOLLERR)) != 0 ? kHangUp : 0U);
}

// A descriptor number may be closed and used anew while events of the old one wait: the event
// carries the low half of the watch's id beside the number.
epoll_event make_event(int fd, std::uint64_t id, std::uint32_t interest) {
    epoll_event event{};
    event.events = to_epoll(interest);
    event.data.u64 = id << 32U | static_cast<std::uint32_t>(fd);
    return event;
}

}  // namespace

Result<Reactor> Reactor::create() {
    Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return fail_errno("create epoll");
    return Reactor(std::move(epoll));
}

Result<void> Reactor::add(int fd, std::uint32_t interest, Handler handler) {
    const std::uint64_t id = ++last_id_;
    epoll_event event = make_event(fd, id, interest);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return fail_errno("watch descriptor {}", fd);
    }
    watches_[fd] = Watch{id, interest, std::make_shared<Handler>(std::move(handler))};
    return {};
}

Result<void> Reactor::change(int fd, std::uint32_t interest) {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return fail(Code::NotFound, "descriptor {} is not watched", fd);
    if (found->second.interest == interest) return {};
    epoll_event event = make_event(fd, found->second.id, interest);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return fail_errno("watch descriptor {}", fd);
    }
    found->second.interest = interest;
    return {};
}

void Reactor::remove(int fd) {
    if (watches_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

std::uint64_t Reactor::after(std::chrono::milliseconds delay, std::function<void()> handler) {
    const std::uint64_t id = ++last_id_;
    timers_[id] = Timer{Clock::now() + delay, std::move(handler)};
    return id;
}

void Reactor::cancel(std::uint64_t timer) {
    timers_.erase(timer);
}

int Reactor::next_timeout() const {
    if (timers_.empty()) return -1;
    const auto first =
        std::min_element(timers_.begin(), timers_.end(),
                         [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
    const auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(first->second.due - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(rest, 0, 60 * 1000));
}

void Reactor::run_timers() {
    const auto now = Clock::now();
    std::vector<std::uint64_t> due;
    for (const auto& [id, timer] : timers_) {
        if (timer.due <= now) due.push_back(id);
    }
    for (const std::uint64_t id : due) {
        const auto found = timers_.find(id);  // an earlier one may have cancelled it
        if (found == timers_.end()) continue;
        const std::function<void()> handler = std::move(found->second.handler);
        timers_.erase(found);
        handler();
    }
}

Result<void> Reactor::run() {
    std::array<epoll_event, 16> events;
    stopped_ = false;
    while (!stopped_) {
        const int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), next_timeout());
        if (n < 0 && errno != EINTR) return fail_errno("wait for events");
        for (int i = 0; i < n && !stopped_; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            const auto found = watches_.find(static_cast<int>(event.data.u64 & 0xFFFFFFFFU));
            if (found == watches_.end() ||
                (found->second.id & 0xFFFFFFFFU) != event.data.u64 >> 32U) {
                continue;
            }
            // Kept alive while it runs: it may remove itself.
            const std::shared_ptr<Handler> handler = found->second.handler;
            (*handler)(from_epoll(event.events));
        }
        run_timers();
    }
    return {};
}

}  // namespace coffer::sys
