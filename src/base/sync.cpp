#include "base/sync.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <thread>

#include "base/log.hpp"

namespace coffer {

Cancel::Cancel() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (fd_ < 0) abort_at(__FILE__, __LINE__, "eventfd: " + errno_text(errno));
}

Cancel::~Cancel() {
    ::close(fd_);
}

void Cancel::cancel() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(fd_, &one, sizeof one));
}

bool Cancel::cancelled() const {
    pollfd poll{fd_, POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
}

struct WorkerPool::Impl {
    static constexpr std::chrono::seconds kIdleLimit{10};  // of a thread more than stay

    struct State {
        std::deque<std::function<void()>> jobs;
        unsigned threads = 0;
        unsigned idle = 0;
        bool closed = false;
    };
    const unsigned stay;
    const unsigned most;
    Sync<State> state;
    std::condition_variable changed;
    std::condition_variable ended;

    Impl(unsigned stay_count, unsigned most_count) : stay(stay_count), most(most_count) {}

    // The next job; empty when this thread is to end.
    std::function<void()> next() {
        auto locked = state.lock();
        const auto wanted = [&] { return locked->closed || !locked->jobs.empty(); };
        ++locked->idle;
        while (!wanted()) {
            if (locked->threads <= stay) {
                locked.wait(changed, wanted);
            } else if (!locked.wait_for(changed, kIdleLimit, wanted)) {
                break;
            }
        }
        --locked->idle;
        if (locked->jobs.empty()) {
            --locked->threads;
            ended.notify_all();
            return {};
        }
        auto job = std::move(locked->jobs.front());
        locked->jobs.pop_front();
        return job;
    }

    void work() {
        while (auto job = next()) {
            try {
                job();
            } catch (const std::exception& error) {
                LOG_ERROR("worker: {}", error.what());
            }
        }
    }
};

WorkerPool::WorkerPool(unsigned threads, unsigned most)
    : impl_(std::make_shared<Impl>(threads, std::max(threads, most))) {}

WorkerPool::~WorkerPool() {
    auto locked = impl_->state.lock();
    locked->closed = true;
    impl_->changed.notify_all();
    locked.wait(impl_->ended, [&] { return locked->threads == 0; });
}

void WorkerPool::submit(std::function<void()> job) {
    {
        auto locked = impl_->state.lock();
        locked->jobs.push_back(std::move(job));
        // Those that idle may be fewer than what waits for them.
        if (locked->jobs.size() > locked->idle && locked->threads < impl_->most) {
            ++locked->threads;
            std::thread([impl = impl_] { impl->work(); }).detach();
        }
    }
    impl_->changed.notify_one();
}

}  // namespace coffer
