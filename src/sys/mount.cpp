#include "sys/mount.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sys/file.hpp"

namespace coffer::sys::mount {

namespace {

constexpr unsigned kAtRecursive = 0x8000;

// What the kernel wrote about a failed fsconfig: lines of "e text".
std::string kernel_words(int fs_fd) {
    std::string words;
    std::array<char, 512> buffer;
    for (;;) {
        const ssize_t n = ::read(fs_fd, buffer.data(), buffer.size());
        if (n <= 0) return words;
        std::string_view line = trim({buffer.data(), static_cast<std::size_t>(n)});
        if (line.starts_with("e ")) words += format(" ({})", line.substr(2));
    }
}

Failure fail_fs(int fs_fd, int error, std::string_view tried, std::string_view what) {
    Failure failure = fail_with(error, "{}: {}", tried, what);
    failure.error.message += kernel_words(fs_fd);
    return failure;
}

Result<Fd> open_context(const std::string& type) {
    Fd fs(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
    if (!fs) return fail_errno("create file system '{}'", type);
    return fs;
}

int set_option(const Fd& fs, const std::string& key, const std::string& value) {
    return value.empty() ? ::fsconfig(fs.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                         : ::fsconfig(fs.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
}

Result<void> set_options(const Fd& fs, const Options& options, std::string_view tried) {
    for (const auto& [key, value] : options) {
        if (set_option(fs, key, value) == 0) continue;
        const int error = errno;
        return fail_fs(fs.get(), error, tried, format("option '{}={}'", key, value));
    }
    return {};
}

// The mount API keeps the access-time policy in a field of its own: it is cleared as a whole.
mount_attr to_kernel(const Attributes& attributes) {
    mount_attr attr{};
    attr.attr_set = attributes.set;
    attr.attr_clr = attributes.clear;
    if (((attributes.set | attributes.clear) & kAtimeMask) != 0) attr.attr_clr |= kAtimeMask;
    if (attributes.idmap_userns >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = static_cast<std::uint64_t>(attributes.idmap_userns);
    }
    switch (attributes.propagation) {
        case Propagation::Keep:
            break;
        case Propagation::Private:
            attr.propagation = MS_PRIVATE;
            break;
        case Propagation::Slave:
            attr.propagation = MS_SLAVE;
            break;
        case Propagation::Shared:
            attr.propagation = MS_SHARED;
            break;
        case Propagation::Unbindable:
            attr.propagation = MS_UNBINDABLE;
            break;
    }
    return attr;
}

// mountinfo writes blanks and backslashes as \040 and so on.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                            (text[i + 3] - '0')));
            i += 3;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

}  // namespace

std::optional<Flag> find_flag(std::string_view name) {
    for (const Flag& flag : kFlags)
        if (flag.name == name) return flag;
    return std::nullopt;
}

bool is_without_effect(std::string_view name) {
    return std::find(std::begin(kWithoutEffect), std::end(kWithoutEffect), name) !=
           std::end(kWithoutEffect);
}

Result<Fd> create(const std::string& type, const Options& options, std::uint64_t attributes,
                  const std::string& source) {
    const std::string tried = format("create file system '{}'", type);
    const Fd fs = TRY(open_context(type));
    if (!source.empty() && set_option(fs, "source", source) != 0) {
        return fail_fs(fs.get(), errno, tried, "source");
    }
    TRY(set_options(fs, options, tried));
    if (::fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        return fail_fs(fs.get(), errno, tried, "create");
    }
    Fd mount(::fsmount(fs.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!mount) return fail_fs(fs.get(), errno, tried, "mount");
    return mount;
}

Result<void> reconfigure(int mount_fd, const Options& options) {
    const Fd fs(::fspick(mount_fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH));
    if (!fs) return fail_errno("change a file system");
    TRY(set_options(fs, options, "remount"));
    if (::fsconfig(fs.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0) {
        return fail_fs(fs.get(), errno, "remount", "reconfigure");
    }
    return {};
}

Result<bool> is_mount_root(int fd) {
    struct statx status {};
    if (::statx(fd, "", AT_EMPTY_PATH, 0, &status) != 0) return fail_errno("stat");
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

Result<Fd> clone_tree(int dirfd, const std::string& path, Depth depth) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if (depth == Depth::Recursive) flags |= kAtRecursive;
    if (path.empty()) flags |= AT_EMPTY_PATH;
    Fd tree(::open_tree(dirfd, path.c_str(), flags));
    if (!tree) return fail_errno("bind '{}'", path);
    return tree;
}

Result<void> set_attributes(int mount_fd, const Attributes& attributes, Depth depth) {
    if (attributes.empty()) return {};
    mount_attr attr = to_kernel(attributes);
    unsigned flags = AT_EMPTY_PATH;
    if (depth == Depth::Recursive) flags |= kAtRecursive;
    if (::mount_setattr(mount_fd, "", flags, &attr, sizeof attr) == 0) return {};
    if (attributes.idmap_userns < 0) return fail_errno("set the flags of a mount");
    if (errno == EINVAL) {
        return fail_errno("this kernel cannot map the ids of the file system");
    }
    return fail_errno("map the ids of a mount");
}

Result<void> attach(int mount_fd, int target_fd) {
    if (::move_mount(mount_fd, "", target_fd, "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
        return fail_errno("attach mount");
    }
    return {};
}

Result<void> isolate_propagation() {
    if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
        return fail_errno("make mounts slaves");
    }
    return {};
}

Result<void> unshare_namespace() {
    if (::unshare(CLONE_NEWNS) != 0) return fail_errno("create mount namespace");
    return isolate_propagation();
}

Result<void> detach_working_folder() {
    if (::umount2(".", MNT_DETACH) != 0) return fail_errno("detach mount");
    return {};
}

Result<void> detach_path(const std::string& path) {
    const auto place = open_file(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!place || !TRY(is_mount_root(place->get()))) return {};
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
        return fail_errno("detach '{}'", path);
    return {};
}

Result<void> pivot_to_working_folder() {
    // The old root lands on top of the new one and is taken off again, which needs no folder in
    // the container.
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno("pivot root");
    TRY(detach_working_folder());
    if (::chdir("/") != 0) return fail_errno("enter the new root");
    return {};
}

Result<void> move_working_folder_to_root() {
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) return fail_errno("move the new root");
    if (::chroot(".") != 0) return fail_errno("change root");
    if (::chdir("/") != 0) return fail_errno("enter the new root");
    return {};
}

namespace {

// NotImplemented when the kernel cannot.
Result<Fd> overlay_by_descriptor(const std::vector<int>& lower_fds, int upper_parent_fd,
                                 std::uint64_t attributes, const std::string& source) {
    Fd diff;
    Fd work;
    if (upper_parent_fd >= 0) {
        constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW;
        diff = TRY(open_at(upper_parent_fd, "diff", kFlags));
        work = TRY(open_at(upper_parent_fd, "work", kFlags));
    }
    const Fd fs = TRY(open_context("overlay"));
    const auto set = [&](const char* key, int fd) {
        return ::fsconfig(fs.get(), FSCONFIG_SET_FD, key, nullptr, fd) == 0;
    };
    const auto too_old = [&] {
        return fail(Code::NotImplemented, "overlay by descriptor: {}{}", errno_text(errno),
                    kernel_words(fs.get()));
    };
    ::fsconfig(fs.get(), FSCONFIG_SET_STRING, "source", source.c_str(), 0);
    for (const int lower : lower_fds) {
        if (!set("lowerdir+", lower)) return too_old();
    }
    if (diff && (!set("upperdir", diff.get()) || !set("workdir", work.get()))) return too_old();
    if (::fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        return fail_fs(fs.get(), errno, "create file system 'overlay'", "create");
    }
    Fd mount(::fsmount(fs.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!mount) return fail_fs(fs.get(), errno, "create file system 'overlay'", "mount");
    return mount;
}

Result<Fd> overlay_by_path(const std::vector<int>& lower_fds, int upper_parent_fd, int scratch_fd,
                           std::uint64_t attributes, const std::string& source) {
    const Fd scratch = TRY(create("tmpfs", {{"mode", "0700"}}, 0));
    TRY(attach(scratch.get(), scratch_fd));
    if (::fchdir(scratch.get()) != 0) return fail_errno("enter scratch folder");
    const auto place = [&](const std::string& name, int tree_fd) -> Result<void> {
        if (::mkdirat(scratch.get(), name.c_str(), 0700) != 0) return fail_errno("create folder");
        const Fd target = TRY(open_at(scratch.get(), name, O_PATH | O_DIRECTORY));
        return attach(tree_fd, target.get());
    };
    std::string options = "lowerdir=";
    for (std::size_t i = 0; i < lower_fds.size(); ++i) {
        // Short relative names: all options share one page.
        const std::string name = format("{}", i);
        TRY_CONTEXT(place(name, lower_fds[i]), "attach layer {}", i);
        options += (i == 0 ? "" : ":") + name;
    }
    if (upper_parent_fd >= 0) {
        TRY_CONTEXT(place("u", upper_parent_fd), "attach upper layer");
        options += ",upperdir=u/diff,workdir=u/work";
    }
    if (::mkdirat(scratch.get(), "m", 0700) != 0) return fail_errno("create folder");
    if (::mount(source.c_str(), "m", "overlay", 0, options.c_str()) != 0) {
        return fail_errno("mount overlay of {} layers", lower_fds.size());
    }
    Fd overlay = TRY(clone_tree(scratch.get(), "m", Depth::One));
    // The overlay keeps private copies of its layers, so all that was attached can go at once.
    if (::fchdir(scratch.get()) != 0) return fail_errno("enter scratch folder");
    TRY(detach_working_folder());
    TRY(set_attributes(overlay.get(), {.set = attributes}, Depth::One));
    return overlay;
}

}  // namespace

Result<Fd> create_overlay(const std::vector<int>& lower_fds, int upper_parent_fd, int scratch_fd,
                          std::uint64_t attributes, const std::string& source) {
    auto overlay = overlay_by_descriptor(lower_fds, upper_parent_fd, attributes, source);
    if (overlay || overlay.error().code != Code::NotImplemented) return overlay;
    return overlay_by_path(lower_fds, upper_parent_fd, scratch_fd, attributes, source);
}

Result<FsInfo> info(int fd) {
    struct statfs status {};
    if (::fstatfs(fd, &status) != 0) return fail_errno("stat file system");
    return FsInfo{status.f_type, (status.f_flags & ST_RDONLY) != 0};
}

Result<std::uint64_t> mount_id(int fd) {
    struct statx status {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) return fail_errno("stat");
    return std::uint64_t{status.stx_mnt_id};
}

Result<bool> same_mount(int one, int other) {
    return TRY(mount_id(one)) == TRY(mount_id(other));
}

std::vector<Mounted> parse_mountinfo(std::string_view text) {
    std::vector<Mounted> all;
    for (const std::string& line : split(text, '\n')) {
        const auto halves = cut(line, " - ");
        if (!halves) continue;
        const std::vector<std::string> front = split(halves->first, ' ');
        const std::vector<std::string> back = split(halves->second, ' ');
        if (front.size() < 6 || back.size() < 3) continue;
        all.push_back({unescape(front[3]), unescape(front[4]), back[0], back[2], unescape(back[1]),
                       parse_uint(front[0]).value_or(0)});
    }
    return all;
}

}  // namespace coffer::sys::mount
