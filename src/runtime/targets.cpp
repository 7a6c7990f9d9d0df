#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/rootfs.hpp"

namespace coffer::runtime {

namespace {

constexpr int kMaxLinks = 40;

Result<bool> is_folder(int fd, const std::string& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail_errno("stat '{}'", path);
    return S_ISDIR(status.st_mode);
}

std::pair<std::string, std::string> split_last(const std::string& clean) {
    const std::size_t slash = clean.rfind('/');
    return {slash == 0 ? "/" : clean.substr(0, slash), clean.substr(slash + 1)};
}

// A link whose target is absent: the path it names, as the container would read it.
Result<std::optional<std::string>> dangling_link(const sys::RootedDir& root,
                                                 const std::string& path) {
    const auto [parent, name] = split_last(path);
    const auto folder = root.open(parent, O_PATH | O_DIRECTORY);
    if (!folder) {
        if (folder.error().sys_errno == ENOENT) return std::optional<std::string>();
        return fail(folder.error());
    }
    const auto target = sys::read_link(folder->get(), name);
    if (!target) {
        const int error = target.error().sys_errno;
        if (error == EINVAL || error == ENOENT) return std::optional<std::string>();
        return fail(target.error());
    }
    return std::optional(clean_path(target->starts_with('/') ? *target : parent + "/" + *target));
}

}  // namespace

Result<sys::Fd> make_target(const sys::RootedDir& root, const std::string& path, TargetKind kind) {
    std::string wanted = path;
    for (int links = 0; links < kMaxLinks; ++links) {
        auto found = root.open(wanted, O_PATH);
        if (found) {
            const bool folder = TRY(is_folder(found->get(), wanted));
            if (folder != (kind == TargetKind::Folder)) {
                return fail_with(folder ? EISDIR : ENOTDIR,
                                 "mount on '{}': a folder on a file or a file on a folder", path);
            }
            return found;
        }
        if (found.error().sys_errno != ENOENT) return found;
        auto target = TRY(dangling_link(root, wanted));
        if (target) {
            wanted = std::move(*target);
            continue;
        }
        if (kind == TargetKind::Folder) return root.make_dirs(wanted);
        const auto [parent, name] = split_last(wanted);
        const sys::Fd folder = TRY(root.make_dirs(parent));
        // O_EXCL: what somebody puts at the name meanwhile is not followed, not even opened.
        TRY_CONTEXT(
            sys::open_at(folder.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0644),
            "create mount target '{}'", path);
        return sys::RootedDir(TRY(folder.duplicate())).open_no_links(name, O_PATH);
    }
    return fail_with(ELOOP, "mount on '{}'", path);
}

Result<sys::Fd> make_plain_folder(const sys::RootedDir& root, const std::string& path) {
    auto found = root.open_no_links(path, O_PATH | O_DIRECTORY);
    if (found || found.error().sys_errno != ENOENT) {
        return TRY_CONTEXT(std::move(found), "'{}' of the image must be a folder", path);
    }
    TRY(root.make_dirs(path));
    return root.open_no_links(path, O_PATH | O_DIRECTORY);
}

}  // namespace coffer::runtime
