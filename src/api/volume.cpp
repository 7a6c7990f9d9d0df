#include "api/volume.hpp"

namespace coffer::api {

void describe(json::Fields& f, const VolumeCopy& s) {
    f("Name", s.name);
    f("Warnings", s.warnings);
}

void describe(json::Fields& f, const VolumeUse& s) {
    f("Name", s.name);
    f("Size", s.size);
    f("Files", s.files);
    f("Limit", s.limit);
    f("Containers", s.containers);
}

void describe(json::Fields& f, const VolumeUsage& s) {
    f("RefCount", s.ref_count);
    f("Size", s.size);
}

void describe(json::Fields& f, const Volume& s) {
    f("CreatedAt", s.created_at, json::kOmitEmpty);
    f("Driver", s.driver);
    f("Labels", s.labels, json::kNullIfEmpty);
    f("Mountpoint", s.mountpoint);
    f("Name", s.name);
    f("Options", s.options, json::kNullIfEmpty);
    f("Scope", s.scope);
    f("Status", s.status, json::kOmitEmpty);
    f("UsageData", s.usage_data, json::kOmitEmpty);
}

void describe(json::Fields& f, const VolumeCreateRequest& s) {
    f("Driver", s.driver);
    f("DriverOpts", s.driver_opts);
    f("Labels", s.labels);
    f("Name", s.name);
    f("ClusterVolumeSpec", s.cluster_volume_spec, json::kOmitEmpty);
}

void describe(json::Fields& f, const VolumeListResponse& s) {
    f("Volumes", s.volumes);
    f("Warnings", s.warnings, json::kNullIfEmpty);
}

void describe(json::Fields& f, const VolumesPruneReport& s) {
    f("VolumesDeleted", s.volumes_deleted, json::kNullIfEmpty);
    f("SpaceReclaimed", s.space_reclaimed);
}

}  // namespace coffer::api
