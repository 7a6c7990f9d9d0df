#include "files/layer_stack.hpp"

#include <fcntl.h>
#include <sys/xattr.h>

#include "archive/layer.hpp"
#include "archive/layer_tree.hpp"
#include "sys/file.hpp"

namespace coffer::files {

bool is_opaque(int folder) {
    char mark = 0;
    return ::fgetxattr(folder, archive::kOverlayOpaque, &mark, 1) == 1 && mark == 'y';
}

Result<sys::Fd> open_folder(int dir, const std::string& name) {
    return sys::open_at(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
}

Result<Shown> look_up(const LayerStack& stack, const std::string& name) {
    Shown shown;
    for (const sys::Fd& layer : stack) {
        struct stat status {};
        if (::fstatat(layer.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            return fail_errno("stat '{}'", name);
        }
        if (archive::is_whiteout(status)) break;
        if (shown.there && !S_ISDIR(status.st_mode)) break;
        if (!shown.there) {
            shown.status = status;
            shown.folder = layer.get();
        }
        shown.there = true;
        if (!S_ISDIR(status.st_mode)) break;
        shown.folders.push_back(TRY(open_folder(layer.get(), name)));
        if (is_opaque(shown.folders.back().get())) break;
    }
    return shown;
}

Result<std::set<std::string>> names_in(const LayerStack& stack) {
    std::set<std::string> names;
    std::set<std::string> hidden;
    for (const sys::Fd& layer : stack) {
        for (const std::string& name : TRY(sys::list_dir(layer.get()))) {
            struct stat status {};
            if (hidden.contains(name) || names.contains(name)) continue;
            if (::fstatat(layer.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
                return fail_errno("stat '{}'", name);
            }
            (archive::is_whiteout(status) ? hidden : names).insert(name);
        }
    }
    return names;
}

bool same_times(const struct stat& a, const struct stat& b) {
    return a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

bool same_rights(const struct stat& a, const struct stat& b) {
    return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid;
}

}  // namespace coffer::files
