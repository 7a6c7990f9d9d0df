#include "store/content.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"

namespace coffer::store {

namespace {

Result<void> check(std::string_view digest) {
    if (is_digest(digest)) return {};
    return fail(Code::InvalidArgument, "invalid digest '{}'", digest);
}

}  // namespace

ContentWriter::ContentWriter(const Paths& paths, sys::Fd file, std::optional<std::uint64_t> size)
    : paths_(&paths), file_(std::move(file)), size_(size) {}

Result<void> ContentWriter::write(std::string_view bytes) {
    if (size_ && bytes.size() > *size_ - written_) {
        return fail(Code::InvalidArgument, "blob is larger than its declared size of {} bytes",
                    *size_);
    }
    if (const auto done = sys::write_all(file_.get(), bytes); !done) {
        // A part of them may be in the file, but not in the hash: on a full disk, say.
        const auto end = static_cast<off_t>(written_);
        if (::ftruncate(file_.get(), end) != 0 || ::lseek(file_.get(), end, SEEK_SET) != end)
            file_.reset();
        return wrap(done.error(), "write blob");
    }
    hash_.update(bytes);
    written_ += bytes.size();
    return {};
}

Result<std::string> ContentWriter::commit(std::string_view expected_digest) {
    if (size_ && written_ != *size_) {
        return fail(Code::InvalidArgument, "blob has {} bytes, not the declared {}", written_,
                    *size_);
    }
    const std::string digest = "sha256:" + hash_.finish_hex();
    if (!expected_digest.empty() && digest != expected_digest) {
        return fail(Code::InvalidArgument, "blob has digest {}, not the expected {}", digest,
                    expected_digest);
    }
    const std::string source = format("/proc/self/fd/{}", file_.get());
    const std::string target = paths_->blob(digest);
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) != 0 &&
        errno != EEXIST) {
        return fail_errno("store blob {}", digest);
    }
    file_.reset();
    return digest;
}

Result<ContentWriter> Content::create(std::optional<std::uint64_t> size) {
    // Without a name, so that nothing is left of it unless it is committed.
    sys::Fd file = TRY(sys::open_file(paths_->blobs(), O_TMPFILE | O_RDWR, 0600));
    return ContentWriter(*paths_, std::move(file), size);
}

Result<std::string> Content::put(std::string_view bytes) {
    ContentWriter writer = TRY(create(bytes.size()));
    TRY(writer.write(bytes));
    return writer.commit();
}

bool Content::has(std::string_view digest) const {
    return is_digest(digest) && ::access(paths_->blob(digest).c_str(), F_OK) == 0;
}

Result<sys::Fd> Content::open(std::string_view digest) const {
    TRY(check(digest));
    auto file = sys::open_file(paths_->blob(digest), O_RDONLY | O_NOFOLLOW);
    if (!file && file.error().sys_errno == ENOENT) {
        return fail(Code::NotFound, "no such blob: {}", digest);
    }
    return file;
}

Result<std::uint64_t> Content::size(std::string_view digest) const {
    const sys::Fd file = TRY(open(digest));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return fail_errno("stat blob {}", digest);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<std::string> Content::read(std::string_view digest, std::size_t limit) const {
    const sys::Fd file = TRY(open(digest));
    std::string bytes = TRY_CONTEXT(sys::read_all(file.get(), limit), "read blob {}", digest);
    if (digest_of(bytes) != digest) {
        return fail(Code::Internal, "blob {} is damaged: its content has digest {}", digest,
                    digest_of(bytes));
    }
    return bytes;
}

Result<bool> Content::is_intact(std::string_view digest) const {
    const sys::Fd file = TRY(open(digest));
    Sha256 hash;
    TRY_CONTEXT(hash.update_from(file.get()), "check blob {}", digest);
    return hash.finish_hex() == hex_of(digest);
}

Result<void> Content::remove(std::string_view digest) {
    TRY(check(digest));
    if (::unlink(paths_->blob(digest).c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno("remove blob {}", digest);
}

Result<std::vector<std::string>> Content::list() const {
    std::vector<std::string> digests;
    for (const std::string& name : TRY(sys::list_dir(paths_->blobs()))) {
        std::string digest = "sha256:" + name;
        if (is_digest(digest)) digests.push_back(std::move(digest));
    }
    return digests;
}

}  // namespace coffer::store
