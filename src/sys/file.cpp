#include "sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <memory>
#include <set>
#include <thread>

#include "base/id.hpp"

namespace coffer::sys {

namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Result<Fd> open_resolved(int dirfd, const std::string& path, int flags, unsigned mode,
                         std::uint64_t resolve) {
    ::open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = resolve;
    // EAGAIN: a rename raced the ".." checks of the kernel; the lookup is simply repeated.
    for (int attempt = 0;; ++attempt) {
        const long fd = ::syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof how);
        if (fd >= 0) return Fd(static_cast<int>(fd));
        if (errno != EAGAIN || attempt == 128) return fail_errno("open '{}'", path);
    }
}

Result<std::vector<std::string>> names_in(Fd folder, const std::string& path) {
    Dir dir(::fdopendir(folder.get()));
    if (!dir) return fail_errno("list '{}'", path);
    static_cast<void>(folder.release());
    std::vector<std::string> names;
    errno = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    while (const dirent* entry = ::readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return fail_errno("list '{}'", path);
    return names;
}

Result<void> remove_entry(int dirfd, const std::string& name) {
    if (::unlinkat(dirfd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return fail_errno("remove '{}'", name);
    Fd folder(::openat(dirfd, name.c_str(),
                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!folder) return errno == ENOENT ? Result<void>() : fail_errno("remove '{}'", name);
    // A bind mount is often of the same device.
    struct statx status {};
    if (::statx(folder.get(), "", AT_EMPTY_PATH, 0, &status) != 0)
        return fail_errno("stat '{}'", name);
    if ((status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
        return fail_with(EBUSY, "remove '{}': a mount point", name);
    Fd listing = TRY(folder.duplicate());
    for (const std::string& child : TRY(names_in(std::move(listing), name))) {
        TRY(remove_entry(folder.get(), child));
    }
    if (::unlinkat(dirfd, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    return fail_errno("remove folder '{}'", name);
}

Result<void> measure(int dirfd, const std::string& name, std::set<std::uint64_t>& seen,
                     TreeSize& size) {
    struct stat status {};
    if (::fstatat(dirfd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? Result<void>() : fail_errno("stat '{}'", name);
    }
    if (status.st_nlink > 1 && !S_ISDIR(status.st_mode) && !seen.insert(status.st_ino).second) {
        return {};
    }
    size.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    ++size.inodes;
    if (!S_ISDIR(status.st_mode)) return {};
    Fd folder(::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) return errno == ENOENT ? Result<void>() : fail_errno("open '{}'", name);
    Fd listing = TRY(folder.duplicate());
    for (const std::string& child : TRY(names_in(std::move(listing), name))) {
        TRY(measure(folder.get(), child, seen, size));
    }
    return {};
}

}  // namespace

Result<Fd> open_at(int dirfd, const std::string& path, int flags, unsigned mode) {
    Fd fd(::openat(dirfd, path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode)));
    if (!fd) return fail_errno("open '{}'", path);
    return fd;
}

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
    return open_at(AT_FDCWD, path, flags, mode);
}

Result<std::string> read_regular_file(int dirfd, const std::string& path, std::size_t limit) {
    const Fd fd = TRY(open_at(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return fail_errno("stat '{}'", path);
    if (!S_ISREG(status.st_mode)) {
        return fail(Code::InvalidArgument, "read '{}': not a regular file", path);
    }
    return TRY_CONTEXT(read_all(fd.get(), limit), "read '{}'", path);
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    const Fd fd = TRY(open_file(path, O_RDONLY));
    return TRY_CONTEXT(read_all(fd.get(), limit), "read '{}'", path);
}

Result<void> write_existing(const std::string& path, std::string_view text) {
    const Fd fd = TRY(open_file(path, O_WRONLY));
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return fail_errno("write '{}' to '{}'", trim(text), path);
    }
    return {};
}

Result<void> write_file(const std::string& path, std::string_view text, unsigned mode) {
    const Fd fd = TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
    TRY_CONTEXT(write_all(fd.get(), text), "write '{}'", path);
    return {};
}

Result<void> replace_file(const std::string& path, std::string_view text, unsigned mode,
                          Flush flush) {
    const std::string temporary = path + ".tmp-" + random_hex(4);
    const auto write = [&]() -> Result<void> {
        const Fd fd = TRY(open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
        TRY_CONTEXT(write_all(fd.get(), text), "write '{}'", temporary);
        if (flush == Flush::Yes && ::fsync(fd.get()) != 0)
            return fail_errno("sync '{}'", temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("replace '{}'", path);
        return {};
    };
    auto written = write();
    if (!written) ::unlink(temporary.c_str());
    return written;
}

Result<void> make_dirs(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) return {};
    if (errno == ENOENT) {
        const std::size_t slash = path.find_last_of('/');
        if (slash == std::string::npos || slash == 0) return fail_errno("create folder '{}'", path);
        TRY(make_dirs(path.substr(0, slash), mode));
        if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) return {};
    }
    if (errno != EEXIST) return fail_errno("create folder '{}'", path);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return fail_errno("stat '{}'", path);
    if (!S_ISDIR(status.st_mode)) return fail_with(ENOTDIR, "create folder '{}'", path);
    return {};
}

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

std::string stamp_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return {};
    return format("{} {} {}.{}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                  info.st_mtim.tv_nsec);
}

Result<std::string> read_link(int dirfd, const std::string& path) {
    std::array<char, PATH_MAX> target{};
    const ssize_t n = ::readlinkat(dirfd, path.c_str(), target.data(), target.size());
    if (n < 0) return fail_errno("read link '{}'", path);
    return std::string(target.data(), static_cast<std::size_t>(n));
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
    return names_in(TRY(open_file(path, O_RDONLY | O_DIRECTORY)), path);
}

Result<std::vector<std::string>> list_dir(int dirfd) {
    return names_in(TRY(open_at(dirfd, ".", O_RDONLY | O_DIRECTORY)), ".");
}

Result<void> remove_tree(int dirfd, const std::string& name) {
    // A process that fills it may have been killed and not be gone yet.
    constexpr int kAttempts = 200;
    for (int attempt = 0;; ++attempt) {
        auto removed = remove_entry(dirfd, name);
        if (removed || removed.error().sys_errno != ENOTEMPTY || attempt == kAttempts)
            return removed;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

Result<void> remove_tree(const std::string& path) {
    return remove_tree(AT_FDCWD, path);
}

Result<TreeSize> measure_tree(const std::string& path) {
    TreeSize size;
    std::set<std::uint64_t> seen;
    TRY(measure(AT_FDCWD, path, seen, size));
    return size;
}

Result<RootedDir> RootedDir::open(const std::string& path) {
    return RootedDir(TRY(open_file(path, O_PATH | O_DIRECTORY)));
}

Result<Fd> RootedDir::open(const std::string& path, int flags, unsigned mode) const {
    return open_resolved(fd_.get(), path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Result<Fd> RootedDir::open_no_links(const std::string& path, int flags, unsigned mode) const {
    return open_resolved(fd_.get(), path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

Result<Fd> RootedDir::open_same_mount(const std::string& path, int flags) const {
    return open_resolved(fd_.get(), path, flags, 0,
                         RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

Result<Fd> RootedDir::make_dirs(const std::string& path, unsigned mode) const {
    std::string done;
    Fd current = TRY(open(".", O_PATH | O_DIRECTORY));
    for (const std::string& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        done += "/" + part;
        Result<Fd> next = open(done, O_PATH | O_DIRECTORY);
        if (!next && next.error().sys_errno == ENOENT && part != "..") {
            // The parent was reached inside the root and is held by descriptor, so the new folder
            // cannot land elsewhere; a link planted at the name makes mkdirat fail.
            if (::mkdirat(current.get(), part.c_str(), static_cast<mode_t>(mode)) != 0 &&
                errno != EEXIST) {
                return fail_errno("create folder '{}'", done);
            }
            next = open_resolved(current.get(), part, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0,
                                 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        }
        current = TRY_CONTEXT(std::move(next), "create folder '{}'", done);
    }
    return current;
}

Result<TempDir> TempDir::create(const std::string& parent) {
    std::string base = parent;
    if (base.empty()) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets the environment
        const char* from_env = std::getenv("TMPDIR");
        base = from_env == nullptr ? "/tmp" : from_env;
    }
    std::string path = base + "/coffer-" + random_hex(8);
    if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("create folder '{}'", path);
    return TempDir(std::move(path));
}

TempDir::~TempDir() {
    if (!path_.empty()) ignore(remove_tree(path_), "a temporary folder that is busy stays");
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

Result<FileLock> FileLock::try_lock(const std::string& path, std::chrono::milliseconds patience) {
    Fd fd = TRY(open_file(path, O_RDWR | O_CREAT, 0600));
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return fail_errno("lock '{}'", path);
        if (std::chrono::steady_clock::now() >= deadline) {
            return fail(Code::Conflict, "lock '{}': held by another process", path);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return FileLock(std::move(fd));
}

Result<FileLock> FileLock::wait(const std::string& path) {
    Fd fd = TRY(open_file(path, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) return fail_errno("lock '{}'", path);
    }
    return FileLock(std::move(fd));
}

}  // namespace coffer::sys
