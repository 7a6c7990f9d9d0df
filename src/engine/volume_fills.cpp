#include "engine/volume_fills.hpp"

#include <fcntl.h>

#include <algorithm>

#include "runtime/copy_up.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

VolumeFills::Turn::~Turn() {
    while (!names_.empty()) give_up(std::string(*names_.begin()));
}

void VolumeFills::Turn::give_up(const std::string& name) {
    if (names_.erase(name) == 0) return;
    fills_.filling_.lock()->erase(name);
    fills_.ended_.notify_all();
}

Result<VolumeFills::Turn> VolumeFills::wait(const std::vector<MountRecord>& mounts,
                                            bool is_first_start) {
    std::set<std::string> used;
    std::set<std::string> fills;
    for (const MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        used.insert(mount.name);
        if (is_first_start && mount.copy_up) fills.insert(mount.name);
    }
    {
        // All at once, so that no two wait for each other.
        auto filling = filling_.lock();
        filling.wait(ended_, [&] {
            return std::none_of(used.begin(), used.end(),
                                [&](const auto& name) { return filling->contains(name); });
        });
        filling->insert(fills.begin(), fills.end());
    }
    Turn turn(*this, fills);
    for (const MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        const auto folder = sys::open_file(mount.source, O_RDONLY | O_DIRECTORY);
        if (!folder) {
            turn.give_up(mount.name);
            continue;
        }
        const bool half = runtime::is_half_copied(folder->get());
        if (fills.contains(mount.name)) {
            const auto content = sys::list_dir(folder->get());
            if (!content || (!content->empty() && !half)) turn.give_up(mount.name);
        } else if (half) {
            TRY_CONTEXT(runtime::keep_half_copy(folder->get()), "volume '{}'", mount.name);
        }
    }
    return turn;
}

}  // namespace coffer::engine
