#pragma once
// Copying between a tar and files that exist, as docker cp does. One thread at a time.

#include <sys/stat.h>

#include <map>
#include <string>

#include "archive/extractor.hpp"
#include "archive/tar.hpp"

namespace coffer::archive {

// Extracts a plain tar into the folder at `options.folder` of the tree, which itself stays as it
// is.
Result<void> extract_tar(Source& tar, LayerTree& tree, ExtractOptions options);

// Writes files into a tar: folders with all that is below them, hard links, modes, owners and the
// attributes that extraction takes. No link is followed, and nothing but regular files is opened
// for reading; sockets, and what is in /proc and its like, are left out. A file that shrinks
// meanwhile is filled up with zeros.
class TreeReader {
  public:
    explicit TreeReader(TarWriter& tar) : tar_(tar) {}

    // The entry `name` ("." for the folder itself) of `dir` as `path`; "" is for the entries of the
    // folder alone, by their own names.
    Result<void> add(int dir, const std::string& name, const std::string& path);
    // The same without what is below a folder.
    Result<void> add_alone(int dir, const std::string& name, const std::string& path);

  private:
    Result<void> add_folder(int fd, const std::string& path);
    Result<void> add_children(int fd, const std::string& path);
    Result<void> add_entry(int dir, const std::string& name, const std::string& path,
                           const struct stat& status);
    Result<void> add_file(int fd, const std::string& path);

    TarWriter& tar_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> links_;  // by device and inode
    std::string buffer_;
};

}  // namespace coffer::archive
