#pragma once
// The mounts a container asks for: binds ("src:dst:opts"), --mount objects, tmpfs and the volumes
// of its image, checked and brought into one form. Pure but for the host paths it looks at.

#include <functional>
#include <string>
#include <vector>

#include "engine/container.hpp"
#include "engine/containers.hpp"

namespace coffer::engine {

// Makes (or finds) the volume of a mount; without a name an anonymous one.
struct VolumeRef {
    std::string name;
    std::string path;
    bool may_be_filled = true;  // with what the image has there
};
using GetVolume = std::function<Result<VolumeRef>(const MountRecord& mount)>;
// The image of a name; NotFound when there is none.
struct ImageRef {
    std::string id;
    std::string chain_id;
};
using FindImage = std::function<Result<ImageRef>(const std::string& name)>;

// docker's texts for bad syntax, duplicates and missing sources. `make_volume` is called last, once
// nothing else can fail.
Result<std::vector<MountRecord>> collect_mounts(const api::ContainerConfig& config,
                                                const api::HostConfig& host,
                                                const std::vector<MountRecord>& inherited,
                                                const Caller& caller, const FindImage& find_image,
                                                const GetVolume& make_volume);
// Adds to `inherited` what --volumes-from "name[:ro]" takes of that container's mounts; a caller
// who is not root has the binds with their own rights.
Result<void> inherit_mounts(const std::vector<MountRecord>& theirs, const std::string& source,
                            const Caller& caller, std::vector<MountRecord>& inherited);

// Takes what asked for the mount at `target` out of the request; false: nothing in it did.
bool forget_mount(api::HostConfig& host, const std::string& target);

// "/a//b/../c" -> "/a/c"; absolute paths only.
Result<std::string> clean_target(const std::string& path);

}  // namespace coffer::engine
