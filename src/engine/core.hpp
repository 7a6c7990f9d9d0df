#pragma once
// Core: the services that the engine's objects share. Made once by the composition root; every
// member is safe from any thread and outlives the engine's objects.

#include <map>
#include <string>
#include <vector>

#include "security/profiles.hpp"

namespace coffer {
class Timers;
class WorkerPool;
}  // namespace coffer
namespace coffer::store {
class Store;
}
namespace coffer::network {
class Networks;
class SandboxPool;
}  // namespace coffer::network

namespace coffer::volume {
class Volumes;
}

namespace coffer::engine {

class Events;
class Images;
class Secrets;
class ShimLinks;

struct Settings {
    std::string exec_root;      // bundles, sockets and exit records of running containers
    std::string cgroup_parent;  // "/coffer"
    security::Level level = security::Level::Standard;
    // Of containers that ask for none, and for those that ask for the same driver.
    std::string log_driver = "json-file";
    std::map<std::string, std::string> log_options;
    std::string log_program;   // coffer-logger
    std::string init_program;  // coffer-init
    std::vector<std::string> cdi_folders;
    bool init = false;         // for containers that do not say
    bool live_restore = true;  // for info
};

struct Core {
    Settings settings;
    store::Store& store;
    network::Networks& networks;
    network::SandboxPool& sandboxes;
    volume::Volumes& volumes;
    Events& events;
    Images& images;
    Secrets& secrets;
    ShimLinks& shims;
    WorkerPool& workers;
    Timers& timers;
};

}  // namespace coffer::engine
