#include "archive/layer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "archive/layer_tree.hpp"
#include "base/hash.hpp"
#include "sys/file.hpp"

namespace coffer::archive {

namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kMeta = ".wh..wh.";  // AUFS's own files
constexpr std::string_view kOpaque = ".wh..wh..opq";

class HashingSource : public Source {
  public:
    explicit HashingSource(Source& inner) : inner_(&inner) {}
    Result<std::string_view> next() override {
        const std::string_view chunk = TRY(inner_->next());
        hash_.update(chunk);
        return chunk;
    }
    std::string digest() { return "sha256:" + hash_.finish_hex(); }

  private:
    Source* inner_;
    Sha256 hash_;
};

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
// written; and user.*, but nothing that overlayfs reads.
bool is_allowed(const std::string& name, const std::string& value, EntryType type) {
    if (name == "security.capability") {
        return type == EntryType::Regular && value.size() == 20 && value[3] == '\x02';
    }
    return name.starts_with("user.") && !name.starts_with("user.overlay.") &&
           (type == EntryType::Regular || type == EntryType::Directory);
}

class Extractor {
  public:
    Extractor(Source& tar, int target, const TarLimits& limits)
        : source_(tar), reader_(source_, limits), tree_(target, limits.depth) {}

    Result<AppliedLayer> run() {
        for (;;) {
            const auto entry = TRY(reader_.next());
            if (!entry) break;
            TRY_CONTEXT(extract(*entry), "extract '{}'", entry->name);
        }
        TRY(reader_.drain());
        TRY(set_folder_times());
        AppliedLayer& layer = layer_;
        layer.diff_id = source_.digest();
        layer.stream_bytes = reader_.stream_bytes();
        layer.size = reader_.content_bytes();
        layer.entries = reader_.entries();
        layer.opaque.assign(tree_.opaque().begin(), tree_.opaque().end());
        return std::move(layer_);
    }

  private:
    Result<void> extract(const TarEntry& entry) {
        const std::string path = TRY(LayerTree::clean(entry.name));
        if (path.empty()) {
            if (entry.type != EntryType::Directory) {
                return fail(Code::InvalidArgument, "the root of a layer is no folder");
            }
            return finish_folder(entry, path);
        }
        const std::string base = path.substr(path.rfind('/') + 1);
        if (base == kOpaque) {
            const auto inside = TRY(tree_.place(path));
            tree_.hide_lower(inside.parent);
            return {};
        }
        if (path.starts_with(kMeta) || base.starts_with(kMeta)) return {};
        const std::string_view parent = std::string_view(path).substr(0, path.size() - base.size());
        if (parent.starts_with(kWhiteout) || parent.find("/.wh.") != std::string_view::npos) {
            return fail(Code::InvalidArgument, "a folder cannot be a whiteout");
        }
        if (base.starts_with(kWhiteout)) return white_out(path, base.substr(kWhiteout.size()));
        return create(entry, TRY(tree_.place(path)));
    }

    Result<void> white_out(const std::string& path, const std::string& name) {
        if (name.empty() || name == "." || name == "..") {
            return fail(Code::InvalidArgument, "invalid whiteout");
        }
        auto place = TRY(tree_.place(path));
        place.base = name;
        return tree_.make_whiteout(place);
    }

    Result<void> create(const TarEntry& entry, const LayerTree::Place& place) {
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
                ++layer_.dropped;
                return {};
        }
        return {};
    }

    // Runs `make` and, if something is in its way, once more after that has gone.
    template <class Make>
    Result<void> in_place(const LayerTree::Place& place, Make make) {
        if (make()) return {};
        if (errno != EEXIST) return fail_errno("create");
        TRY(tree_.clear(place));
        if (make()) return {};
        return fail_errno("create");
    }

    Result<void> make_file(const TarEntry& entry, const LayerTree::Place& place) {
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
        if (position != entry.size &&
            ::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) {
            return fail_errno("set size");
        }
        TRY(set_metadata(file.get(), entry));
        if (::futimens(file.get(), times_of(entry.mtime).data()) != 0)
            return fail_errno("set time");
        return {};
    }

    // Owner first: a change of owner clears setuid, setgid and capabilities.
    Result<void> set_metadata(int fd, const TarEntry& entry) {
        if (::fchown(fd, entry.uid, entry.gid) != 0) {
            return fail_errno("set owner {}:{}", entry.uid, entry.gid);
        }
        if (::fchmod(fd, static_cast<mode_t>(entry.mode)) != 0) return fail_errno("set mode");
        for (const auto& [name, value] : entry.xattrs) {
            if (!is_allowed(name, value, entry.type)) {
                ++layer_.dropped;
                continue;
            }
            if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
            if (errno != EOPNOTSUPP) return fail_errno("set attribute '{}'", name);
            ++layer_.dropped;
        }
        return {};
    }

    Result<void> finish_folder(const TarEntry& entry, const std::string& path) {
        const sys::Fd folder = TRY(tree_.open_folder(path));
        TRY(set_metadata(folder.get(), entry));
        folder_times_.emplace_back(path, entry.mtime);
        return {};
    }

    Result<void> finish_node(const TarEntry& entry, const LayerTree::Place& place) {
        const char* base = place.base.c_str();
        layer_.dropped += entry.xattrs.size();
        if (::fchownat(place.dir, base, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("set owner {}:{}", entry.uid, entry.gid);
        }
        if (entry.type == EntryType::Fifo &&
            ::fchmodat(place.dir, base, static_cast<mode_t>(entry.mode), 0) != 0) {
            return fail_errno("set mode");
        }
        if (::utimensat(place.dir, base, times_of(entry.mtime).data(), AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("set time");
        }
        return {};
    }

    Result<void> make_symlink(const TarEntry& entry, const LayerTree::Place& place) {
        TRY(in_place(place, [&] {
            return ::symlinkat(entry.link_target.c_str(), place.dir, place.base.c_str()) == 0;
        }));
        return finish_node(entry, place);
    }

    Result<void> make_fifo(const TarEntry& entry, const LayerTree::Place& place) {
        TRY(in_place(place, [&] {
            return ::mknodat(place.dir, place.base.c_str(), S_IFIFO | 0600, 0) == 0;
        }));
        return finish_node(entry, place);
    }

    // A hard link names another file of the same layer, by its path from the root.
    Result<void> make_link(const TarEntry& entry, const LayerTree::Place& place) {
        const std::string target = TRY(LayerTree::clean(entry.link_target));
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
    Result<void> set_folder_times() {
        for (const auto& [path, time] : folder_times_) {
            const auto folder = tree_.open_folder(path);
            if (!folder) continue;  // replaced by a later entry
            if (::futimens(folder->get(), times_of(time).data()) != 0) {
                return fail_errno("set time of '{}'", path);
            }
        }
        return {};
    }

    HashingSource source_;
    TarReader reader_;
    LayerTree tree_;
    AppliedLayer layer_;
    std::vector<std::pair<std::string, Time>> folder_times_;
};

}  // namespace

Result<AppliedLayer> apply_layer(Source& tar, int target_fd, const TarLimits& limits) {
    return Extractor(tar, target_fd, limits).run();
}

Result<void> mark_opaque(int target_fd, const std::vector<std::string>& folders) {
    const LayerTree tree(target_fd, TarLimits{}.depth);
    for (const std::string& path : folders) {
        const sys::Fd folder = TRY(tree.open_folder(path));
        if (::fsetxattr(folder.get(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
            return fail_errno("mark '{}' opaque", path);
        }
    }
    return {};
}

}  // namespace coffer::archive
