#pragma once
// Threads: a value behind its mutex (Sync), a pool of workers (WorkerPool) and cancellation that a
// poll() can see (Cancel). All types here are safe from any thread.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "base/result.hpp"

namespace coffer {

// A value that cannot be reached without its lock: auto state = sync.lock(); state->x = 1;
template <class T>
class Sync {
  public:
    class Lock {
      public:
        explicit Lock(Sync& owner) : owner_(&owner), lock_(owner.mutex_) {}
        T* operator->() { return &owner_->value_; }
        T& operator*() { return owner_->value_; }
        // Releases the lock while it waits, as std::condition_variable does.
        template <class Predicate>
        void wait(std::condition_variable& changed, Predicate until) {
            changed.wait(lock_, until);
        }
        template <class Duration, class Predicate>
        bool wait_for(std::condition_variable& changed, Duration limit, Predicate until) {
            return changed.wait_for(lock_, limit, until);
        }
        void unlock() { lock_.unlock(); }

      private:
        Sync* owner_;
        std::unique_lock<std::mutex> lock_;
    };

    Sync() = default;
    explicit Sync(T value) : value_(std::move(value)) {}
    Lock lock() { return Lock(*this); }

  private:
    std::mutex mutex_;
    T value_{};
};

// Cancellation: cancel() makes fd() readable for ever. Shared by who cancels and who waits.
class Cancel {
  public:
    Cancel();
    ~Cancel();
    Cancel(const Cancel&) = delete;
    Cancel& operator=(const Cancel&) = delete;
    Cancel(Cancel&&) = delete;
    Cancel& operator=(Cancel&&) = delete;

    void cancel();
    bool cancelled() const;
    int fd() const { return fd_; }

  private:
    int fd_;
};

// Threads that run queued jobs. Some stay; further ones are made while all are busy, up to a limit,
// so that jobs that block do not hold up the others. The destructor finishes what is queued.
class WorkerPool {
  public:
    explicit WorkerPool(unsigned threads, unsigned most = 0);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    WorkerPool(WorkerPool&&) = delete;
    WorkerPool& operator=(WorkerPool&&) = delete;

    void submit(std::function<void()> job);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer
