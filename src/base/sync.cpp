#include "base/sync.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <deque>
#include <exception>
#include <thread>
#include <vector>

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
    struct State {
        std::deque<std::function<void()>> jobs;
        bool closed = false;
    };
    Sync<State> state;
    std::condition_variable changed;
    std::vector<std::thread> threads;

    void work() {
        for (;;) {
            std::function<void()> job;
            {
                auto locked = state.lock();
                locked.wait(changed, [&] { return locked->closed || !locked->jobs.empty(); });
                if (locked->jobs.empty()) return;
                job = std::move(locked->jobs.front());
                locked->jobs.pop_front();
            }
            try {
                job();
            } catch (const std::exception& error) {
                LOG_ERROR("worker: {}", error.what());
            }
        }
    }
};

WorkerPool::WorkerPool(unsigned threads) : impl_(std::make_unique<Impl>()) {
    for (unsigned i = 0; i < threads; ++i) {
        impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
    }
}

WorkerPool::~WorkerPool() {
    impl_->state.lock()->closed = true;
    impl_->changed.notify_all();
    for (std::thread& thread : impl_->threads) thread.join();
}

void WorkerPool::submit(std::function<void()> job) {
    impl_->state.lock()->jobs.push_back(std::move(job));
    impl_->changed.notify_one();
}

}  // namespace coffer
