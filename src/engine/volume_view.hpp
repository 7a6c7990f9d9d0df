#pragma once
// Volumes as the API shows them. Pure but for what the services know.

#include <vector>

#include "api/volume.hpp"
#include "engine/filters.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

class Events;
struct Caller;

api::Volume view_of(const volume::Volume& volume);
// What it takes of the disk; 0 for what lies elsewhere.
std::uint64_t stored_bytes(const volume::Volume& volume);
// With sizes and the number of users, as the disk usage wants them.
std::vector<api::Volume> volumes_with_usage(const volume::Volumes& volumes);
// Filters dangling, driver, label and name.
Result<std::vector<api::Volume>> list_volumes(const volume::Volumes& volumes,
                                              const Filters& filters);
// Forbidden where the options would give a caller more of the host than they have.
Result<void> check_volume_rights(const volume::VolumeRequest& request, const Caller& caller);
Result<api::Volume> create_volume(volume::Volumes& volumes, Events& events,
                                  const api::VolumeCreateRequest& request, const Caller& caller);
Result<void> remove_volume(volume::Volumes& volumes, Events& events, const std::string& name);
// Removes volumes that no container has: those without a name of their own, or with the filter
// all=1 all of them. Filters all, label and label!.
enum class VolumesToPrune { Anonymous, All };
Result<api::VolumesPruneReport> prune_volumes(volume::Volumes& volumes, Events& events,
                                              const Filters& filters, VolumesToPrune which);

}  // namespace coffer::engine
