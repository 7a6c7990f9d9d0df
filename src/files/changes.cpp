// The writable layer beside the layers below it: what is there has been added or changed, what is
// marked there has been deleted. The trees are read folder by folder, by descriptor; no name is
// looked up with more than one component, no link is followed.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <set>

#include "archive/copy.hpp"
#include "archive/layer.hpp"
#include "files/layer_stack.hpp"
#include "files/serve.hpp"
#include "sys/file.hpp"

namespace coffer::files {

namespace {

using sys::Fd;

// One change, as it is found: `dir` holds `name` in the writable layer unless it is deleted.
struct Item {
    Change change;
    int dir = -1;
    std::string name;
    bool opaque = false;  // a folder that hides what the lower layers have in it
};
using Take = std::function<Result<void>(const Item&)>;

class Comparison {
  public:
    Comparison(const Request& request, Take take)
        : own_(request.engines_own.begin(), request.engines_own.end()), take_(std::move(take)) {
        for (const std::string& path : own_) own_parents_.insert(parent_of(path));
    }

    Result<void> run(const View& view) {
        return compare_children(view.root.get(), view.lowers, "");
    }

  private:
    static std::string parent_of(const std::string& path) {
        return path.substr(0, path.rfind('/'));
    }

    // A folder is told before what is in it, but not unless it or that has changed.
    struct Pending {
        Item item;
        bool told = false;
    };
    Result<void> tell(const Item& item) {
        for (Pending& folder : pending_) {
            if (std::exchange(folder.told, true)) continue;
            TRY(take_(folder.item));
        }
        return take_(item);
    }

    Result<void> compare_children(int upper, const LayerStack& lowers, const std::string& path) {
        std::vector<std::string> names = TRY(sys::list_dir(upper));
        std::sort(names.begin(), names.end());
        for (const std::string& name : names) {
            TRY_CONTEXT(compare(upper, lowers, path + "/" + name, name), "{}", name);
        }
        return {};
    }

    Result<void> compare(int upper, const LayerStack& lowers, const std::string& path,
                         const std::string& name) {
        struct stat status {};
        if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return {};  // gone since the folder was read
            return fail_errno("stat");
        }
        const Shown below = TRY(look_up(lowers, name));
        if (archive::is_whiteout(status)) {
            if (!below.there) return {};
            return tell({{ChangeKind::Deleted, path}, upper, name, false});
        }
        Item item{
            {below.there ? ChangeKind::Modified : ChangeKind::Added, path}, upper, name, false};
        if (S_ISDIR(status.st_mode)) return compare_folder(std::move(item), status, below);
        const bool empty = S_ISREG(status.st_mode) && status.st_size == 0;
        if (!below.there && empty && own_.contains(path)) return {};
        return tell(item);
    }

    Result<void> compare_folder(Item item, const struct stat& status, const Shown& below) {
        const Fd folder = TRY(open_folder(item.dir, item.name));
        const std::string path = item.change.path;
        const bool was_folder = below.there && S_ISDIR(below.status.st_mode);
        const bool opaque = was_folder && is_opaque(folder.get());
        item.opaque = opaque || (below.there && !was_folder);
        const bool engines = own_.contains(path) || own_parents_.contains(path);
        bool changed = !was_folder || opaque || !same_rights(status, below.status);
        if (!changed && !own_parents_.contains(path)) {
            changed = !same_times(status, below.status);
        }
        if (engines && !below.there) changed = false;  // unless there is something in it
        if (changed) TRY(tell(item));
        pending_.push_back({item, changed});
        auto compared = [&]() -> Result<void> {
            if (opaque) TRY(tell_hidden(folder.get(), below.folders, path));
            static const LayerStack kNone;
            return compare_children(folder.get(), opaque ? kNone : below.folders, path);
        }();
        pending_.pop_back();
        return compared;
    }

    // What was in a folder that has been removed and made anew.
    Result<void> tell_hidden(int upper, const LayerStack& lowers, const std::string& path) {
        for (const std::string& name : TRY(names_in(lowers))) {
            struct stat status {};
            if (::fstatat(upper, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) continue;
            TRY(tell({{ChangeKind::Deleted, path + "/" + name}, -1, name, false}));
        }
        return {};
    }

    std::set<std::string> own_;
    std::set<std::string> own_parents_;
    Take take_;
    std::vector<Pending> pending_;
};

}  // namespace

Result<void> write_changes(const Request& request, const View& view) {
    archive::FdSink output(STDOUT_FILENO);
    const archive::Sink sink = output.sink();
    Comparison comparison(request, [&](const Item& item) {
        std::string text = encode(item.change);
        text.push_back('\0');
        return sink(text);
    });
    TRY(comparison.run(view));
    return output.flush();
}

Result<void> write_layer(const Request& request, const View& view) {
    archive::FdSink output(STDOUT_FILENO);
    archive::TarWriter tar(output.sink());
    archive::TreeReader files(tar);
    Comparison comparison(request, [&](const Item& item) -> Result<void> {
        const std::string path = item.change.path.substr(1);
        if (item.change.kind == ChangeKind::Deleted) {
            if (item.dir < 0) return {};  // the mark of its folder says it
            const std::string parent = path.substr(0, path.size() - item.name.size());
            archive::TarEntry mark;
            mark.name = parent + std::string(archive::kWhiteout) + item.name;
            return tar.add(mark);
        }
        // A file that is named like a mark would be taken for one.
        if (item.name.starts_with(archive::kWhiteout)) return {};
        TRY(files.add_alone(item.dir, item.name, path));
        if (!item.opaque) return {};
        archive::TarEntry mark;
        mark.name = path + "/" + std::string(archive::kOpaque);
        return tar.add(mark);
    });
    TRY(comparison.run(view));
    TRY(tar.finish());
    return output.flush();
}

}  // namespace coffer::files
