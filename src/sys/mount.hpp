#pragma once
// The mount API of the kernel by descriptor: detached trees are plain Fds and vanish with them.
// Nothing here takes a path that an untrusted process could redirect, but for the explicit source
// of clone_tree(). Stateless; affects the mount namespace of the calling thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::sys::mount {

// Attributes of a mount, as in mount_setattr(2).
constexpr std::uint64_t kReadOnly = 0x00000001;
constexpr std::uint64_t kNoSuid = 0x00000002;
constexpr std::uint64_t kNoDev = 0x00000004;
constexpr std::uint64_t kNoExec = 0x00000008;
constexpr std::uint64_t kAtimeMask = 0x00000070;
constexpr std::uint64_t kRelatime = 0x00000000;
constexpr std::uint64_t kNoAtime = 0x00000010;
constexpr std::uint64_t kStrictAtime = 0x00000020;
constexpr std::uint64_t kNoDirAtime = 0x00000080;
constexpr std::uint64_t kNoSymlinkFollow = 0x00200000;

enum class Propagation : std::uint8_t { Keep, Private, Slave, Shared, Unbindable };
enum class Depth : std::uint8_t { One, Recursive };

struct Attributes {
    std::uint64_t set = 0;
    std::uint64_t clear = 0;
    Propagation propagation = Propagation::Keep;
    int idmap_userns = -1;  // borrowed; -1: no id mapping
    bool empty() const {
        return set == 0 && clear == 0 && propagation == Propagation::Keep && idmap_userns < 0;
    }
};

// What an option of mount(8) does to a mount; those that ask for what is done anyway, or belong to
// mount(8) itself; and both by name.
struct Flag {
    std::string_view name;
    std::uint64_t set;
    std::uint64_t clear;
};

inline constexpr Flag kFlags[] = {
    {"ro", kReadOnly, 0},
    {"rw", 0, kReadOnly},
    {"nosuid", kNoSuid, 0},
    {"suid", 0, kNoSuid},
    {"nodev", kNoDev, 0},
    {"dev", 0, kNoDev},
    {"noexec", kNoExec, 0},
    {"exec", 0, kNoExec},
    {"noatime", kNoAtime, kAtimeMask},
    {"atime", 0, kAtimeMask},
    {"relatime", 0, kAtimeMask},
    {"norelatime", 0, kAtimeMask},
    {"strictatime", kStrictAtime, kAtimeMask},
    {"nostrictatime", 0, kAtimeMask},
    {"nodiratime", kNoDirAtime, 0},
    {"diratime", 0, kNoDirAtime},
    {"nosymfollow", kNoSymlinkFollow, 0},
    {"symfollow", 0, kNoSymlinkFollow},
};
inline constexpr std::string_view kWithoutEffect[] = {"defaults",    "silent", "loud",
                                                      "newinstance", "async",  "nomand"};
std::optional<Flag> find_flag(std::string_view name);
bool is_without_effect(std::string_view name);

// A parameter of a file system: "size" = "64k", or a flag when there is no value.
using Options = std::vector<std::pair<std::string, std::string>>;

// A new file system, detached: fsopen, fsconfig, fsmount. The kernel's own words are part of the
// error where it gives any.
Result<Fd> create(const std::string& type, const Options& options, std::uint64_t attributes,
                  const std::string& source = {});
// A detached copy of the mount tree at dirfd/path (AT_FDCWD for a host path). An empty path means
// dirfd itself.
Result<Fd> clone_tree(int dirfd, const std::string& path, Depth depth);
Result<void> set_attributes(int mount_fd, const Attributes& attributes, Depth depth);
// New parameters for the file system that is mounted at `mount_fd`, as by a remount.
Result<void> reconfigure(int mount_fd, const Options& options);
// True if a mount begins at the folder or file.
Result<bool> is_mount_root(int fd);
// Attaches a detached (or moves an attached) tree onto the folder or file `target_fd`.
Result<void> attach(int mount_fd, int target_fd);
// As mount(2) MS_SLAVE | MS_REC on "/": nothing mounted here reaches the namespace we came from.
Result<void> isolate_propagation();
// A mount namespace of our own, a copy of the one we were in, with its propagation isolated.
Result<void> unshare_namespace();
// Detaches what is mounted at our working folder.
Result<void> detach_working_folder();
// Detaches what is mounted on a folder of our own, into whose path nobody else can put a link;
// nothing where nothing is mounted.
Result<void> detach_path(const std::string& path);
// Makes the working folder the root and drops the old one, without a path.
Result<void> pivot_to_working_folder();

// The same for where pivot_root is refused, on an initramfs: the working folder's mount is moved
// onto the root. What was there stays below it, out of reach but not gone.
Result<void> move_working_folder_to_root();

// Overlay from folders by descriptor, detached (kernel 6.15 and newer; 6.13 for attached layers).
// `lower_fds` top first. The upper descriptor holds "diff" and "work", or is -1: then nothing can
// be written, and two layers are the least. For older kernels it attaches the layers below
// `scratch_fd`, an empty folder that becomes a tmpfs in our private mount namespace, mounts by
// short relative names and detaches them; that changes the working folder. `source` is what mount
// tables show.
Result<Fd> create_overlay(const std::vector<int>& lower_fds, int upper_parent_fd, int scratch_fd,
                          std::uint64_t attributes, const std::string& source = "overlay");

// statfs(2) of the file system behind a descriptor.
struct FsInfo {
    std::int64_t type = 0;
    bool read_only = false;
};
Result<FsInfo> info(int fd);
constexpr std::int64_t kProcMagic = 0x9fa0;
constexpr std::int64_t kDevptsMagic = 0x1cd1;
constexpr std::int64_t kOverlayMagic = 0x794c7630;
// The number that mountinfo has for the mount that a descriptor lies in.
Result<std::uint64_t> mount_id(int fd);
// True if both are files of one mount.
Result<bool> same_mount(int one, int other);

// A line of mountinfo, proc_pid_mountinfo(5).
struct Mounted {
    std::string root;  // what of the file system is mounted
    std::string point;
    std::string type;
    std::string options;  // of the file system
    std::string source;
    std::uint64_t id = 0;
};
// Pure. What is no such line is left out.
std::vector<Mounted> parse_mountinfo(std::string_view text);

}  // namespace coffer::sys::mount
