#pragma once
// Volumes as the API shows them, and who uses them. Pure but for what the services know.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/volume.hpp"
#include "engine/filters.hpp"
#include "volume/volumes.hpp"

namespace coffer::engine {

class Containers;

api::Volume view_of(const volume::Volume& volume);
// Names of the containers that have each volume.
Result<std::map<std::string, std::set<std::string>>> users_of_volumes(const Containers& containers);
// With sizes and the number of users, as the disk usage wants them.
Result<std::vector<api::Volume>> volumes_with_usage(const volume::Volumes& volumes,
                                                    const Containers& containers);
// Filters dangling, driver, label and name.
Result<std::vector<api::Volume>> list_volumes(const volume::Volumes& volumes,
                                              const Containers& containers, const Filters& filters);
// Refuses with docker's text while a container uses it.
Result<void> remove_volume(volume::Volumes& volumes, const Containers& containers,
                           const std::string& name);

}  // namespace coffer::engine
