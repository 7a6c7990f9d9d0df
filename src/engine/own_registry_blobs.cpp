// OwnRegistry's blobs, and how they come.
#include <unistd.h>

#include <array>

#include "base/id.hpp"
#include "engine/own_registry_impl.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kMaxUploads = 256;     // each is an open file
constexpr std::size_t kMaxWaiting = 10'000;  // blobs without a manifest
constexpr std::uint64_t kMaxBlob = 64ULL << 30U;
constexpr std::size_t kChunk = 256 * 1024;

Result<std::string> sha512_of(const sys::Fd& file) {
    Sha512 hash;
    std::array<char, 64 * 1024> buffer;
    off_t offset = 0;
    for (;;) {
        const ssize_t n = ::pread(file.get(), buffer.data(), buffer.size(), offset);
        if (n < 0) return fail_errno("read upload");
        if (n == 0) return "sha512:" + hash.finish_hex();
        hash.update({buffer.data(), static_cast<std::size_t>(n)});
        offset += n;
    }
}

Failure no_such_blob(const std::string& digest) {
    return fail(Code::NotFound, "no such blob: {}", digest);
}

}  // namespace

Result<bool> OwnRegistry::Impl::has_blob(const std::string& repository, const std::string& sha256) {
    {
        auto all = waiting.lock();
        const auto found = all->find({repository, sha256});
        if (found != all->end()) {
            found->second.touched = std::chrono::steady_clock::now();
            return store.content().has(sha256);
        }
    }
    return TRY(store.manifests().refers(canonical(repository), sha256)) &&
           store.content().has(sha256);
}

// Holds a blob for a repository until a manifest comes that refers to it.
Result<void> OwnRegistry::Impl::keep_waiting(const std::string& repository,
                                             const std::string& sha256) {
    auto lease = store.lease();
    lease->blob(sha256);
    auto all = waiting.lock();
    if (all->size() >= kMaxWaiting)
        return fail(Code::Unavailable, "too many blobs wait for a manifest");
    WaitingBlob& blob = (*all)[{repository, sha256}];
    if (!blob.lease) blob.lease = std::move(lease);
    blob.touched = std::chrono::steady_clock::now();
    return {};
}

// A manifest that refers to them has come.
void OwnRegistry::Impl::stop_waiting(const std::string& repository,
                                     const std::vector<store::KeptBlob>& blobs) {
    std::vector<WaitingBlob> held;  // leases end outside of the lock
    auto all = waiting.lock();
    for (const auto& blob : blobs) {
        if (auto found = all->extract({repository, blob.digest}))
            held.push_back(std::move(found.mapped()));
    }
}

Result<OwnRegistry::Blob> OwnRegistry::open_blob(const std::string& repository,
                                                 const std::string& digest) const {
    const auto sha256 = impl_->sha256_of(digest);
    if (!sha256 || !TRY(impl_->has_blob(repository, *sha256))) return no_such_blob(digest);
    const auto size = TRY(impl_->store.content().size(*sha256));
    return Blob{.file = TRY(impl_->store.content().open(*sha256)), .size = size};
}

Result<void> OwnRegistry::remove_blob(const std::string& repository, const std::string& digest) {
    const auto sha256 = impl_->sha256_of(digest);
    if (!sha256 || !TRY(impl_->has_blob(repository, *sha256))) return no_such_blob(digest);
    if (TRY(impl_->store.manifests().refers(impl_->canonical(repository), *sha256)))
        return fail(Code::Conflict, "a manifest refers to blob {}", digest);
    // Named, so that its lease ends outside of the lock.
    const auto gone = impl_->waiting.lock()->extract({repository, *sha256});
    if (!gone) return no_such_blob(digest);
    return {};
}

Result<bool> OwnRegistry::mount_blob(const std::string& repository, const std::string& digest,
                                     const std::string& from) {
    const auto sha256 = impl_->sha256_of(digest);
    if (!sha256) return false;
    // Held before it is looked for, so that it stays.
    const auto lease = impl_->store.lease();
    lease->blob(*sha256);
    bool found = false;
    if (!from.empty()) {
        found = TRY(impl_->has_blob(from, *sha256));
    } else {
        found = impl_->store.content().has(*sha256) &&
                TRY(impl_->store.manifests().find_repository_of(impl_->canonical(""), *sha256))
                    .has_value();
    }
    if (found) TRY(impl_->keep_waiting(repository, *sha256));
    return found;
}

Result<std::string> OwnRegistry::begin_upload(const std::string& repository) {
    auto upload = std::make_shared<Upload>(repository, TRY(impl_->store.content().create()));
    auto all = impl_->uploads.lock();
    if (all->size() >= kMaxUploads) return fail(Code::Unavailable, "too many uploads at once");
    std::string id = random_hex(16);
    all->emplace(id, std::move(upload));
    return id;
}

Result<std::shared_ptr<Upload>> OwnRegistry::Impl::find_upload(const std::string& repository,
                                                               const std::string& id) {
    auto all = uploads.lock();
    const auto found = all->find(id);
    if (found == all->end() || found->second->repository != repository)
        return fail(Code::NotFound, "no such upload: {}", id);
    found->second->touched = std::chrono::steady_clock::now();
    return found->second;
}

Result<std::uint64_t> OwnRegistry::upload_size(const std::string& repository,
                                               const std::string& id) const {
    const auto upload = TRY(impl_->find_upload(repository, id));
    const std::unique_lock turn(upload->writing, std::try_to_lock);
    if (!turn) return fail(Code::Conflict, "upload {} is being written to", id);
    return upload->writer.written();
}

Result<std::uint64_t> OwnRegistry::append(const std::string& repository, const std::string& id,
                                          std::optional<std::uint64_t> offset,
                                          const ReadBytes& body) {
    const auto upload = TRY(impl_->find_upload(repository, id));
    const std::unique_lock turn(upload->writing, std::try_to_lock);
    if (!turn) return fail(Code::Conflict, "upload {} is being written to", id);
    if (offset && *offset != upload->writer.written())
        return fail(Code::Conflict, "the chunk begins at {}, and the upload has {} bytes", *offset,
                    upload->writer.written());
    std::string chunk(kChunk, '\0');
    for (;;) {
        const std::size_t n = TRY(body(chunk.data(), chunk.size()));
        upload->touched = std::chrono::steady_clock::now();
        if (n == 0) return upload->writer.written();
        if (n > kMaxBlob - upload->writer.written())
            return fail(Code::InvalidArgument, "a blob may have {} bytes", kMaxBlob);
        TRY(upload->writer.write(std::string_view(chunk).substr(0, n)));
    }
}

Result<void> OwnRegistry::finish_upload(const std::string& repository, const std::string& id,
                                        const std::string& digest) {
    const auto upload = TRY(impl_->find_upload(repository, id));
    const std::unique_lock turn(upload->writing, std::try_to_lock);
    if (!turn) return fail(Code::Conflict, "upload {} is being written to", id);
    impl_->uploads.lock()->erase(id);
    const bool is_sha256 = is_digest(digest);
    const auto lease = impl_->store.lease();
    if (is_sha256) {
        lease->blob(digest);
    } else {
        const auto file = TRY(upload->writer.reader());
        const std::string actual = TRY(sha512_of(file));
        if (actual != digest)
            return fail(Code::InvalidArgument, "blob has digest {}, not the expected {}", actual,
                        digest);
    }
    const std::string sha256 = TRY(upload->writer.commit(is_sha256 ? digest : ""));
    // Only now may the repository read it: who names a digest need not have had the bytes.
    TRY(impl_->keep_waiting(repository, sha256));
    if (!is_sha256) TRY(impl_->store.manifests().add_alias(digest, sha256));
    return {};
}

Result<void> OwnRegistry::cancel_upload(const std::string& repository, const std::string& id) {
    TRY(impl_->find_upload(repository, id));
    impl_->uploads.lock()->erase(id);
    return {};
}

}  // namespace coffer::engine
