#include "runtime/copy_up.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

using sys::Fd;

constexpr const char* kMark = "user.coffer.filling";
constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;

Result<struct stat> status_of(int fd, const std::string& name) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail_errno("stat '{}'", name);
    return status;
}

// An id that the container does not have stays with who copies: the container's root.
bool is_foreign_id(int error) {
    return error == EOVERFLOW || error == EINVAL;
}

Result<void> copy_attributes(int from, int to, const std::string& name) {
    std::array<char, 65536> names{};
    const ssize_t size = ::flistxattr(from, names.data(), names.size());
    if (size < 0) return errno == ENOTSUP ? Result<void>() : fail_errno("attributes of '{}'", name);
    for (const std::string& key :
         split(std::string_view(names.data(), static_cast<std::size_t>(size)), '\0')) {
        if (key != "security.capability" && !key.starts_with("user.")) continue;
        if (key == kMark) continue;
        std::array<char, 65536> value{};
        const ssize_t length = ::fgetxattr(from, key.c_str(), value.data(), value.size());
        if (length < 0) return fail_errno("attribute {} of '{}'", key, name);
        if (::fsetxattr(to, key.c_str(), value.data(), static_cast<std::size_t>(length), 0) != 0) {
            return fail_errno("set attribute {} of '{}'", key, name);
        }
    }
    return {};
}

// The owner comes before the mode and the capabilities, which a change of owner clears.
Result<void> copy_status(int from, int to, const std::string& name) {
    const struct stat status = TRY(status_of(from, name));
    if (::fchown(to, status.st_uid, status.st_gid) != 0 && !is_foreign_id(errno)) {
        return fail_errno("set owner of '{}'", name);
    }
    if (::fchmod(to, status.st_mode & 07777U) != 0) return fail_errno("set mode of '{}'", name);
    TRY(copy_attributes(from, to, name));
    const timespec times[] = {status.st_atim, status.st_mtim};
    if (::futimens(to, times) != 0) return fail_errno("set time of '{}'", name);
    return {};
}

// The bytes from `offset` on, in a file system that has them elsewhere than ours.
Result<void> send_part(int from, int to, off_t offset, off_t end, const std::string& name) {
    if (::lseek(to, offset, SEEK_SET) < 0) return fail_errno("copy '{}'", name);
    while (offset < end) {
        const ssize_t n = ::sendfile(to, from, &offset, static_cast<std::size_t>(end - offset));
        if (n < 0) return fail_errno("copy '{}'", name);
        if (n == 0) return {};  // it became shorter
    }
    return {};
}

Result<void> copy_part(int from, int to, off_t offset, off_t end, const std::string& name) {
    off_t target = offset;
    while (offset < end) {
        const ssize_t n = ::copy_file_range(from, &offset, to, &target,
                                            static_cast<std::size_t>(end - offset), 0);
        if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS))
            return send_part(from, to, offset, end, name);
        if (n < 0) return fail_errno("copy '{}'", name);
        if (n == 0) return {};
    }
    return {};
}

Result<void> copy_content(int from, int to, off_t size, const std::string& name) {
    if (::ftruncate(to, size) != 0) return fail_errno("copy '{}'", name);
    off_t hole = 0;
    for (;;) {
        const off_t data = ::lseek(from, hole, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};
        hole = data < 0 ? size : ::lseek(from, data, SEEK_HOLE);
        if (data < 0 && errno != EINVAL) return fail_errno("copy '{}'", name);
        if (hole < 0) return fail_errno("copy '{}'", name);
        TRY(copy_part(from, to, data < 0 ? 0 : data, hole, name));
        if (data < 0) return {};  // a file system that knows of no holes
    }
}

// Files of which there are more names than one, by what they are and their first copy's path.
struct Links {
    sys::RootedDir top;
    std::map<std::pair<dev_t, ino_t>, std::string> copies;
};

// True when it is a further name of what is there.
Result<bool> copy_as_name(Links& links, const struct stat& status, int to, const std::string& path,
                          const std::string& name) {
    if (status.st_nlink < 2) return false;
    const auto [known, is_new] =
        links.copies.emplace(std::pair{status.st_dev, status.st_ino}, path);
    if (is_new) return false;
    const std::string& first = known->second;
    const std::size_t slash = first.rfind('/');
    const Fd folder = TRY(links.top.open_no_links(
        slash == std::string::npos ? "." : first.substr(0, slash), O_PATH | O_DIRECTORY));
    if (::linkat(folder.get(), first.substr(slash + 1).c_str(), to, name.c_str(), 0) != 0)
        return fail_errno("link '{}'", name);
    return true;
}

Result<void> copy_file(Links& links, int from, int to, const std::string& path,
                       const std::string& name) {
    const Fd source = TRY(sys::open_at(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    const struct stat status = TRY(status_of(source.get(), name));
    if (!S_ISREG(status.st_mode)) return {};
    if (TRY(copy_as_name(links, status, to, path, name))) return {};
    const Fd target =
        TRY(sys::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, 0600));
    TRY(copy_content(source.get(), target.get(), status.st_size, name));
    return copy_status(source.get(), target.get(), name);
}

Result<void> copy_link(int from, int to, const std::string& name) {
    const std::string target = TRY(sys::read_link(from, name));
    if (::symlinkat(target.c_str(), to, name.c_str()) != 0) return fail_errno("link '{}'", name);
    return {};
}

Result<void> copy_children(Links& links, int from, int to, const std::string& path);

Result<void> copy_folder(Links& links, int from, int to, const std::string& path,
                         const std::string& name) {
    const Fd source = TRY(sys::open_at(from, name, kFolder));
    if (::mkdirat(to, name.c_str(), 0700) != 0) return fail_errno("create folder '{}'", name);
    const Fd target = TRY(sys::open_at(to, name, kFolder));
    TRY_CONTEXT(copy_children(links, source.get(), target.get(), path + "/"), "{}", name);
    return copy_status(source.get(), target.get(), name);
}

Result<void> copy_entry(Links& links, int from, int to, const std::string& path,
                        const std::string& name) {
    struct stat status {};
    if (::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", name);
    }
    switch (status.st_mode & S_IFMT) {
        case S_IFDIR:
            return copy_folder(links, from, to, path, name);
        case S_IFREG:
            return copy_file(links, from, to, path, name);
        case S_IFLNK:
            TRY(copy_link(from, to, name));
            break;
        case S_IFIFO:
            if (::mkfifoat(to, name.c_str(), status.st_mode & 0777U) != 0) {
                return fail_errno("create FIFO '{}'", name);
            }
            break;
        default:
            return {};
    }
    // By name, for what cannot be opened: neither call follows what is put there meanwhile.
    if (::fchownat(to, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0 &&
        !is_foreign_id(errno)) {
        return fail_errno("set owner of '{}'", name);
    }
    const timespec times[] = {status.st_atim, status.st_mtim};
    if (::utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("set time of '{}'", name);
    }
    return {};
}

Result<void> copy_children(Links& links, int from, int to, const std::string& path) {
    for (const std::string& name : TRY(sys::list_dir(from)))
        TRY(copy_entry(links, from, to, path + name, name));
    return {};
}

Result<void> remove_copy(int from, int to) {
    for (const std::string& name : TRY(sys::list_dir(from))) {
        const auto removed = sys::remove_tree(to, name);
        if (!removed && removed.error().sys_errno != ENOENT) return fail(removed.error());
    }
    return {};
}

Result<void> fill(int from, int to, FolderStatus status) {
    Links links{sys::RootedDir(TRY(sys::open_at(to, ".", kFolder))), {}};
    TRY(copy_children(links, from, to, ""));
    if (status == FolderStatus::Copied) TRY(copy_status(from, to, "."));
    return keep_half_copy(to);
}

}  // namespace

bool is_half_copied(int folder) {
    return ::fgetxattr(folder, kMark, nullptr, 0) >= 0;
}

Result<void> keep_half_copy(int folder) {
    if (!is_half_copied(folder) || ::fremovexattr(folder, kMark) == 0) return {};
    return fail_errno("remove attribute {}", kMark);
}

Result<void> copy_up(int from, int to, FolderStatus status) {
    const Fd source = TRY(sys::open_at(from, ".", kFolder));
    const Fd target = TRY(sys::open_at(to, ".", kFolder));
    if (is_half_copied(target.get()))
        TRY_CONTEXT(remove_copy(source.get(), target.get()), "remove half a copy");
    else if (!TRY(sys::list_dir(target.get())).empty())
        return {};
    ::fsetxattr(target.get(), kMark, "", 0, 0);  // there may be no such attributes
    auto filled = fill(source.get(), target.get(), status);
    if (filled) return {};
    // Half a copy would pass for a volume in use the next time.
    ignore(remove_copy(source.get(), target.get()), "the first error counts");
    ignore(keep_half_copy(target.get()), "the first error counts");
    return filled;
}

}  // namespace coffer::runtime
