// copy_tree() of sys/file.hpp.

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "sys/file.hpp"

namespace coffer::sys {

namespace {

constexpr unsigned kMaxDepth = 128;
constexpr std::size_t kPiece = 1U << 20U;

Result<void> copy_bytes(int from, int to) {
    for (;;) {
        const ssize_t n = ::sendfile(to, from, nullptr, kPiece);
        if (n < 0) return fail_errno("copy");
        if (n == 0) return {};
    }
}

Result<void> copy_folder(int from, int to, unsigned depth);

// `name` in both folders; `status` is the source's.
Result<void> copy_entry(int from, int to, const std::string& name, const struct stat& status,
                        unsigned depth) {
    const mode_t mode = status.st_mode & 07777;
    if (S_ISLNK(status.st_mode)) {
        std::array<char, PATH_MAX> target{};
        if (::readlinkat(from, name.c_str(), target.data(), target.size() - 1) < 0 ||
            ::symlinkat(target.data(), to, name.c_str()) != 0) {
            return fail_errno("copy link");
        }
    } else if (S_ISDIR(status.st_mode)) {
        if (::mkdirat(to, name.c_str(), 0700) != 0) return fail_errno("create folder");
        const Fd source = TRY(open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        const Fd target = TRY(open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        TRY(copy_folder(source.get(), target.get(), depth - 1));
    } else if (S_ISREG(status.st_mode)) {
        const Fd source = TRY(open_at(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
        const Fd target = TRY(open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        TRY(copy_bytes(source.get(), target.get()));
    } else if (::mknodat(to, name.c_str(), (status.st_mode & S_IFMT) | 0600, status.st_rdev) != 0) {
        return fail_errno("create node");
    }
    if (::fchownat(to, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("set owner");
    }
    // After the owner, whose change clears set-id bits.
    if (!S_ISLNK(status.st_mode) && ::fchmodat(to, name.c_str(), mode, 0) != 0) {
        return fail_errno("set mode");
    }
    return {};
}

Result<void> copy_folder(int from, int to, unsigned depth) {
    if (depth == 0) return fail(Code::InvalidArgument, "folders are nested too deeply");
    for (const std::string& name : TRY(list_dir(format("/proc/self/fd/{}", from)))) {
        struct stat status {};
        if (::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("copy '{}'", name);
        }
        TRY_CONTEXT(copy_entry(from, to, name, status, depth), "'{}'", name);
    }
    return {};
}

}  // namespace

Result<void> copy_tree(int from_dirfd, int to_dirfd) {
    return copy_folder(from_dirfd, to_dirfd, kMaxDepth);
}

}  // namespace coffer::sys
