#pragma once
// Artifacts: what registries keep under a name that is no image (OCI image specification,
// "Guidelines for Artifact Usage"). A manifest with the files that it lists, kept as it came. They
// stand beside images, in the same store: one name is one of the two. Safe from any thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/artifact.hpp"
#include "engine/images.hpp"
#include "registry/transfer.hpp"
#include "store/store.hpp"

namespace coffer::engine {

struct ArtifactFile {
    std::string title;  // its name, without folders
    std::uint64_t size = 0;
    std::string media_type;  // empty: as the artifact says
};

struct NewArtifact {
    std::string name;
    std::string type;                                // artifactType; empty: unknown
    std::string file_type;                           // media type of each file; empty: plain bytes
    std::map<std::string, std::string> annotations;  // of each file
    enum class There { Refuse, Replace, Append } there = There::Refuse;  // one of that name
    std::vector<ArtifactFile> files;  // whose bytes come one after the other
};

struct ArtifactPushOptions {
    std::string name;
    std::string subject;  // an image of the same repository that it is about; may be empty
    std::string auth;     // X-Registry-Auth
};

class Artifacts {
  public:
    Artifacts(store::Store& store, Images& images, Events& events)
        : store_(store), images_(images), events_(events) {}

    // The names are references with a tag, or the beginning of a digest for those that are here:
    // NotFound "no such artifact: x".
    Result<void> pull(const std::string& name, const std::string& auth,
                      const ImageProgress& progress, const Cancel& cancel);
    Result<void> push(const ArtifactPushOptions& options, const ImageProgress& progress,
                      const Cancel& cancel);
    // Gives the digest.
    Result<std::string> add(const NewArtifact& artifact, const ReadBytes& bytes,
                            const Cancel& cancel);
    Result<std::vector<api::Artifact>> list() const;
    Result<api::Artifact> inspect(const std::string& name) const;
    Result<api::ArtifactDeleteItem> remove(const std::string& name);
    struct Blob {
        sys::Fd file;
        std::uint64_t size = 0;
    };
    // One of its files.
    Result<Blob> open_blob(const std::string& name, const std::string& digest) const;

    // What a registry has about an image or artifact, of a type unless that is empty.
    Result<std::vector<oci::Descriptor>> referrers(const std::string& name, const std::string& type,
                                                   const std::string& auth,
                                                   const Cancel& cancel) const;

  private:
    struct Found {
        std::string repository;
        std::string tag;
        std::string digest;
    };
    Result<std::vector<Found>> all() const;
    Result<Found> find(const std::string& name) const;
    Result<api::Artifact> view(const Found& found) const;
    Result<oci::Manifest> manifest_with(const NewArtifact& artifact, const oci::Reference& name,
                                        const std::vector<oci::Descriptor>& files,
                                        store::Lease& lease) const;
    Result<std::string> take(const ArtifactFile& file, const ReadBytes& bytes, store::Lease& lease,
                             const Cancel& cancel) const;
    Result<void> keep_locked(const oci::Reference& name, const std::string& media_type,
                             const std::string& text, const Vouchers& vouchers,
                             store::Lease& lease);
    void publish(const std::string& action, const std::string& name, const std::string& digest);

    store::Store& store_;
    Images& images_;
    Events& events_;
    registry::InFlight in_flight_;
    std::mutex changing_;  // held while names are given and taken
};

}  // namespace coffer::engine
