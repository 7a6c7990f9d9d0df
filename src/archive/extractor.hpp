#pragma once
// Extractor: entries of an archive become files of a LayerTree, with their owners, modes, times
// and those attributes that an image may have. One thread at a time.

#include <array>
#include <ctime>
#include <functional>
#include <utility>
#include <vector>

#include "archive/layer_tree.hpp"
#include "archive/tar.hpp"

namespace coffer::archive {

// Whose the files become.
enum class Owner : std::uint8_t {
    Archived,        // as the archive says; an id that we do not have is an error
    ArchivedOrRoot,  // such a file becomes root's
    Given,
    Ours,  // and what runs with the rights of its owner or group no longer does
};

// Whether an extended attribute travels with a file: capabilities and user.*, but nothing that
// overlayfs reads.
bool is_carried_attribute(std::string_view name);

struct ExtractOptions {
    Owner owner = Owner::Archived;
    std::uint32_t uid = 0;  // Given
    std::uint32_t gid = 0;
    // An entry that is a folder where none is, or the reverse, is an error.
    bool keep_kinds = false;
    // All names are below this folder of the tree, a path without links; "" is the root.
    std::string folder = {};
    // What a clean name of the archive ("" is its own folder) becomes before that.
    std::function<Result<std::string>(const std::string& name)> rename = {};
};

class Extractor {
  public:
    Extractor(TarReader& reader, LayerTree& tree, ExtractOptions options)
        : reader_(reader), tree_(tree), options_(std::move(options)) {}

    // Where in the tree a name of the archive is; "" for the folder itself.
    Result<std::string> path_of(const std::string& name) const;
    // Puts the reader's current entry, whatever it is, at its place.
    Result<void> create(const TarEntry& entry, const LayerTree::Place& place);
    // Owner, mode, attributes and time of a folder that exists.
    Result<void> finish_folder(const TarEntry& entry, const std::string& path);
    // Last, since making entries in a folder changes its time.
    Result<void> set_folder_times();
    // Device nodes and attributes left out.
    std::uint64_t dropped() const { return dropped_; }

  private:
    Result<void> check_kind(const TarEntry& entry, const LayerTree::Place& place) const;
    template <class Make>
    Result<void> in_place(const LayerTree::Place& place, Make make);
    std::pair<std::uint32_t, std::uint32_t> owner_of(const TarEntry& entry) const;
    template <class Change>
    Result<void> set_owner(const TarEntry& entry, Change change) const;
    mode_t mode_of(const TarEntry& entry) const;
    Result<void> make_file(const TarEntry& entry, const LayerTree::Place& place);
    Result<void> make_symlink(const TarEntry& entry, const LayerTree::Place& place);
    Result<void> make_fifo(const TarEntry& entry, const LayerTree::Place& place);
    Result<void> make_link(const TarEntry& entry, const LayerTree::Place& place);
    Result<void> set_metadata(int fd, const TarEntry& entry);
    Result<void> finish_node(const TarEntry& entry, const LayerTree::Place& place);

    TarReader& reader_;
    LayerTree& tree_;
    ExtractOptions options_;
    std::uint64_t dropped_ = 0;
    std::vector<std::pair<std::string, Time>> folder_times_;
};

}  // namespace coffer::archive
