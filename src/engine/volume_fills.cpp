#include "engine/volume_fills.hpp"

#include <sys/xattr.h>

#include <algorithm>
#include <map>

#include "runtime/copy_up.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

namespace {

bool is_marked(const std::string& path) {
    return ::getxattr(path.c_str(), runtime::kFillingMark, nullptr, 0) >= 0;
}

Result<void> unmark(const std::string& path) {
    if (!is_marked(path) || ::removexattr(path.c_str(), runtime::kFillingMark) == 0) return {};
    return fail_errno("remove attribute {} of '{}'", runtime::kFillingMark, path);
}

}  // namespace

void VolumeFills::Turn::give_up(const std::set<std::string>& names) {
    if (names.empty()) return;
    const std::lock_guard lock(fills_->mutex_);
    for (const std::string& name : names) fills_->filling_.erase(name);
    fills_->ended_.notify_all();
}

Result<VolumeFills::Turn> VolumeFills::wait(const std::vector<MountRecord>& mounts,
                                            bool is_first_start) {
    std::set<std::string> names;
    std::map<std::string, std::string> fills;  // name -> path
    for (const MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        names.insert(mount.name);
        if (is_first_start && mount.copy_up) fills.emplace(mount.name, mount.source);
    }
    std::set<std::string> mine;
    for (const auto& [name, path] : fills) mine.insert(name);
    {
        // All at once, so that no two wait for each other.
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [&] {
            return std::none_of(names.begin(), names.end(),
                                [&](const auto& name) { return filling_.contains(name); });
        });
        filling_.insert(mine.begin(), mine.end());
    }
    Turn turn(this, std::move(mine));
    std::set<std::string> full;
    for (const MountRecord& mount : mounts) {
        if (mount.type != "volume") continue;
        if (!fills.contains(mount.name)) {
            TRY(unmark(mount.source));
            continue;
        }
        const auto content = sys::list_dir(mount.source);
        if (!content || (!content->empty() && !is_marked(mount.source))) full.insert(mount.name);
    }
    turn.give_up(full);
    for (const std::string& name : full) turn.names_.erase(name);
    return turn;
}

}  // namespace coffer::engine
