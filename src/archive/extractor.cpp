#include "archive/extractor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace coffer::archive {

namespace {

constexpr std::string_view kCapability = "security.capability";

std::array<timespec, 2> times_of(Time time) {
    const auto count = time.time_since_epoch().count();
    auto seconds = count / 1'000'000'000;
    auto rest = count % 1'000'000'000;
    if (rest < 0) {
        rest += 1'000'000'000;
        --seconds;
    }
    return {timespec{seconds, rest}, timespec{seconds, rest}};
}

// security.capability of revision 2, which the kernel binds to the container's root when it is
// written.
bool is_allowed(const std::string& name, const std::string& value, EntryType type) {
    if (name == kCapability) {
        return type == EntryType::Regular && value.size() == 20 && value[3] == '\x02';
    }
    return is_carried_attribute(name) &&
           (type == EntryType::Regular || type == EntryType::Directory);
}

}  // namespace

bool is_carried_attribute(std::string_view name) {
    return name == kCapability || (name.starts_with("user.") && !name.starts_with("user.overlay."));
}

Result<std::string> Extractor::path_of(const std::string& name) const {
    std::string path = TRY(LayerTree::clean(name));
    if (options_.rename) path = TRY(options_.rename(path));
    if (path.empty() || options_.folder.empty()) return path;
    return options_.folder + "/" + path;
}

Result<void> Extractor::check_kind(const TarEntry& entry, const LayerTree::Place& place) const {
    if (!options_.keep_kinds) return {};
    struct stat status {};
    if (::fstatat(place.dir, place.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    const bool is_folder = S_ISDIR(status.st_mode);
    if (is_folder == (entry.type == EntryType::Directory)) return {};
    return fail(Code::InvalidArgument, "cannot overwrite {} \"/{}\" with {}",
                is_folder ? "directory" : "non-directory", place.path(),
                is_folder ? "non-directory" : "directory");
}

std::pair<std::uint32_t, std::uint32_t> Extractor::owner_of(const TarEntry& entry) const {
    if (options_.owner == Owner::Given) return {options_.uid, options_.gid};
    return {entry.uid, entry.gid};
}

// `change` is a chown of some kind.
template <class Change>
Result<void> Extractor::set_owner(const TarEntry& entry, Change change) const {
    if (options_.owner == Owner::Ours) return {};
    const auto [uid, gid] = owner_of(entry);
    if (change(uid, gid)) return {};
    const bool unknown = errno == EINVAL || errno == EOVERFLOW;
    if (options_.owner == Owner::ArchivedOrRoot && unknown && change(0, 0)) return {};
    return fail_errno("set owner {}:{}", uid, gid);
}

mode_t Extractor::mode_of(const TarEntry& entry) const {
    constexpr mode_t kOwnersRights = S_ISUID | S_ISGID;
    const auto mode = static_cast<mode_t>(entry.mode);
    return options_.owner == Owner::Ours ? mode & ~kOwnersRights : mode;
}

Result<void> Extractor::create(const TarEntry& entry, const LayerTree::Place& place) {
    TRY(check_kind(entry, place));
    switch (entry.type) {
        case EntryType::Regular:
            return make_file(entry, place);
        case EntryType::Directory:
            TRY(tree_.make_folder(place));
            return finish_folder(entry, place.path());
        case EntryType::Symlink:
            return make_symlink(entry, place);
        case EntryType::HardLink:
            return make_link(entry, place);
        case EntryType::Fifo:
            return make_fifo(entry, place);
        case EntryType::CharDevice:
        case EntryType::BlockDevice:
            ++dropped_;
            return {};
    }
    return {};
}

// Runs `make` and, if something is in its way, once more after that has gone.
template <class Make>
Result<void> Extractor::in_place(const LayerTree::Place& place, Make make) {
    if (make()) return {};
    if (errno != EEXIST) return fail_errno("create");
    TRY(tree_.clear(place));
    if (make()) return {};
    return fail_errno("create");
}

Result<void> Extractor::make_file(const TarEntry& entry, const LayerTree::Place& place) {
    sys::Fd file;
    TRY(in_place(place, [&] {
        file.reset(::openat(place.dir, place.base.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        return static_cast<bool>(file);
    }));
    std::uint64_t position = 0;
    for (;;) {
        const auto piece = TRY(reader_.read());
        if (piece.bytes.empty()) break;
        if (piece.offset != position &&
            ::lseek(file.get(), static_cast<off_t>(piece.offset), SEEK_SET) < 0) {
            return fail_errno("seek");
        }
        TRY(sys::write_all(file.get(), piece.bytes));
        position = piece.offset + piece.bytes.size();
    }
    if (position != entry.size && ::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) {
        return fail_errno("set size");
    }
    TRY(set_metadata(file.get(), entry));
    if (::futimens(file.get(), times_of(entry.mtime).data()) != 0) return fail_errno("set time");
    return {};
}

// Owner first: a change of owner clears setuid, setgid and capabilities.
Result<void> Extractor::set_metadata(int fd, const TarEntry& entry) {
    TRY(set_owner(entry, [&](uid_t uid, gid_t gid) { return ::fchown(fd, uid, gid) == 0; }));
    if (::fchmod(fd, mode_of(entry)) != 0) return fail_errno("set mode");
    for (const auto& [name, value] : entry.xattrs) {
        if (!is_allowed(name, value, entry.type)) {
            ++dropped_;
            continue;
        }
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
        if (errno != EOPNOTSUPP) return fail_errno("set attribute '{}'", name);
        ++dropped_;
    }
    return {};
}

Result<void> Extractor::finish_folder(const TarEntry& entry, const std::string& path) {
    const sys::Fd folder = TRY(tree_.open_folder(path));
    TRY(set_metadata(folder.get(), entry));
    folder_times_.emplace_back(path, entry.mtime);
    return {};
}

Result<void> Extractor::finish_node(const TarEntry& entry, const LayerTree::Place& place) {
    const char* base = place.base.c_str();
    dropped_ += entry.xattrs.size();
    TRY(set_owner(entry, [&](uid_t uid, gid_t gid) {
        return ::fchownat(place.dir, base, uid, gid, AT_SYMLINK_NOFOLLOW) == 0;
    }));
    if (entry.type == EntryType::Fifo && ::fchmodat(place.dir, base, mode_of(entry), 0) != 0) {
        return fail_errno("set mode");
    }
    if (::utimensat(place.dir, base, times_of(entry.mtime).data(), AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("set time");
    }
    return {};
}

Result<void> Extractor::make_symlink(const TarEntry& entry, const LayerTree::Place& place) {
    TRY(in_place(place, [&] {
        return ::symlinkat(entry.link_target.c_str(), place.dir, place.base.c_str()) == 0;
    }));
    return finish_node(entry, place);
}

Result<void> Extractor::make_fifo(const TarEntry& entry, const LayerTree::Place& place) {
    TRY(in_place(place,
                 [&] { return ::mknodat(place.dir, place.base.c_str(), S_IFIFO | 0600, 0) == 0; }));
    return finish_node(entry, place);
}

// A hard link names another file of the same archive, by its path from the folder.
Result<void> Extractor::make_link(const TarEntry& entry, const LayerTree::Place& place) {
    const std::string target = TRY(path_of(entry.link_target));
    if (target.empty()) return fail(Code::InvalidArgument, "hard link to the root");
    // Looking up the target may close the place's descriptor.
    const sys::Fd dir(::fcntl(place.dir, F_DUPFD_CLOEXEC, 0));
    if (!dir) return fail_errno("duplicate descriptor");
    const LayerTree::Place here{dir.get(), place.parent, place.base};
    const auto found = TRY_CONTEXT(tree_.find(target), "hard link to '{}'", entry.link_target);
    if (found.path() == here.path()) return {};
    struct stat status {};
    if (::fstatat(found.dir, found.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_errno("hard link to '{}'", entry.link_target);
    }
    if (S_ISDIR(status.st_mode)) {
        return fail(Code::InvalidArgument, "hard link to the folder '{}'", entry.link_target);
    }
    return in_place(here, [&] {
        return ::linkat(found.dir, found.base.c_str(), here.dir, here.base.c_str(), 0) == 0;
    });
}

// Last, since making entries in a folder changes its time.
Result<void> Extractor::set_folder_times() {
    for (const auto& [path, time] : folder_times_) {
        const auto folder = tree_.open_folder(path);
        if (!folder) continue;  // replaced by a later entry
        if (::futimens(folder->get(), times_of(time).data()) != 0) {
            return fail_errno("set time of '{}'", path);
        }
    }
    return {};
}

}  // namespace coffer::archive
