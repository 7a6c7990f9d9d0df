#include "engine/volume_view.hpp"

#include "engine/containers.hpp"
#include "sys/file.hpp"

namespace coffer::engine {

api::Volume view_of(const volume::Volume& volume) {
    api::Volume view;
    view.name = volume.name;
    view.driver = "local";
    view.mountpoint = volume.path;
    view.created_at = volume.created_at;
    view.labels = volume.labels;
    view.scope = "local";
    return view;
}

Result<std::map<std::string, std::set<std::string>>> users_of_volumes(
    const Containers& containers) {
    std::map<std::string, std::set<std::string>> users;
    for (const api::ContainerSummary& container : TRY(containers.list({.all = true}))) {
        for (const api::MountPoint& mount : container.mounts) {
            if (mount.type == "volume") users[mount.name].insert(container.id);
        }
    }
    return users;
}

Result<std::vector<api::Volume>> volumes_with_usage(const volume::Volumes& volumes,
                                                    const Containers& containers) {
    const auto users = TRY(users_of_volumes(containers));
    std::vector<api::Volume> views;
    for (const volume::Volume& volume : volumes.list()) {
        api::Volume view = view_of(volume);
        const auto found = users.find(volume.name);
        const auto size = sys::measure_tree(volume.path);
        view.usage_data = api::VolumeUsage{
            found == users.end() ? 0 : static_cast<std::int64_t>(found->second.size()),
            size ? static_cast<std::int64_t>(size->bytes) : -1};
        views.push_back(std::move(view));
    }
    return views;
}

Result<std::vector<api::Volume>> list_volumes(const volume::Volumes& volumes,
                                              const Containers& containers,
                                              const Filters& filters) {
    TRY(filters.accept({"dangling", "driver", "label", "name"}));
    const auto users = TRY(users_of_volumes(containers));
    const bool by_use = filters.has("dangling");
    const bool dangling = TRY(filters.boolean("dangling", false));
    std::vector<api::Volume> views;
    for (const volume::Volume& volume : volumes.list()) {
        if (by_use && users.contains(volume.name) == dangling) continue;
        if (!filters.matches("driver", "local") || !filters.match_labels(volume.labels)) continue;
        bool named = !filters.has("name");
        for (const std::string& part : filters.get("name")) {
            named = named || volume.name.find(part) != std::string::npos;
        }
        if (named) views.push_back(view_of(volume));
    }
    return views;
}

Result<void> remove_volume(volume::Volumes& volumes, const Containers& containers,
                           const std::string& name) {
    const auto users = TRY(users_of_volumes(containers));
    const auto found = users.find(name);
    if (found != users.end()) {
        const std::vector<std::string> ids(found->second.begin(), found->second.end());
        return fail(Code::Conflict, "remove {}: volume is in use - [{}]", name, join(ids, ", "));
    }
    return volumes.remove(name);
}

}  // namespace coffer::engine
