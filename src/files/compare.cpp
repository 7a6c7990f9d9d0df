// Two images side by side: what one has that the other has not, or has otherwise.

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "archive/copy.hpp"
#include "files/layer_stack.hpp"
#include "files/serve.hpp"
#include "sys/file.hpp"

namespace coffer::files {

namespace {

using sys::Fd;

bool same_file(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Layers that both images have show the same, however much is below them.
Result<bool> same_stack(const LayerStack& a, const LayerStack& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        struct stat one {};
        struct stat other {};
        if (::fstat(a[i].get(), &one) != 0 || ::fstat(b[i].get(), &other) != 0) {
            return fail_errno("stat");
        }
        if (!same_file(one, other)) return false;
    }
    return true;
}

std::string capabilities_of(int file) {
    std::array<char, 64> value{};  // struct vfs_ns_cap_data has 24 bytes
    const ssize_t n = ::fgetxattr(file, "security.capability", value.data(), value.size());
    return n > 0 ? std::string(value.data(), static_cast<std::size_t>(n)) : std::string();
}

Result<Fd> open_file(const Shown& shown, const std::string& name) {
    return sys::open_at(shown.folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

// Of the same size, from their beginning.
Result<bool> same_content(const Fd& a, const Fd& b) {
    std::string one(std::size_t{1} << 16U, '\0');
    std::string other(one.size(), '\0');
    for (;;) {
        const ssize_t n = ::read(a.get(), one.data(), one.size());
        const ssize_t m = ::read(b.get(), other.data(), other.size());
        if (n < 0 || m < 0) return fail_errno("read");
        if (n != m || std::string_view(one).substr(0, static_cast<std::size_t>(n)) !=
                          std::string_view(other).substr(0, static_cast<std::size_t>(m))) {
            return false;
        }
        if (n == 0) return true;
    }
}

// Whatever they are but folders.
Result<bool> is_same(const Shown& a, const Shown& b, const std::string& name) {
    const struct stat& one = a.status;
    const struct stat& other = b.status;
    if (same_file(one, other)) return true;
    if (!same_rights(one, other) || !same_times(one, other) || one.st_size != other.st_size ||
        one.st_rdev != other.st_rdev) {
        return false;
    }
    if (S_ISLNK(one.st_mode)) {
        return TRY(sys::read_link(a.folder, name)) == TRY(sys::read_link(b.folder, name));
    }
    if (!S_ISREG(one.st_mode)) return true;
    const Fd file = TRY(open_file(a, name));
    const Fd base = TRY(open_file(b, name));
    return capabilities_of(file.get()) == capabilities_of(base.get()) &&
           TRY(same_content(file, base));
}

class Comparison {
  public:
    explicit Comparison(const archive::Sink& sink) : sink_(sink) {}

    // `path` ends without a slash.
    Result<void> compare_folders(const LayerStack& image, const LayerStack& base,
                                 const std::string& path) {
        if (TRY(same_stack(image, base))) return {};
        std::set<std::string> names = TRY(names_in(image));
        names.merge(TRY(names_in(base)));
        for (const std::string& name : names) {
            TRY_CONTEXT(compare(image, base, path + "/" + name, name), "{}", name);
        }
        return {};
    }

  private:
    // A folder is told before what is in it, but not unless it or that has changed.
    struct Pending {
        Change change;
        bool told = false;
    };
    Result<void> tell(const Change& change) {
        for (Pending& folder : pending_) {
            if (std::exchange(folder.told, true)) continue;
            TRY(write(folder.change));
        }
        return write(change);
    }
    Result<void> write(const Change& change) {
        std::string text = encode(change);
        text.push_back('\0');
        return sink_(text);
    }

    Result<void> compare(const LayerStack& image, const LayerStack& base, const std::string& path,
                         const std::string& name) {
        const Shown now = TRY(look_up(image, name));
        const Shown before = TRY(look_up(base, name));
        if (!now.there) return before.there ? tell({ChangeKind::Deleted, path}) : Result<void>();
        const ChangeKind kind = before.there ? ChangeKind::Modified : ChangeKind::Added;
        if (!S_ISDIR(now.status.st_mode)) {
            if (before.there && TRY(is_same(now, before, name))) return {};
            return tell({kind, path});
        }
        const bool changed = !before.there || !same_rights(now.status, before.status);
        if (changed) TRY(tell({kind, path}));
        pending_.push_back({{kind, path}, changed});
        auto compared = compare_folders(now.folders, before.folders, path);
        pending_.pop_back();
        return compared;
    }

    const archive::Sink& sink_;
    std::vector<Pending> pending_;
};

}  // namespace

Result<void> write_comparison(const View& view) {
    archive::FdSink output(STDOUT_FILENO);
    const archive::Sink sink = output.sink();
    TRY(Comparison(sink).compare_folders(view.lowers, view.bases, ""));
    return output.flush();
}

}  // namespace coffer::files
