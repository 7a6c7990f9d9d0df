// Blobs that have come in part: partial/<hex>, locked (flock(2)) by who writes it. A name stays
// there beside that of the blob until the pull has ended, so that a crash before that loses
// nothing.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "store/content.hpp"
#include "sys/file.hpp"

namespace coffer::store {

namespace {

constexpr std::uint64_t kWorthKeeping = 16 * 1024;

// What a writer that ended left of a blob, hashed; the file is at its end then.
Result<std::uint64_t> take_over(int file, std::uint64_t size, Sha256& hash) {
    struct stat info {};
    if (::fstat(file, &info) != 0) return fail_errno("stat");
    if (std::cmp_greater(info.st_size, size) && ::ftruncate(file, 0) != 0)
        return fail_errno("truncate");
    return hash.update_from(file);
}

// Unless somebody writes it.
void remove_unused(const std::string& path) {
    const auto file = sys::open_file(path, O_RDONLY | O_NOFOLLOW);
    if (file && ::flock(file->get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
}

}  // namespace

Result<ContentWriter> Content::resume(std::string_view digest, std::uint64_t size) {
    if (!is_digest(digest)) return fail(Code::InvalidArgument, "invalid digest '{}'", digest);
    const std::string path = paths_->partial(digest);
    sys::Fd file = TRY(sys::open_file(path, O_CREAT | O_RDWR | O_NOFOLLOW, 0600));
    // Another writer of the same blob, or who clears up, has it: without a name, then.
    struct stat named {};
    struct stat opened {};
    const bool ours = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
                      ::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
                      named.st_ino == opened.st_ino;
    if (!ours) return create(size);
    Sha256 hash;
    const std::uint64_t taken =
        TRY_CONTEXT(take_over(file.get(), size, hash), "resume blob {}", digest);
    ContentWriter writer(*paths_, std::move(file), size);
    writer.hash_ = std::move(hash);
    writer.written_ = taken;
    return writer;
}

void Content::forget(std::string_view digest) {
    if (is_digest(digest)) remove_unused(paths_->partial(digest));
}

Result<void> Content::prune_partials(const PartialLimits& limits) {
    const Time oldest = now() - limits.age;
    std::uint64_t sum = 0;
    for (const PartialBlob& one : TRY(partials())) {
        sum += one.bytes;
        const bool small = !one.is_blob && one.bytes < kWorthKeeping;
        if (one.changed < oldest || small || sum > limits.bytes) {
            remove_unused(format("{}/{}", paths_->partials(), hex_of(one.digest)));
        }
    }
    return {};
}

Result<std::vector<PartialBlob>> Content::partials() const {
    std::vector<PartialBlob> found;
    for (const std::string& name : TRY(sys::list_dir(paths_->partials()))) {
        struct stat info {};
        if (::lstat(format("{}/{}", paths_->partials(), name).c_str(), &info) != 0) continue;
        const bool is_blob = info.st_nlink > 1;  // its second name, under which it counts
        found.push_back({.digest = "sha256:" + name,
                         .changed = Time(std::chrono::seconds(info.st_mtim.tv_sec) +
                                         std::chrono::nanoseconds(info.st_mtim.tv_nsec)),
                         .is_blob = is_blob,
                         .bytes = is_blob ? 0 : static_cast<std::uint64_t>(info.st_blocks) * 512});
    }
    std::sort(found.begin(), found.end(),
              [](const PartialBlob& a, const PartialBlob& b) { return a.changed > b.changed; });
    return found;
}

Result<std::uint64_t> Content::partial_size() const {
    std::uint64_t sum = 0;
    for (const PartialBlob& one : TRY(partials())) sum += one.bytes;
    return sum;
}

}  // namespace coffer::store
