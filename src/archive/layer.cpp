#include "archive/layer.hpp"

#include <sys/xattr.h>

#include "archive/extractor.hpp"
#include "base/hash.hpp"

namespace coffer::archive {

namespace {

constexpr std::string_view kMeta = ".wh..wh.";  // AUFS's own files

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

class LayerExtractor {
  public:
    LayerExtractor(Source& tar, int target, const TarLimits& limits)
        : source_(tar),
          reader_(source_, limits),
          tree_(target, limits.depth),
          files_(reader_, tree_, {}) {}

    Result<AppliedLayer> run() {
        for (;;) {
            const auto entry = TRY(reader_.next());
            if (!entry) break;
            TRY_CONTEXT(extract(*entry), "extract '{}'", entry->name);
        }
        TRY(reader_.drain());
        TRY(files_.set_folder_times());
        AppliedLayer layer;
        layer.diff_id = source_.digest();
        layer.stream_bytes = reader_.stream_bytes();
        layer.size = reader_.content_bytes();
        layer.entries = reader_.entries();
        layer.dropped = files_.dropped();
        layer.opaque.assign(tree_.opaque().begin(), tree_.opaque().end());
        return layer;
    }

  private:
    Result<void> extract(const TarEntry& entry) {
        const std::string path = TRY(LayerTree::clean(entry.name));
        if (path.empty()) {
            if (entry.type != EntryType::Directory) {
                return fail(Code::InvalidArgument, "the root of a layer is no folder");
            }
            return files_.finish_folder(entry, path);
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
        return files_.create(entry, TRY(tree_.place(path)));
    }

    Result<void> white_out(const std::string& path, const std::string& name) {
        if (name.empty() || name == "." || name == "..") {
            return fail(Code::InvalidArgument, "invalid whiteout");
        }
        auto place = TRY(tree_.place(path));
        place.base = name;
        return tree_.make_whiteout(place);
    }

    HashingSource source_;
    TarReader reader_;
    LayerTree tree_;
    Extractor files_;
};

}  // namespace

Result<AppliedLayer> apply_layer(Source& tar, int target_fd, const TarLimits& limits) {
    return LayerExtractor(tar, target_fd, limits).run();
}

Result<void> mark_opaque(int target_fd, const std::vector<std::string>& folders) {
    const LayerTree tree(target_fd, TarLimits{}.depth);
    for (const std::string& path : folders) {
        const sys::Fd folder = TRY(tree.open_folder(path));
        if (::fsetxattr(folder.get(), kOverlayOpaque, "y", 1, 0) != 0) {
            return fail_errno("mark '{}' opaque", path);
        }
    }
    return {};
}

}  // namespace coffer::archive
