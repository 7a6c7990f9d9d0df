#include "http/hangup.hpp"

#include <sys/epoll.h>

#include <thread>

namespace coffer::http {

struct HangupWatcher::Thread {
    std::thread thread;
};

HangupWatcher::HangupWatcher()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), thread_(std::make_unique<Thread>()) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, end_.fd(), &event) != 0) {
        abort_at(__FILE__, __LINE__, "epoll: " + errno_text(errno));
    }
    thread_->thread = std::thread([this] { work(); });
}

HangupWatcher::~HangupWatcher() {
    end_.cancel();
    thread_->thread.join();
}

void HangupWatcher::work() {
    for (;;) {
        epoll_event event{};
        if (::epoll_wait(epoll_.get(), &event, 1, -1) != 1) continue;
        if (event.data.u64 == 0) return;
        auto state = state_.lock();
        const auto found = state->watches.find(event.data.u64);
        if (found != state->watches.end()) found->second->cancel();
    }
}

void HangupWatcher::cancel_all() {
    auto state = state_.lock();
    state->cancelled = true;
    for (const auto& [id, cancel] : state->watches) cancel->cancel();
}

HangupWatcher::Watch::Watch(HangupWatcher& owner, int socket) : owner_(&owner), socket_(socket) {
    auto state = owner.state_.lock();
    id_ = ++state->last_id;
    state->watches.emplace(id_, &cancel);
    epoll_event event{};
    event.events = EPOLLRDHUP | EPOLLONESHOT;
    event.data.u64 = id_;
    const bool watched = ::epoll_ctl(owner.epoll_.get(), EPOLL_CTL_ADD, socket, &event) == 0;
    if (!watched || state->cancelled) cancel.cancel();
}

HangupWatcher::Watch::~Watch() {
    ::epoll_ctl(owner_->epoll_.get(), EPOLL_CTL_DEL, socket_, nullptr);
    owner_->state_.lock()->watches.erase(id_);
}

}  // namespace coffer::http
