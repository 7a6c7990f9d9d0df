#pragma once
// System: the engine about itself and its machine: version, info, disk usage. Safe from any thread.

#include <string>

#include "api/system.hpp"
#include "base/result.hpp"
#include "engine/core.hpp"

namespace coffer::engine {

class Containers;

// The newest and the oldest version of the Engine API that are served.
inline constexpr std::string_view kApiVersion = "1.50";
inline constexpr std::string_view kMinApiVersion = "1.24";

// Of which objects the disk usage is to be told.
struct DiskUsageKinds {
    bool containers = true;
    bool images = true;
    bool volumes = true;
    bool build_cache = true;
};

class System {
  public:
    System(Core& core, Containers& containers) : core_(&core), containers_(&containers) {}

    api::Version version() const;
    Result<api::Info> info() const;
    Result<api::DiskUsage> disk_usage(const DiskUsageKinds& kinds) const;
    // What on disk, and of what runs, belongs to nothing, is missing or damaged. `deep` reads all
    // blobs; `repair` removes what belongs to nothing.
    Result<api::SystemCheck> check(bool deep, bool repair) const;

  private:
    Core* core_;
    Containers* containers_;
};

}  // namespace coffer::engine
