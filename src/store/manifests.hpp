#pragma once
// Manifests kept by repository, whatever they describe: what was pushed to a registry of our own,
// indexes with the images of other platforms, artifacts, signatures. What a kept manifest refers to
// stays in the store as long as the manifest does. A repository is a canonical name without tag
// ("localhost:5000/a/b"); a digest is sha256, unless an alias is asked for. Safe from any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"
#include "store/gc.hpp"

namespace coffer::store {

struct KeptManifest {
    std::string repository;
    std::string digest;
    std::string media_type;
    std::string artifact_type;  // as lists of referrers show it; may be empty
    std::string subject;        // digest of the manifest that it is about; may be empty
    std::uint64_t size = 0;
};

struct KeptBlob {
    std::string digest;
    std::uint64_t size = 0;
};

class Manifests {
  public:
    Manifests(Database& database, Gc& gc);
    static Result<void> migrate(Database& database);

    // The document and `blobs`, to which it refers (other manifests too), must be there.
    Result<void> add(const KeptManifest& manifest, const std::vector<KeptBlob>& blobs);
    Result<std::optional<KeptManifest>> find(std::string_view repository,
                                             std::string_view digest) const;
    // NotFound when there is none. Takes its tags along, and what nothing else refers to.
    Result<void> remove(std::string_view repository, std::string_view digest);
    // Those about `subject`, by digest.
    Result<std::vector<KeptManifest>> referrers(std::string_view repository,
                                                std::string_view subject) const;

    // NotFound unless the manifest is kept. A tag stands beside the name of an image of the store
    // (Images::tag): it goes when that name comes to mean something else.
    Result<void> tag(std::string_view repository, std::string_view tag, std::string_view digest);
    // The same for a tag that nobody pulls from us: what had it before goes at once, as expire()
    // has it, unless it has another.
    Result<void> move_tag(std::string_view repository, std::string_view tag,
                          std::string_view digest);
    Result<void> drop_tag(std::string_view repository, std::string_view tag);
    Result<bool> untag(std::string_view repository, std::string_view tag);
    std::optional<std::string> find_tag(std::string_view repository, std::string_view tag) const;
    Result<std::vector<std::string>> tags(std::string_view repository) const;
    Result<std::vector<std::string>> tags_of(std::string_view repository,
                                             std::string_view digest) const;
    // Names of repositories that have a manifest and begin with `prefix`.
    Result<std::vector<std::string>> repositories(std::string_view prefix) const;

    // Whether a manifest of the repository refers to the blob, or is it.
    Result<bool> refers(std::string_view repository, std::string_view digest) const;
    // A repository that begins with `prefix` and refers to the blob.
    Result<std::optional<std::string>> find_repository_of(std::string_view prefix,
                                                          std::string_view digest) const;

    // Another digest of the same bytes ("sha512:...").
    Result<void> add_alias(std::string_view alias, std::string_view digest);
    std::optional<std::string> find_alias(std::string_view alias) const;

    // Removes those that were to go at once.
    Result<void> expire_dropped();
    // Removes manifests that have had no tag for so long, that no other manifest lists and that
    // are not about one that is there. Gives how many.
    Result<std::size_t> expire(std::chrono::seconds untagged);

  private:
    Result<void> change_tag(std::string_view repository, std::string_view tag,
                            std::optional<std::string_view> digest);

    Database* database_;
    Gc* gc_;
};

}  // namespace coffer::store
