#include "files/resolve.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include "archive/layer_tree.hpp"
#include "archive/tar.hpp"
#include "base/time.hpp"
#include "runtime/mount_plan.hpp"
#include "sys/file.hpp"

namespace coffer::files {

namespace {

Result<sys::Fd> open_folder(const sys::Fd& root, const std::string& path) {
    auto folder = sys::RootedDir(TRY(root.duplicate())).open(path, O_RDONLY | O_DIRECTORY);
    if (!folder && folder.error().sys_errno == ENOTDIR) {
        return fail_with(ENOENT, "open '{}'", path);
    }
    return folder;
}

}  // namespace

Result<Found> resolve(const sys::Fd& root, const std::string& path) {
    Found found;
    found.path = runtime::clean_path(path);
    const std::size_t slash = found.path.rfind('/');
    const bool ends_in_dot = path == "." || path.ends_with("/.");
    found.name = ends_in_dot ? "." : found.path == "/" ? "/" : found.path.substr(slash + 1);
    if (found.path == "/" || ends_in_dot || path.ends_with('/')) {
        found.folder = TRY(open_folder(root, found.path));
        found.base = ".";
    } else {
        found.folder = TRY(open_folder(root, slash == 0 ? "/" : found.path.substr(0, slash)));
        found.base = found.path.substr(slash + 1);
    }
    return found;
}

Result<Stat> stat_of(const sys::Fd& root, const Found& found) {
    struct stat status {};
    if (::fstatat(found.folder.get(), found.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", found.path);
    }
    Stat stat;
    stat.name = found.name;
    stat.size = status.st_size;
    stat.mode = status.st_mode;
    stat.mtime = to_rfc3339_short(Time(std::chrono::seconds(status.st_mtim.tv_sec) +
                                       std::chrono::nanoseconds(status.st_mtim.tv_nsec)));
    if (S_ISLNK(status.st_mode)) {
        const archive::LayerTree tree(root.get(), archive::TarLimits{}.depth,
                                      archive::LayerTree::Mounts::Inside);
        // Where there is no end of links there is no target.
        if (auto target = tree.real_path(found.path.substr(1))) stat.link_target = "/" + *target;
    }
    return stat;
}

}  // namespace coffer::files
