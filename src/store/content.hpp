#pragma once
// Content: blobs by digest, as they were distributed. Safe from any thread; a Writer belongs to
// one. A blob that no image refers to lives as long as a Lease holds it (store/gc.hpp).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "store/paths.hpp"
#include "sys/fd.hpp"

namespace coffer::store {

// A blob being written: an unnamed file until its digest is known to be right.
class ContentWriter {
  public:
    // Fails once more than the declared size is written.
    Result<void> write(std::string_view bytes);
    std::uint64_t written() const { return written_; }
    // The same file, to read along what is written so far (with offsets: pread, splice).
    Result<sys::Fd> reader() const { return file_.duplicate(); }
    // Checks the size and, when given, the digest; then the blob is there. Gives the digest.
    Result<std::string> commit(std::string_view expected_digest = {});

  private:
    friend class Content;
    ContentWriter(const Paths& paths, sys::Fd file, std::optional<std::uint64_t> size);
    const Paths* paths_;
    sys::Fd file_;
    std::optional<std::uint64_t> size_;
    std::uint64_t written_ = 0;
    Sha256 hash_;
};

class Content {
  public:
    explicit Content(const Paths& paths) : paths_(&paths) {}

    // `size` is what the descriptor declares; absent when unknown.
    Result<ContentWriter> create(std::optional<std::uint64_t> size = {});
    // Stores bytes that lie in memory; gives the digest.
    Result<std::string> put(std::string_view bytes);

    bool has(std::string_view digest) const;
    Result<sys::Fd> open(std::string_view digest) const;
    Result<std::uint64_t> size(std::string_view digest) const;
    // The whole blob, checked against its digest; for configs and manifests.
    Result<std::string> read(std::string_view digest, std::size_t limit = 16U << 20U) const;
    Result<void> remove(std::string_view digest);
    Result<std::vector<std::string>> list() const;

  private:
    const Paths* paths_;
};

}  // namespace coffer::store
