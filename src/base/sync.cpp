#include "base/sync.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <map>
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
    static constexpr std::chrono::seconds kIdleLimit{10};  // of a thread more than stay

    struct State {
        std::deque<std::function<void()>> jobs;
        std::map<std::thread::id, std::thread> threads;
        std::vector<std::thread> ended;  // to be joined
        unsigned idle = 0;
        bool closed = false;
    };
    const unsigned stay;
    const unsigned most;
    Sync<State> state;
    std::condition_variable changed;
    std::condition_variable thread_ended;

    Impl(unsigned stay_count, unsigned most_count) : stay(stay_count), most(most_count) {}

    // The next job; empty when this thread is to end.
    std::function<void()> next() {
        auto locked = state.lock();
        const auto wanted = [&] { return locked->closed || !locked->jobs.empty(); };
        ++locked->idle;
        while (!wanted()) {
            if (locked->threads.size() <= stay) {
                locked.wait(changed, wanted);
            } else if (!locked.wait_for(changed, kIdleLimit, wanted)) {
                break;
            }
        }
        --locked->idle;
        if (locked->jobs.empty()) {
            auto self = locked->threads.extract(std::this_thread::get_id());
            locked->ended.push_back(std::move(self.mapped()));
            thread_ended.notify_all();
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
    : impl_(std::make_unique<Impl>(threads, std::max(threads, most))) {}

WorkerPool::~WorkerPool() {
    std::vector<std::thread> ended;
    {
        auto locked = impl_->state.lock();
        locked->closed = true;
        impl_->changed.notify_all();
        locked.wait(impl_->thread_ended, [&] { return locked->threads.empty(); });
        ended.swap(locked->ended);
    }
    for (std::thread& thread : ended) thread.join();
}

void WorkerPool::submit(std::function<void()> job) {
    std::vector<std::thread> ended;
    {
        auto locked = impl_->state.lock();
        locked->jobs.push_back(std::move(job));
        ended.swap(locked->ended);
        // Those that idle may be fewer than what waits for them.
        if (locked->jobs.size() > locked->idle && locked->threads.size() < impl_->most) {
            std::thread thread([impl = impl_.get()] { impl->work(); });
            const auto id = thread.get_id();
            locked->threads.emplace(id, std::move(thread));
        }
    }
    impl_->changed.notify_one();
    for (std::thread& thread : ended) thread.join();
}

}  // namespace coffer
