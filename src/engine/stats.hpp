#pragma once
// Stats: what containers use of the machine. One thread samples every watched container once a
// second, however many watch it; nothing is read while nobody watches. Safe from any thread.

#include <memory>
#include <string>

#include "api/stats.hpp"
#include "base/sync.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

class Containers;
struct Record;

class Stats {
  public:
    explicit Stats(Containers& containers);
    ~Stats();
    Stats(const Stats&) = delete;
    Stats& operator=(const Stats&) = delete;
    Stats(Stats&&) = delete;
    Stats& operator=(Stats&&) = delete;

    using Sample = std::shared_ptr<const api::StatsResponse>;

    // Somebody watches a container. Ends when it is dropped.
    class Watch {
      public:
        // Readable while take() has something to say.
        int fd() const { return wake_.get(); }
        struct News {
            Sample sample;         // the newest that was not taken yet; may be null
            bool removed = false;  // the container is gone: no more will come
        };
        News take();

      private:
        friend class Stats;
        explicit Watch(sys::Fd wake) : wake_(std::move(wake)) {}
        void tell(News news);

        sys::Fd wake_;  // eventfd
        Sync<News> news_;
    };

    // What it uses now, without a sample before to compare with. A container that does not run
    // uses nothing: only its name and id are set.
    Result<api::StatsResponse> once(const std::string& name) const;
    // The first sample comes at once, then one a second.
    Result<std::shared_ptr<Watch>> watch(const std::string& name);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Reads the kernel's counters for one container.
Result<api::StatsResponse> sample_stats(const Record& record);

}  // namespace coffer::engine
