#include "archive/layer_tree.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::archive {

namespace {

constexpr std::size_t kFolders = 128;
constexpr int kLinks = 40;  // as many as the kernel follows

std::pair<std::string, std::string> split_last(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {std::string(), path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<struct stat> status_of(const LayerTree::Place& place) {
    struct stat status {};
    if (::fstatat(place.dir, place.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", place.path());
    }
    return status;
}

}  // namespace

bool is_whiteout(const struct stat& status) {
    return S_ISCHR(status.st_mode) && status.st_rdev == ::makedev(0, 0);
}

Result<std::string> LayerTree::clean(std::string_view name) {
    std::string path;
    for (const std::string& part : split(name, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == "..") return fail(Code::InvalidArgument, "'{}' leads out of the archive", name);
        if (!path.empty()) path += '/';
        path += part;
    }
    return path;
}

Result<sys::Fd> LayerTree::lookup(const std::string& path, int flags) const {
    ::open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    if (mounts_ == Mounts::Outside) how.resolve |= RESOLVE_NO_XDEV;
    const char* name = path.empty() ? "." : path.c_str();
    const long fd = ::syscall(SYS_openat2, root_, name, &how, sizeof how);
    if (fd < 0) return fail_errno("open '{}'", path);
    return sys::Fd(static_cast<int>(fd));
}

Result<sys::Fd> LayerTree::open_folder(const std::string& path) const {
    return lookup(path, O_RDONLY | O_DIRECTORY);
}

// Follows the links among the components itself, so that the result is a path without links whose
// depth is known; ".." and absolute links cannot climb above the root.
Result<std::string> LayerTree::real_path(const std::string& path) const {
    std::vector<std::string> todo = split(path, '/');
    std::reverse(todo.begin(), todo.end());
    std::vector<std::string> done;
    int links = 0;
    while (!todo.empty()) {
        const std::string part = std::move(todo.back());
        todo.pop_back();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!done.empty()) done.pop_back();
            continue;
        }
        const auto folder = lookup(join(done, "/"), O_PATH | O_DIRECTORY);
        std::array<char, PATH_MAX> target{};
        const ssize_t n =
            !folder ? -1 : ::readlinkat(folder->get(), part.c_str(), target.data(), target.size());
        if (n < 0) {  // no link, or not there (yet)
            done.push_back(part);
            continue;
        }
        if (++links > kLinks) return fail_with(ELOOP, "follow '{}'", path);
        const std::string_view text(target.data(), static_cast<std::size_t>(n));
        if (text.starts_with('/')) done.clear();
        std::vector<std::string> parts = split(text, '/');
        todo.insert(todo.end(), parts.rbegin(), parts.rend());
        if (todo.size() > PATH_MAX) return fail_with(ENAMETOOLONG, "follow '{}'", path);
    }
    if (done.size() > depth_) return fail_with(ENAMETOOLONG, "follow '{}'", path);
    return join(done, "/");
}

// A folder by a path without links.
Result<int> LayerTree::folder(const std::string& path, Missing missing) {
    if (const auto known = folders_.find(path); known != folders_.end()) return known->second.get();
    auto fd = lookup(path, O_PATH | O_DIRECTORY);
    const int why = fd ? 0 : fd.error().sys_errno;
    if ((why == ENOENT || why == ENOTDIR) && missing == Missing::Make && !path.empty()) {
        const auto [parent, base] = split_last(path);
        const int dir = TRY(folder(parent, missing));
        const Place place{dir, parent, base};
        // A file in the way of a parent is an error, but a whiteout was for the lower layers.
        if (why == ENOTDIR && !is_whiteout(TRY(status_of(place)))) return fail(fd.error());
        TRY(make_folder(place));
        fd = lookup(path, O_PATH | O_DIRECTORY);
    }
    sys::Fd open = TRY(std::move(fd));
    if (folders_.size() >= kFolders) folders_.clear();
    return folders_.emplace(path, std::move(open)).first->second.get();
}

Result<LayerTree::Place> LayerTree::locate(const std::string& path, Missing missing) {
    const auto [parent, base] = split_last(path);
    if (base.size() > NAME_MAX) return fail_with(ENAMETOOLONG, "place '{}'", path);
    Place place{-1, parent, base};
    if (const auto known = real_.find(parent); known != real_.end()) place.parent = known->second;
    auto dir = folder(place.parent, missing);
    if (!dir && dir.error().sys_errno == ELOOP) {
        place.parent = TRY(real_path(parent));
        if (real_.size() >= kFolders) real_.clear();
        real_[parent] = place.parent;
        dir = folder(place.parent, missing);
    }
    place.dir = TRY(std::move(dir));
    return place;
}

Result<LayerTree::Place> LayerTree::place(const std::string& path) {
    return locate(path, Missing::Make);
}

Result<LayerTree::Place> LayerTree::find(const std::string& path) {
    return locate(path, Missing::Fail);
}

Result<void> LayerTree::clear(const Place& place) {
    if (::unlinkat(place.dir, place.base.c_str(), 0) == 0) {
        real_.clear();
        return {};
    }
    if (errno == ENOENT) return {};
    // The place's own descriptor is needed still; those of folders below it are not.
    real_.clear();
    const std::string path = place.path();
    std::erase_if(folders_, [&](const auto& known) {
        return known.first == path || known.first.starts_with(path + "/");
    });
    std::erase_if(opaque_, [&](const std::string& known) {
        return known == path || known.starts_with(path + "/");
    });
    return sys::remove_tree(place.dir, place.base);
}

Result<void> LayerTree::make_folder(const Place& place) {
    const char* base = place.base.c_str();
    if (::mkdirat(place.dir, base, 0755) == 0) return {};
    if (errno != EEXIST) return fail_errno("create folder '{}'", place.path());
    const struct stat status = TRY(status_of(place));
    if (S_ISDIR(status.st_mode)) return {};
    const bool hides = is_whiteout(status);
    TRY(clear(place));
    if (::mkdirat(place.dir, base, 0755) != 0) {
        return fail_errno("create folder '{}'", place.path());
    }
    if (hides) hide_lower(place.path());
    return {};
}

// Removes what lower layers have at this name, but not what this layer has put there.
Result<void> LayerTree::make_whiteout(const Place& place) {
    if (::mknodat(place.dir, place.base.c_str(), S_IFCHR, ::makedev(0, 0)) == 0) return {};
    if (errno != EEXIST) return fail_errno("create whiteout '{}'", place.path());
    if (S_ISDIR(TRY(status_of(place)).st_mode)) hide_lower(place.path());
    return {};
}

}  // namespace coffer::archive
