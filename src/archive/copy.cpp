#include "archive/copy.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::archive {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20U;
constexpr int kRead = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

std::string below(const std::string& folder, const std::string& name) {
    if (folder.empty()) return name;
    return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

Result<struct stat> status_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail_errno("stat");
    return status;
}

TarEntry entry_of(const struct stat& status, const std::string& path) {
    TarEntry entry;
    entry.name = path;
    entry.mode = status.st_mode & 07777U;
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.mtime = Time(std::chrono::seconds(status.st_mtim.tv_sec) +
                       std::chrono::nanoseconds(status.st_mtim.tv_nsec));
    return entry;
}

// Those that extraction takes; a file system without attributes has none.
Result<void> read_attributes(int fd, TarEntry& entry) {
    std::array<char, 65536> names;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled next
    const ssize_t size = ::flistxattr(fd, names.data(), names.size());
    if (size <= 0) return {};
    for (const std::string& name :
         split(std::string_view(names.data(), static_cast<std::size_t>(size)), '\0')) {
        if (!is_carried_attribute(name)) continue;
        std::string value(65536, '\0');
        const ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (length < 0) return fail_errno("read attribute '{}' of '{}'", name, entry.name);
        value.resize(static_cast<std::size_t>(length));
        entry.xattrs.emplace_back(name, std::move(value));
    }
    return {};
}

// What is in such a folder is no file that one could copy.
Result<bool> is_of_kernel(int folder) {
    struct statfs status {};
    if (::fstatfs(folder, &status) != 0) return fail_errno("stat file system");
    switch (status.f_type) {
        case PROC_SUPER_MAGIC:
        case SYSFS_MAGIC:
        case CGROUP_SUPER_MAGIC:
        case CGROUP2_SUPER_MAGIC:
        case DEVPTS_SUPER_MAGIC:
        case SECURITYFS_MAGIC:
        case DEBUGFS_MAGIC:
        case TRACEFS_MAGIC:
            return true;
        default:
            return false;
    }
}

}  // namespace

Result<void> extract_tar(Source& tar, LayerTree& tree, ExtractOptions options) {
    TarReader reader(tar, {});
    Extractor files(reader, tree, std::move(options));
    for (;;) {
        const auto entry = TRY(reader.next());
        if (!entry) break;
        const auto extract = [&]() -> Result<void> {
            const std::string path = TRY(files.path_of(entry->name));
            if (path.empty()) return {};
            return files.create(*entry, TRY(tree.place(path)));
        };
        TRY_CONTEXT(extract(), "extract '{}'", entry->name);
    }
    TRY(reader.drain());
    return files.set_folder_times();
}

Result<void> TreeReader::add(int dir, const std::string& name, const std::string& path) {
    struct stat status {};
    if (::fstatat(dir, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", path);
    }
    if (!S_ISDIR(status.st_mode)) return add_entry(dir, name, path, status);
    const sys::Fd folder =
        TRY_CONTEXT(sys::open_at(dir, name, kRead | O_DIRECTORY), "read '{}'", path);
    if (!path.empty()) TRY(add_folder(folder.get(), path));
    if (TRY(is_of_kernel(folder.get()))) return {};
    return add_children(folder.get(), path);
}

Result<void> TreeReader::add_children(int fd, const std::string& path) {
    std::vector<std::string> names = TRY(sys::list_dir(fd));
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
        auto added = add(fd, name, below(path, name));
        // Gone since the folder was read.
        if (!added && added.error().sys_errno != ENOENT) return added;
    }
    return {};
}

Result<void> TreeReader::add_folder(int fd, const std::string& path) {
    TarEntry entry = entry_of(TRY(status_of(fd)), path.ends_with('/') ? path : path + "/");
    entry.type = EntryType::Directory;
    TRY(read_attributes(fd, entry));
    return tar_.add(entry);
}

Result<void> TreeReader::add_alone(int dir, const std::string& name, const std::string& path) {
    struct stat status {};
    if (::fstatat(dir, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", path);
    }
    return add_entry(dir, name, path, status);
}

Result<void> TreeReader::add_entry(int dir, const std::string& name, const std::string& path,
                                   const struct stat& status) {
    TarEntry entry = entry_of(status, path);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
        const auto [known, is_new] = links_.emplace(
            std::pair(std::uint64_t{status.st_dev}, std::uint64_t{status.st_ino}), path);
        if (!is_new) {
            entry.type = EntryType::HardLink;
            entry.link_target = known->second;
            return tar_.add(entry);
        }
    }
    switch (status.st_mode & S_IFMT) {
        case S_IFDIR: {
            const sys::Fd folder = TRY(sys::open_at(dir, name, kRead | O_DIRECTORY));
            return add_folder(folder.get(), path);
        }
        case S_IFREG: {
            const sys::Fd file = TRY_CONTEXT(sys::open_at(dir, name, kRead), "read '{}'", path);
            return add_file(file.get(), path);
        }
        case S_IFLNK: {
            std::array<char, PATH_MAX> target{};
            const ssize_t n = ::readlinkat(dir, name.c_str(), target.data(), target.size());
            if (n < 0) return fail_errno("read link '{}'", path);
            entry.type = EntryType::Symlink;
            entry.link_target.assign(target.data(), static_cast<std::size_t>(n));
            return tar_.add(entry);
        }
        case S_IFIFO:
            entry.type = EntryType::Fifo;
            return tar_.add(entry);
        case S_IFCHR:
        case S_IFBLK:
            entry.type = S_ISCHR(status.st_mode) ? EntryType::CharDevice : EntryType::BlockDevice;
            entry.device_major = ::major(status.st_rdev);
            entry.device_minor = ::minor(status.st_rdev);
            return tar_.add(entry);
        default:  // a socket
            return {};
    }
}

// What the descriptor is counts, not what its name was when it was looked at.
Result<void> TreeReader::add_file(int fd, const std::string& path) {
    const struct stat status = TRY(status_of(fd));
    if (!S_ISREG(status.st_mode)) return {};
    TarEntry entry = entry_of(status, path);
    entry.size = static_cast<std::uint64_t>(status.st_size);
    TRY(read_attributes(fd, entry));
    TRY(tar_.add(entry));
    buffer_.resize(kPiece);
    for (std::uint64_t left = entry.size; left > 0;) {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece));
        ssize_t n = ::read(fd, buffer_.data(), want);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read '{}'", path);
        if (n == 0) {
            std::fill_n(buffer_.begin(), want, '\0');
            n = static_cast<ssize_t>(want);
        }
        TRY(tar_.write(std::string_view(buffer_).substr(0, static_cast<std::size_t>(n))));
        left -= static_cast<std::uint64_t>(n);
    }
    return {};
}

}  // namespace coffer::archive
