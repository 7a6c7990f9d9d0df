#pragma once
// The driver `local`: what its options say about where the data of a volume is, and how that comes
// to be at <volume>/_data. Stateless; of one volume one call at a time.
//
//     <volume>/_data      the data, or where it is mounted
//     <volume>/disk.ext4  a size that the file system below cannot keep: the data is in this file

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace coffer::volume {

struct LocalOptions {
    std::string type;  // of the file system; empty: a folder of our own
    std::string device;
    std::string data;                  // as in the last field of fstab(5) but one
    std::uint64_t size = 0;            // the most bytes in a folder of our own; 0: as many as fit
    std::optional<std::uint32_t> uid;  // of that folder
    std::optional<std::uint32_t> gid;
    std::optional<std::uint32_t> mode;

    // Something of the host's, or of another machine's, is mounted: not for everybody to ask for.
    bool takes_from_host() const { return !type.empty() && type != "tmpfs"; }
    bool is_read_only() const;
};

// docker's options `type`, `device`, `o` and `size`, and without a device `o` with size, uid, gid
// and mode. Errors in docker's words.
Result<LocalOptions> parse_local_options(const std::map<std::string, std::string>& options);

// `folder` is the volume's. `project` counts what is written where the file system can; it is its
// own alone.
Result<void> create_local(const LocalOptions& options, const std::string& folder,
                          std::uint32_t project);
// Before the data is used, and after; nothing where nothing is to be mounted. What is mounted
// already stays as it is.
Result<void> mount_local(const LocalOptions& options, const std::string& folder);
Result<void> unmount_local(const std::string& folder);
// Where its disk is, if it has one.
std::string disk_of(const std::string& folder);
// Lets go of what outlives the folder.
void clear_local(const std::string& folder, std::uint32_t project);

}  // namespace coffer::volume
