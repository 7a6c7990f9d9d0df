#pragma once
// Who fills an empty volume from his image, when several containers start at once. Safe from any
// thread.

#include <condition_variable>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sync.hpp"
#include "engine/container.hpp"

namespace coffer::engine {

class VolumeFills {
  public:
    // While it lives, its volumes are the caller's to fill, and who else uses one of them waits.
    class Turn {
      public:
        Turn(VolumeFills& fills, std::set<std::string> names)
            : fills_(fills), names_(std::move(names)) {}
        ~Turn();
        Turn(Turn&& other) noexcept : fills_(other.fills_) { names_.swap(other.names_); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        Turn& operator=(Turn&&) = delete;

        void give_up(const std::string& name);

      private:
        VolumeFills& fills_;
        std::set<std::string> names_;
    };

    // For the start of a container, whose volumes are mounted: waits until nobody fills one of
    // them. Of what it does not fill itself, what is there counts as data from now on, also when it
    // is half of a copy that was cut off.
    Result<Turn> wait(const std::vector<MountRecord>& mounts, bool is_first_start);

  private:
    Sync<std::set<std::string>> filling_;
    std::condition_variable ended_;
};

}  // namespace coffer::engine
