#include "base/timers.hpp"

#include <exception>
#include <map>
#include <thread>

#include "base/log.hpp"
#include "base/sync.hpp"

namespace coffer {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365);

}  // namespace

struct Timers::Impl {
    // In the order they are due; the number tells those of one moment apart.
    using Key = std::pair<Clock::time_point, std::uint64_t>;
    struct State {
        std::map<Key, std::function<void()>> jobs;
        std::map<std::uint64_t, Clock::time_point> due;
        std::uint64_t last = 0;
        bool closed = false;
    };
    Sync<State> state;
    std::condition_variable changed;
    std::thread thread;

    // Waits for the next job that is due; empty once closed.
    std::function<void()> next() {
        auto locked = state.lock();
        for (;;) {
            if (locked->closed) return {};
            if (locked->jobs.empty()) {
                locked.wait(changed, [&] { return locked->closed || !locked->jobs.empty(); });
                continue;
            }
            const Key first = locked->jobs.begin()->first;
            const auto left = first.first - Clock::now();
            if (left > Clock::duration::zero()) {
                locked.wait_for(changed, left, [&] {
                    return locked->closed || locked->jobs.empty() ||
                           locked->jobs.begin()->first != first;
                });
                continue;
            }
            auto job = std::move(locked->jobs.begin()->second);
            locked->jobs.erase(first);
            locked->due.erase(first.second);
            return job;
        }
    }

    void run() {
        while (auto job = next()) {
            try {
                job();
            } catch (const std::exception& error) {
                LOG_ERROR("timer: {}", error.what());
            }
        }
    }
};

Timers::Timers() : impl_(std::make_unique<Impl>()) {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Timers::~Timers() {
    impl_->state.lock()->closed = true;
    impl_->changed.notify_all();
    impl_->thread.join();
}

std::uint64_t Timers::after(std::chrono::nanoseconds delay, std::function<void()> job) {
    const auto due = Clock::now() + std::min(delay, kLongest);
    std::uint64_t timer = 0;
    {
        auto locked = impl_->state.lock();
        timer = ++locked->last;
        locked->jobs.emplace(std::pair(due, timer), std::move(job));
        locked->due.emplace(timer, due);
    }
    impl_->changed.notify_one();
    return timer;
}

void Timers::cancel(std::uint64_t timer) {
    auto locked = impl_->state.lock();
    const auto found = locked->due.find(timer);
    if (found == locked->due.end()) return;
    locked->jobs.erase({found->second, timer});
    locked->due.erase(found);
}

}  // namespace coffer
