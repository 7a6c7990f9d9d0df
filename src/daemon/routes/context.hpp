#pragma once
// The services that handlers call, made by the composition root. All of them are safe from any
// thread and outlive the server.

namespace coffer::engine {
class Artifacts;
class Collector;
class Containers;
class Events;
class Execs;
class Files;
class Images;
class Secrets;
class Stats;
class System;
}  // namespace coffer::engine
namespace coffer::network {
class Networks;
}
namespace coffer::volume {
class Volumes;
}

namespace coffer::daemon {

struct Context {
    engine::Artifacts& artifacts;
    engine::Containers& containers;
    engine::Execs& execs;
    engine::Files& files;
    engine::Images& images;
    engine::Events& events;
    engine::System& system;
    engine::Collector& collector;
    engine::Stats& stats;
    network::Networks& networks;
    volume::Volumes& volumes;
    engine::Secrets& secrets;
};

}  // namespace coffer::daemon
