#pragma once
// The order in which containers start and stop: after those whose namespaces they share, and as
// docker-compose's labels say: com.docker.compose.project, .service and .depends_on
// ("db:service_healthy:false,cache"). Pure.

#include <map>
#include <string>
#include <vector>

#include "engine/container.hpp"

namespace coffer::engine {

enum class Condition { Started, Healthy, Completed };

struct Dependency {
    std::string id;  // of a container
    Condition condition = Condition::Started;
};

// What each of the containers waits for, by its id. A service stands for all its containers that
// are given, and what would close a circle is left out.
using Dependencies = std::map<std::string, std::vector<Dependency>>;
Dependencies dependencies_of(const std::vector<std::shared_ptr<const Record>>& records);

// True once nothing is left to wait for: the condition holds, or can come to hold no more.
bool is_settled(const Record& dependency, Condition condition);

}  // namespace coffer::engine
