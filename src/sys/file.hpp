#pragma once
// Files: whole-file reads and writes, durable replacement, and lookups that cannot leave a folder
// (openat2(2)). Functions are stateless; a RootedDir may be shared between threads.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::sys {

// openat(2) with O_CLOEXEC added.
Result<Fd> open_at(int dirfd, const std::string& path, int flags, unsigned mode = 0);
Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0);

// A regular file of at most `limit` bytes: opened O_NOFOLLOW | O_NONBLOCK and checked, so a FIFO,
// a device or a link at that name is an error and never blocks.
Result<std::string> read_regular_file(int dirfd, const std::string& path, std::size_t limit);
// A file of /proc, /sys or our own state.
Result<std::string> read_file(const std::string& path, std::size_t limit = 16U << 20U);
// One write(2) to an existing file: for /proc, /sys and cgroup files.
Result<void> write_existing(const std::string& path, std::string_view text);
// Written to a temporary name beside it, synced, renamed: after a crash old or new, never half.
// Flush::No leaves the sync out: for what is worth nothing after a power failure.
enum class Flush : std::uint8_t { Yes, No };
Result<void> replace_file(const std::string& path, std::string_view text, unsigned mode = 0600,
                          Flush flush = Flush::Yes);
// Creates or truncates, without sync.
Result<void> write_file(const std::string& path, std::string_view text, unsigned mode = 0600);

Result<void> make_dirs(const std::string& path, unsigned mode = 0755);
bool exists(const std::string& path);
// What changes when a file does; empty when there is none.
std::string stamp_of(const std::string& path);
// Where a symbolic link leads.
Result<std::string> read_link(int dirfd, const std::string& path);
// Names in a folder, without "." and "..", in no order.
Result<std::vector<std::string>> list_dir(const std::string& path);
Result<std::vector<std::string>> list_dir(int dirfd);
// Removes a tree without following links or entering what is mounted in it; absent is success.
Result<void> remove_tree(int dirfd, const std::string& name);
Result<void> remove_tree(const std::string& path);
// Bytes and inodes of a tree, hard links once.
struct TreeSize {
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;
};
Result<TreeSize> measure_tree(const std::string& path);

// A folder that untrusted names are looked up in: every lookup stays inside it (RESOLVE_IN_ROOT:
// absolute links and ".." are read as in a chroot) and crosses no magic link.
class RootedDir {
  public:
    static Result<RootedDir> open(const std::string& path);
    explicit RootedDir(Fd fd) : fd_(std::move(fd)) {}

    int get() const { return fd_.get(); }
    Result<Fd> open(const std::string& path, int flags, unsigned mode = 0) const;
    // As open, but no component may be a symbolic link.
    Result<Fd> open_no_links(const std::string& path, int flags, unsigned mode = 0) const;
    // As open_no_links, but no mount point may be crossed either.
    Result<Fd> open_same_mount(const std::string& path, int flags) const;
    // The folder at `path`, made with its parents where absent; existing links are followed inside
    // the root. Each step is mkdirat and reopen by descriptor.
    Result<Fd> make_dirs(const std::string& path, unsigned mode = 0755) const;

  private:
    Fd fd_;
};

// A folder under `parent` (default $TMPDIR or /tmp) that is removed with all that is in it.
class TempDir {
  public:
    static Result<TempDir> create(const std::string& parent = {});
    ~TempDir();
    TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TempDir& operator=(TempDir&& other) noexcept;
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    const std::string& path() const { return path_; }

  private:
    explicit TempDir(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

// An exclusive lock on a file (flock(2)), held until destruction.
class FileLock {
  public:
    // Fails with Conflict when another process still holds it after `patience`.
    static Result<FileLock> try_lock(const std::string& path,
                                     std::chrono::milliseconds patience = {});
    static Result<FileLock> wait(const std::string& path);

  private:
    explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

}  // namespace coffer::sys
