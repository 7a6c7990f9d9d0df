#include "engine/volume_view.hpp"

#include "engine/events.hpp"
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

std::vector<api::Volume> volumes_with_usage(const volume::Volumes& volumes) {
    std::vector<api::Volume> views;
    for (const volume::Volume& volume : volumes.list()) {
        api::Volume view = view_of(volume);
        const auto size = sys::measure_tree(volume.path);
        view.usage_data = api::VolumeUsage{static_cast<std::int64_t>(volume.users.size()),
                                           size ? static_cast<std::int64_t>(size->bytes) : -1};
        views.push_back(std::move(view));
    }
    return views;
}

Result<std::vector<api::Volume>> list_volumes(const volume::Volumes& volumes,
                                              const Filters& filters) {
    TRY(filters.accept({"dangling", "driver", "label", "name"}));
    const bool by_use = filters.has("dangling");
    const bool dangling = TRY(filters.boolean("dangling", false));
    std::vector<api::Volume> views;
    for (const volume::Volume& volume : volumes.list()) {
        if (by_use && volume.users.empty() != dangling) continue;
        if (!filters.matches("driver", "local") || !filters.match_labels(volume.labels)) continue;
        bool named = !filters.has("name");
        for (const std::string& part : filters.get("name")) {
            named = named || volume.name.find(part) != std::string::npos;
        }
        if (named) views.push_back(view_of(volume));
    }
    return views;
}

Result<api::Volume> create_volume(volume::Volumes& volumes, Events& events,
                                  const api::VolumeCreateRequest& request) {
    const auto [volume, is_new] = TRY(volumes.create(request.name, request.labels));
    if (is_new) events.publish(volume_event("create", volume.name));
    return view_of(volume);
}

Result<void> remove_volume(volume::Volumes& volumes, Events& events, const std::string& name) {
    TRY(volumes.remove(name));
    events.publish(volume_event("destroy", name));
    return {};
}

Result<api::VolumesPruneReport> prune_volumes(volume::Volumes& volumes, Events& events,
                                              const Filters& filters, VolumesToPrune which) {
    TRY(filters.accept({"all", "label", "label!"}));
    const bool all = TRY(filters.boolean("all", which == VolumesToPrune::All));
    api::VolumesPruneReport report;
    for (const volume::Volume& volume : volumes.list()) {
        if (!volume.users.empty() || (!all && !volume.anonymous) ||
            !filters.match_labels(volume.labels)) {
            continue;
        }
        const auto size = sys::measure_tree(volume.path);
        // One that a container took in the meantime stays.
        if (!remove_volume(volumes, events, volume.name)) continue;
        report.volumes_deleted.push_back(volume.name);
        report.space_reclaimed += size ? size->bytes : 0;
    }
    events.publish(prune_event("volume", static_cast<std::uint64_t>(report.space_reclaimed)));
    return report;
}

}  // namespace coffer::engine
