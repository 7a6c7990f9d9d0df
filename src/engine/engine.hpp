#pragma once
// Engine: all objects of the engine, made in the order they need each other and ended in the
// reverse. Safe from any thread once open.

#include <memory>
#include <string>
#include <vector>

#include "engine/collection.hpp"
#include "engine/core.hpp"
#include "network/networks.hpp"
#include "registry/config.hpp"

namespace coffer::volume {
class Volumes;
}

namespace coffer::engine {

class Artifacts;
class Collector;
class Containers;
class Execs;
class Files;
class Secrets;
class Stats;
class System;

struct EngineOptions {
    std::string data_root;
    std::string exec_root;
    // Folder with coffer-shim, coffer-init, coffer-unpack, coffer-logger and coffer-files.
    std::string programs;
    network::Config network;
    registry::Config registry;
    std::string signature_policy;  // see trust::PolicyFile
    security::Level level = security::Level::Standard;
    std::string log_driver = "json-file";
    std::map<std::string, std::string> log_options;
    std::vector<std::string>
        cdi_folders;           // of device specifications; a later one hides earlier ones
    bool init = false;         // coffer-init for containers that do not say
    bool live_restore = true;  // as info shows it
    CollectionRules collection;
};

class Engine {
  public:
    // Takes the data root (Conflict when another engine has it) and recovers what the last engine
    // left: running containers go on.
    static Result<std::unique_ptr<Engine>> open(EngineOptions options);
    // Ends the engine; containers go on.
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    Engine(Engine&&) = delete;
    Engine& operator=(Engine&&) = delete;

    Containers& containers();
    Execs& execs();
    Files& files();
    Images& images();
    Artifacts& artifacts();
    Events& events();
    network::Networks& networks();
    Secrets& secrets();
    volume::Volumes& volumes();
    System& system();
    Collector& collector();
    Stats& stats();
    store::Store& store();

  private:
    struct Impl;
    explicit Engine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
