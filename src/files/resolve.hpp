#pragma once
// Names of files as docker cp reads them, looked up inside the root. Stateless.

#include <string>

#include "files/protocol.hpp"
#include "sys/fd.hpp"

namespace coffer::files {

// The file or folder that a path names. Links among its parents are followed, its last component
// only where it ends in "/" or "/.": then it is a folder.
struct Found {
    sys::Fd folder;    // that holds it
    std::string base;  // "." for the folder itself
    std::string name;  // in an archive: the path's last component; "." or "/" for themselves
    std::string path;  // clean
};
Result<Found> resolve(const sys::Fd& root, const std::string& path);
Result<Stat> stat_of(const sys::Fd& root, const Found& found);

}  // namespace coffer::files
