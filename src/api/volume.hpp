#pragma once
// Volumes of the Engine API 1.50. Plain data. A member is the snake case of its wire name;
// std::optional is absent or null.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::api {

struct VolumeUsage {
    std::int64_t ref_count = -1;
    std::int64_t size = -1;
};

struct Volume {
    std::string created_at;
    std::string driver;
    std::map<std::string, std::string> labels;
    std::string mountpoint;
    std::string name;
    std::map<std::string, std::string> options;
    std::string scope;
    std::map<std::string, json::Value> status;
    std::optional<VolumeUsage> usage_data;
};

struct VolumeCreateRequest {
    std::string driver;
    std::map<std::string, std::string> driver_opts;
    std::map<std::string, std::string> labels;
    std::string name;
    json::Value cluster_volume_spec;  // of swarm
};

struct VolumeListResponse {
    std::vector<Volume> volumes;
    std::vector<std::string> warnings;
};

struct VolumesPruneReport {
    std::vector<std::string> volumes_deleted;
    std::uint64_t space_reclaimed = 0;
};

// Beyond docker: a new volume that is another one's copy.
struct VolumeCopy {
    std::string name;
    std::vector<std::string> warnings;
};

// How much there is in a volume; -1: it is on something that is not mounted now.
struct VolumeUse {
    std::string name;
    std::int64_t size = -1;  // bytes on the disk
    std::int64_t files = -1;
    std::int64_t limit = 0;               // 0: none
    std::vector<std::string> containers;  // that have it, by name
};

void describe(json::Fields& f, const VolumeCopy& s);
void describe(json::Fields& f, const VolumeUse& s);
void describe(json::Fields& f, const VolumeUsage& s);
void describe(json::Fields& f, const Volume& s);
void describe(json::Fields& f, const VolumeCreateRequest& s);
void describe(json::Fields& f, const VolumeListResponse& s);
void describe(json::Fields& f, const VolumesPruneReport& s);

}  // namespace coffer::api
