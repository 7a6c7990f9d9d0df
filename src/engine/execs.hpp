#pragma once
// Execs: further processes in a running container. Safe from any thread. An exec that ended is
// remembered until its container ends.

#include <memory>
#include <string>

#include "api/exec.hpp"
#include "base/result.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

class Containers;
struct Core;

class Execs {
  public:
    Execs(Core& core, Containers& containers);
    ~Execs();
    Execs(const Execs&) = delete;
    Execs& operator=(const Execs&) = delete;
    Execs(Execs&&) = delete;
    Execs& operator=(Execs&&) = delete;

    // The exec's id. Conflict when the container does not run or is paused.
    Result<std::string> create(const std::string& container, const api::ExecCreateRequest& request);
    // Checks before the upgrade; the bool is whether the exec has a terminal.
    Result<bool> prepare_start(const std::string& id, const api::ExecStartRequest& request) const;
    // Starts it with its streams on `connection` (empty: detached). After an upgrade the program's
    // exit status reaches the client through inspect.
    Result<void> start(const std::string& id, const api::ExecStartRequest& request,
                       sys::Fd connection, std::string early);
    Result<void> resize(const std::string& id, unsigned height, unsigned width);
    Result<api::ExecInspect> inspect(const std::string& id) const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
