#pragma once
// Tar: a strict streaming reader (ustar, pax, GNU; sparse of both kinds) with budgets, and a writer
// (ustar with pax where needed). One object belongs to one thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/source.hpp"
#include "base/time.hpp"

namespace coffer::archive {

enum class EntryType {
    Regular,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    CharDevice,
    BlockDevice,
};

struct SparseExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

struct TarEntry {
    EntryType type = EntryType::Regular;
    std::string name;         // as in the archive, never empty, without NUL
    std::string link_target;  // symbolic and hard links
    std::uint32_t mode = 0;   // permission bits with setuid, setgid and sticky
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t size = 0;  // of the file's content, holes included
    Time mtime{};
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::vector<std::pair<std::string, std::string>> xattrs;  // SCHILY.xattr.*
    std::optional<std::vector<SparseExtent>> sparse;          // data extents of a sparse file
};

// What an archive may cost. Every excess is an error that names the limit.
struct TarLimits {
    std::uint64_t entries = 4'000'000;
    std::uint64_t stream_bytes = 1ULL << 40U;   // of the archive
    std::uint64_t content_bytes = 1ULL << 40U;  // of all files, holes included
    std::uint64_t pax_bytes = 1ULL << 20U;      // of one extended header
    std::size_t name_bytes = 4095;
    std::size_t depth = 512;  // components of a name
    std::size_t sparse_extents = 100'000;
};

struct PaxRecords;

class TarReader {
  public:
    explicit TarReader(Source& source, TarLimits limits = {});

    // The next entry; what was left of the previous one is skipped. nullopt at the end marker (or
    // at the end of a stream that has none, which Go's writers may leave).
    Result<std::optional<TarEntry>> next();

    // The next piece of the current entry's content and where it goes in the file; empty bytes at
    // its end. Holes are not reported.
    struct Piece {
        std::uint64_t offset = 0;
        std::string_view bytes;
    };
    Result<Piece> read();

    // Reads the rest of the stream (padding after the end marker), so that its hash is complete.
    Result<void> drain();

    std::uint64_t entries() const { return entries_; }
    std::uint64_t stream_bytes() const { return stream_bytes_; }
    std::uint64_t content_bytes() const { return content_bytes_; }

  private:
    Result<std::string_view> take(std::uint64_t at_most);
    Result<bool> read_block(std::string& block);
    Result<std::string> read_payload(std::uint64_t size, std::uint64_t limit,
                                     std::string_view what);
    Result<void> skip(std::uint64_t bytes);
    Result<std::vector<SparseExtent>> read_gnu_sparse(std::string block);
    Result<std::vector<SparseExtent>> read_sparse_map();
    Result<TarEntry> make_entry(const std::string& block, const PaxRecords& pax);
    Result<void> read_sparse(const std::string& block, const PaxRecords& pax, TarEntry& entry);
    Result<void> check_entry(const TarEntry& entry);

    Source* source_;
    TarLimits limits_;
    std::string_view chunk_;
    std::uint64_t entries_ = 0;
    std::uint64_t headers_ = 0;
    std::uint64_t stream_bytes_ = 0;
    std::uint64_t content_bytes_ = 0;
    std::uint64_t left_ = 0;      // stored bytes of the current entry that are not yet read
    std::uint64_t padding_ = 0;   // after them
    std::uint64_t position_ = 0;  // in the file, or in the current extent of a sparse one
    std::optional<std::vector<SparseExtent>> extents_;
    std::size_t extent_ = 0;
    bool ended_ = false;
};

class TarWriter {
  public:
    explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}

    // Header of the next entry (sparse is not written); `entry.size` bytes follow by write().
    Result<void> add(const TarEntry& entry);
    Result<void> write(std::string_view bytes);
    // Header and content of a regular file at once.
    Result<void> add_file(const TarEntry& entry, std::string_view content);
    // Two zero blocks.
    Result<void> finish();

  private:
    Result<void> end_entry();

    Sink sink_;
    std::uint64_t left_ = 0;
    std::uint64_t padding_ = 0;
};

}  // namespace coffer::archive
