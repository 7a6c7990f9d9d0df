#pragma once
// A registry of our own: the store's blobs and manifests as the OCI distribution specification 1.1
// has them, without its HTTP. Repository "a/b" of a registry named "host:5000" holds the images
// named "host:5000/a/b:tag" here, and what was pushed beside them: indexes, artifacts, signatures.
// Safe from any thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/images.hpp"
#include "oci/image_spec.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

struct OwnRegistryOptions {
    std::string name = "localhost:5000";  // the host in the names of its images
    // How long a manifest stays that has no tag, is in no index and about nothing that is there.
    std::chrono::seconds keep_untagged = std::chrono::hours(7 * 24);
};

class OwnRegistry {
  public:
    OwnRegistry(store::Store& store, Images& images, OwnRegistryOptions options);
    ~OwnRegistry();
    OwnRegistry(const OwnRegistry&) = delete;
    OwnRegistry& operator=(const OwnRegistry&) = delete;
    OwnRegistry(OwnRegistry&&) = delete;
    OwnRegistry& operator=(OwnRegistry&&) = delete;

    bool is_repository(const std::string& repository) const;

    // Digests are sha256 or sha512, and well formed; repositories are is_repository().

    struct Blob {
        sys::Fd file;
        std::uint64_t size = 0;
    };
    // Blobs that a manifest of the repository refers to, or that were pushed a short while ago:
    // NotFound without that.
    Result<Blob> open_blob(const std::string& repository, const std::string& digest) const;
    // Only of one that no manifest refers to; Conflict otherwise.
    Result<void> remove_blob(const std::string& repository, const std::string& digest);
    // Whether the repository has it now; an empty `from` is any repository.
    Result<bool> mount_blob(const std::string& repository, const std::string& digest,
                            const std::string& from);

    // Unavailable when there are too many. One that nothing is written to ends after a time.
    Result<std::string> begin_upload(const std::string& repository);
    Result<std::uint64_t> upload_size(const std::string& repository, const std::string& id) const;
    // Gives the size after it. Conflict when `offset` is another than the size so far, or somebody
    // else writes. What has come of a body that breaks off stays.
    Result<std::uint64_t> append(const std::string& repository, const std::string& id,
                                 std::optional<std::uint64_t> offset, const ReadBytes& body);
    // InvalidArgument when it has another digest; the upload is gone then too.
    Result<void> finish_upload(const std::string& repository, const std::string& id,
                               const std::string& digest);
    Result<void> cancel_upload(const std::string& repository, const std::string& id);

    struct Manifest {
        std::string digest;
        std::string media_type;
        std::string text;
    };
    // `object` is a tag or a digest. Of an index that the client does not accept, the manifest for
    // this machine; an empty list accepts all.
    Result<Manifest> get_manifest(const std::string& repository, const std::string& object,
                                  const std::vector<std::string>& accepted);
    struct Put {
        std::string digest;
        std::string subject;  // of the manifest; empty without one
        std::string warning;  // why it does not run here; empty when it does, or is no image
    };
    // NotFound when something it refers to is not here; InvalidArgument for what is no manifest.
    Result<Put> put_manifest(const std::string& repository, const std::string& object,
                             const std::string& media_type, const std::string& text);
    Result<void> remove_manifest(const std::string& repository, const std::string& object);
    // Sorted; NotFound when there is no such repository.
    Result<std::vector<std::string>> tags(const std::string& repository) const;
    Result<std::vector<std::string>> repositories() const;
    // A page of descriptors of the manifests about that one, of a type unless that is empty, by
    // digest; those after `last`, which may be empty.
    struct Referrers {
        std::vector<oci::Descriptor> page;
        bool more = false;
    };
    Result<Referrers> referrers(const std::string& repository, const std::string& digest,
                                std::string_view artifact_type, std::string_view last) const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
