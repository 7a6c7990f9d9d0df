#include "runtime/copy_up.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "base/text.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

namespace {

using sys::Fd;

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

Result<void> copy_file(int from, int to, const std::string& name) {
    const Fd source = TRY(sys::open_at(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!S_ISREG(TRY(status_of(source.get(), name)).st_mode)) return {};
    const Fd target =
        TRY(sys::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY, 0600));
    constexpr std::size_t kPart = 1U << 30U;
    for (ssize_t n = 1; n > 0;) {
        n = ::sendfile(target.get(), source.get(), nullptr, kPart);
        if (n < 0) return fail_errno("copy '{}'", name);
    }
    return copy_status(source.get(), target.get(), name);
}

Result<void> copy_link(int from, int to, const std::string& name) {
    std::array<char, PATH_MAX> target{};
    if (::readlinkat(from, name.c_str(), target.data(), target.size() - 1) < 0) {
        return fail_errno("read link '{}'", name);
    }
    if (::symlinkat(target.data(), to, name.c_str()) != 0) return fail_errno("link '{}'", name);
    return {};
}

Result<void> copy_children(int from, int to);

Result<void> copy_folder(int from, int to, const std::string& name) {
    const Fd source = TRY(sys::open_at(from, name, kFolder));
    if (::mkdirat(to, name.c_str(), 0700) != 0) return fail_errno("create folder '{}'", name);
    const Fd target = TRY(sys::open_at(to, name, kFolder));
    TRY_CONTEXT(copy_children(source.get(), target.get()), "{}", name);
    return copy_status(source.get(), target.get(), name);
}

Result<void> copy_entry(int from, int to, const std::string& name) {
    struct stat status {};
    if (::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("stat '{}'", name);
    }
    switch (status.st_mode & S_IFMT) {
        case S_IFDIR:
            return copy_folder(from, to, name);
        case S_IFREG:
            return copy_file(from, to, name);
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

Result<void> copy_children(int from, int to) {
    for (const std::string& name : TRY(sys::list_dir(from))) TRY(copy_entry(from, to, name));
    return {};
}

}  // namespace

Result<void> copy_up(int from, int to) {
    const Fd source = TRY(sys::open_at(from, ".", kFolder));
    const Fd target = TRY(sys::open_at(to, ".", kFolder));
    if (!TRY(sys::list_dir(target.get())).empty()) return {};
    auto copied = [&]() -> Result<void> {
        TRY(copy_children(source.get(), target.get()));
        return copy_status(source.get(), target.get(), ".");
    }();
    if (copied) return {};
    // Half a copy would pass for a volume in use the next time.
    const auto names = sys::list_dir(source.get());
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        ignore(sys::remove_tree(target.get(), name), "the first error counts");
    }
    return copied;
}

}  // namespace coffer::runtime
