#pragma once
// Content: blobs by digest, as they were distributed. Safe from any thread; a Writer belongs to
// one. A blob that no image refers to lives as long as a Lease holds it (store/gc.hpp).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/time.hpp"
#include "store/paths.hpp"
#include "sys/fd.hpp"

namespace coffer::store {

// A blob being written: out of sight until its digest is known to be right.
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

// What has come of a blob that is not whole: see Content::resume.
struct PartialBlob {
    std::string digest;       // or what else is in the name of the file
    Time changed{};           // when something came last
    bool is_blob = false;     // it came to its end, and is a blob now: then it takes nothing
    std::uint64_t bytes = 0;  // on disk
};

class Content {
  public:
    explicit Content(const Paths& paths) : paths_(&paths) {}

    // `size` is what the descriptor declares; absent when unknown.
    Result<ContentWriter> create(std::optional<std::uint64_t> size = {});
    // The same for a blob that may come in parts, with days and crashes between them: what is there
    // of it already is written() and hashed. What is left of a pull that ends is for it to
    // forget().
    Result<ContentWriter> resume(std::string_view digest, std::uint64_t size);
    void forget(std::string_view digest);
    // Removes what was begun longer ago than `age`, and the oldest of what is more than `bytes` in
    // all; but nothing that is being written.
    struct PartialLimits {
        std::chrono::seconds age = std::chrono::hours(24);
        std::uint64_t bytes = std::uint64_t{8} << 30U;
    };
    Result<void> prune_partials(const PartialLimits& limits);
    // What was begun, oldest last.
    Result<std::vector<PartialBlob>> partials() const;
    // Bytes on disk of it.
    Result<std::uint64_t> partial_size() const;
    // Stores bytes that lie in memory; gives the digest.
    Result<std::string> put(std::string_view bytes);

    bool has(std::string_view digest) const;
    Result<sys::Fd> open(std::string_view digest) const;
    Result<std::uint64_t> size(std::string_view digest) const;
    // The whole blob, checked against its digest; for configs and manifests.
    Result<std::string> read(std::string_view digest, std::size_t limit = 16U << 20U) const;
    // Whether its content has the digest; reads all of it.
    Result<bool> is_intact(std::string_view digest) const;
    Result<void> remove(std::string_view digest);
    Result<std::vector<std::string>> list() const;

  private:
    const Paths* paths_;
};

}  // namespace coffer::store
