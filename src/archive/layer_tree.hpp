#pragma once
// LayerTree: the folder an archive is extracted into. Names come from the archive: every lookup
// stays inside, and symbolic links among a name's parents are read as in a chroot. Who else writes
// to the folder meanwhile can misplace an entry, inside of it. One thread at a time.

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::archive {

class LayerTree {
  public:
    // What is mounted below the folder is either out of reach or part of it.
    enum class Mounts : std::uint8_t { Outside, Inside };
    LayerTree(int root, std::size_t depth, Mounts mounts = Mounts::Outside)
        : root_(root), depth_(depth), mounts_(mounts) {}

    // "./a//b/" becomes "a/b", the root "". Fails on "..".
    static Result<std::string> clean(std::string_view name);

    // The folder that holds the last component of a clean, non-empty path. Missing folders are
    // made, 0755. `dir` is valid until the next call of place() or clear().
    struct Place {
        int dir = -1;
        std::string parent;  // real path of the folder, without links
        std::string base;
        std::string path() const { return parent.empty() ? base : parent + "/" + base; }
    };
    Result<Place> place(const std::string& path);
    // The same, but a folder that is missing is an error.
    Result<Place> find(const std::string& path);

    // Makes room for a new entry: what is there goes, with all that is in it.
    Result<void> clear(const Place& place);
    // A folder is at `place`; says if it hides what lower layers have there (it replaces a
    // whiteout, or the layer says so).
    Result<void> make_folder(const Place& place);
    Result<void> make_whiteout(const Place& place);
    void hide_lower(const std::string& path) { opaque_.insert(path); }

    // A folder by its real path, for reading; empty is the root.
    Result<sys::Fd> open_folder(const std::string& path) const;
    const std::set<std::string>& opaque() const { return opaque_; }
    // A clean path after all its links, the last one too; what is missing is taken as named.
    Result<std::string> real_path(const std::string& path) const;

  private:
    enum class Missing { Fail, Make };
    Result<Place> locate(const std::string& path, Missing missing);
    Result<int> folder(const std::string& path, Missing missing);
    Result<sys::Fd> lookup(const std::string& path, int flags) const;

    int root_;
    std::size_t depth_;
    Mounts mounts_;
    std::map<std::string, sys::Fd> folders_;   // by path as named; emptied when it grows
    std::map<std::string, std::string> real_;  // paths that lead through links
    std::set<std::string> opaque_;
};

// As overlayfs marks a name that is gone.
bool is_whiteout(const struct stat& status);

}  // namespace coffer::archive
