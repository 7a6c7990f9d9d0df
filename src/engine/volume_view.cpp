#include "engine/volume_view.hpp"

#include "engine/containers.hpp"
#include "engine/events.hpp"
#include "sys/file.hpp"
#include "volume/local.hpp"

namespace coffer::engine {

api::Volume view_of(const volume::Volume& volume) {
    api::Volume view;
    view.name = volume.name;
    view.driver = "local";
    view.mountpoint = volume.path;
    view.created_at = volume.created_at;
    view.labels = volume.labels;
    view.options = volume.options;
    view.scope = "local";
    return view;
}

std::uint64_t stored_bytes(const volume::Volume& volume) {
    const auto options = volume::parse_local_options(volume.options);
    if (!options || !options->type.empty()) return 0;
    const std::string disk = volume::disk_of(volume.path.substr(0, volume.path.rfind('/')));
    const auto size = sys::measure_tree(sys::exists(disk) ? disk : volume.path);
    return size ? size->bytes : 0;
}

std::vector<api::Volume> volumes_with_usage(const volume::Volumes& volumes) {
    std::vector<api::Volume> views;
    for (const volume::Volume& volume : volumes.list()) {
        api::Volume view = view_of(volume);
        view.usage_data = api::VolumeUsage{static_cast<std::int64_t>(volume.users.size()),
                                           static_cast<std::int64_t>(stored_bytes(volume))};
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

Result<void> check_volume_rights(const volume::VolumeRequest& request, const Caller& caller) {
    if (caller.uid == 0) return {};
    const auto options = volume::parse_local_options(request.options);
    if (!options || !options->takes_from_host()) return {};
    return fail(Code::Forbidden,
                "create {}: a volume of type '{}' on '{}' is for root alone: a bind mount gives a "
                "folder with your own rights",
                request.name, options->type, options->device);
}

Result<api::Volume> create_volume(volume::Volumes& volumes, Events& events,
                                  const api::VolumeCreateRequest& request, const Caller& caller) {
    const volume::VolumeRequest wanted{.name = request.name,
                                       .driver = request.driver,
                                       .options = request.driver_opts,
                                       .labels = request.labels};
    TRY(check_volume_rights(wanted, caller));
    const auto [volume, is_new] = TRY(volumes.create(wanted));
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
        const std::uint64_t size = stored_bytes(volume);
        // One that a container took in the meantime stays.
        if (!remove_volume(volumes, events, volume.name)) continue;
        report.volumes_deleted.push_back(volume.name);
        report.space_reclaimed += size;
    }
    events.publish(prune_event("volume", static_cast<std::uint64_t>(report.space_reclaimed)));
    return report;
}

}  // namespace coffer::engine
