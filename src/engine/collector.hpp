#pragma once
// Collector: looks every minute, and whenever images have come, whether a watermark is passed, and
// then has the least recently used images removed; writes down when images were used; removes what
// is left of old pulls. Safe from any thread.

#include <memory>
#include <optional>

#include "api/system.hpp"
#include "engine/collection.hpp"

namespace coffer {
class Timers;
class WorkerPool;
}  // namespace coffer
namespace coffer::store {
class Store;
}

namespace coffer::engine {

class Images;

class Collector {
  public:
    Collector(store::Store& store, Images& images, Timers& timers, WorkerPool& workers,
              CollectionRules rules);
    // Timers and workers have ended. Writes down what is not on disk yet.
    ~Collector();
    Collector(const Collector&) = delete;
    Collector& operator=(const Collector&) = delete;
    Collector(Collector&&) = delete;
    Collector& operator=(Collector&&) = delete;

    // From now on it works by itself.
    void begin();
    // A collection that is under way ends with the image it is at.
    void stop();

    // Goes down to `target`, or to the low watermark: InvalidArgument when there is none either.
    enum class Run : std::uint8_t { Dry, Real };
    Result<api::Collection> collect(const std::optional<Watermark>& target, Run run);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
