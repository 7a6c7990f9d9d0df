#pragma once
// Restart policies: whether a container that has ended is started again, and after how long, as
// docker decides it. Pure; a RestartBackoff belongs to the holder of its container's claim.

#include <chrono>

#include "api/config.hpp"
#include "base/result.hpp"

namespace coffer::engine {

// Fails with docker's texts for names and counts that make no policy.
Result<void> check_restart_policy(const api::HostConfig& host);

// After an exit, while the engine runs. `stopped` says that somebody asked for the end.
bool wants_restart(const api::RestartPolicy& policy, int exit_code, bool stopped,
                   int restart_count);
// At the start of an engine, of a container that does not run: `always` forgets that somebody
// stopped it.
bool wants_start_at_boot(const api::RestartPolicy& policy, int exit_code, bool stopped,
                         int restart_count);

// The waits between restarts: 100 ms, doubling up to a minute, from the beginning again once the
// container has run for ten seconds.
class RestartBackoff {
  public:
    std::chrono::milliseconds next(std::chrono::nanoseconds ran);
    void reset() { last_ = {}; }

  private:
    std::chrono::milliseconds last_{};
};

}  // namespace coffer::engine
