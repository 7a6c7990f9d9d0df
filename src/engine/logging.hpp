#pragma once
// The log of a container, as the engine settles it: which driver, with which options, and where it
// is read. Stateless.

#include "api/container.hpp"
#include "engine/container.hpp"
#include "engine/core.hpp"
#include "logs/options.hpp"

namespace coffer::engine {

struct Caller;

// The engine's defaults where the request is silent, and everything checked that can be. A caller
// who is not root sends nothing from the host's network and names no file of the host.
Result<void> settle_log_config(const Settings& settings, const Caller& caller,
                               api::LogConfig& config);

// What the shim is told. `folder` is the container's.
Result<logs::Setup> log_setup(const Settings& settings, const Record& record,
                              const std::string& folder);

// Where the log is read; NotImplemented, in docker's words, when it is nowhere kept.
Result<logs::Place> log_place(const Record& record, const std::string& folder);
// The attributes of records whose format does not keep them.
logs::Attributes log_attributes(const Record& record);

}  // namespace coffer::engine
