#pragma once
// The inside of Images, shared by the files that implement it. The catalogue reads only; whoever
// changes names or removes images holds `changing`.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/events.hpp"
#include "engine/image_mounts.hpp"
#include "engine/images.hpp"
#include "oci/reference.hpp"
#include "registry/repository.hpp"
#include "registry/transfer.hpp"
#include "registry/upload.hpp"
#include "store/store.hpp"
#include "trust/policy_file.hpp"

namespace coffer::engine {

// What the config of an image says. Immutable, so that readers share it.
struct ImageInfo {
    oci::ImageConfig config;
    std::string comment;
    std::string docker_version;
    std::string parent;  // id of the image it was made of here
    Time created = kZeroTime;
};

// An index of an image, with its text.
struct NamedIndex {
    oci::Descriptor descriptor;
    std::string text;
    oci::Index document;
};

// An image that a user named; without `reference` by its id.
struct FoundImage {
    std::string id;
    std::optional<oci::Reference> reference;
};

// What the signature policy has for a name.
struct Terms {
    std::shared_ptr<const trust::Policy> policy;  // keeps the scope; shared with later readers
    const trust::Scope* scope = nullptr;          // nullptr: anything goes
};

// Signatures that the policy is content with.
struct Vouchers {
    std::string digest;  // of the index or manifest that they are about; empty: nothing is new
    std::vector<store::KeptSignature> signatures;
};

struct Pulled {
    std::string digest;    // that the reference stood for
    bool changed = false;  // what is here
};

struct Images::Impl {
    store::Store& store;
    Events& events;
    registry::Registries registries;
    trust::PolicyFile policy;
    FindImageUsers users;
    ImageMounts mounts;
    registry::InFlight in_flight;
    std::mutex changing;
    // Configs by image id; they never change.
    Sync<std::map<std::string, std::shared_ptr<const ImageInfo>>> infos;
    // When images were last used, by id: what is not on disk yet.
    Sync<std::map<std::string, Time>> uses;
    std::function<void()> grown;

    Result<std::shared_ptr<const ImageInfo>> info(const std::string& id);
    // The id of the image a user names, by reference or id; "No such image: x:latest".
    Result<std::string> find(const std::string& name);
    Result<FoundImage> find_named(const std::string& name);
    // The image of that platform among those that a name stands for.
    Result<std::string> find_for(const std::string& name, const MaybePlatform& platform);
    Result<store::ImageRecord> find_record(const std::string& name,
                                           const MaybePlatform& platform = {});
    // The digest of what a name stands for, an index or a manifest; nullopt for an id.
    std::optional<std::string> target_of(const std::string& name) const;
    // What a name that stands for `target` points to: the image for this machine, else `latest`.
    Result<std::string> choose_locked(const std::string& target, const std::string& latest);
    // Of the index or manifest that the image's first name stands for.
    Result<oci::Descriptor> descriptor_of(const store::ImageRecord& image);
    Result<std::vector<api::ManifestSummary>> manifests_of(
        const store::ImageRecord& image, const std::vector<store::ImageRecord>& all);
    // nullopt when no index of the image has that digest.
    Result<std::optional<NamedIndex>> index_of(const store::ImageRecord& image,
                                               std::string_view digest);
    // The index that a name stands for, if more of it is here than the image `id`; else empty.
    Result<std::string> index_to_save(const std::string& name, const std::string& id);
    // Whether every manifest of an index is here with all that it names.
    Result<bool> is_whole(const oci::Index& index);
    // With the image's labels as attributes, as docker has it.
    void publish(const std::string& action, const std::string& actor, const std::string& name,
                 const std::string& image_id);
    Event event_of(const std::string& action, const std::string& actor, const std::string& name,
                   const std::string& image_id);
    Time last_used(const store::ImageRecord& image);
    void tell_growth() const;
    // Points the name at the image, or at the one for this machine of the same `target`; whether it
    // stood for something else before.
    Result<bool> set_tag(const oci::Reference& reference, const std::string& id,
                         const std::string& target = {});

    // Every blob of it is there: a check takes those away that are damaged.
    bool is_whole(const store::ImageRecord& image) const;
    Result<std::string> find_up_to_date(const oci::Reference& reference,
                                        registry::Repository& repository,
                                        const oci::Platform& platform);
    // Of a reference that is to be pulled as `used`, which is what the policy is about.
    Result<Pulled> pull_one(const oci::Reference& reference, const oci::Reference& used,
                            registry::Repository& repository, const oci::Platform& platform,
                            bool platform_given, const ImageProgress& progress,
                            const Cancel& cancel);
    Result<bool> pull_pinned(const oci::Reference& reference, registry::Repository& repository,
                             const oci::Platform& platform, const PullOptions& options,
                             const ImageProgress& progress, const Cancel& cancel);
    // Forbidden when the policy refuses the name, whatever is signed.
    Result<Terms> terms_for(const oci::Reference& reference);
    // Holds `digests`, of which one must be signed, to the terms: by the signatures that are kept,
    // or by those at the registry.
    Result<Vouchers> vouch(const Terms& terms, const oci::Reference& reference,
                           registry::Repository& repository,
                           const std::vector<std::string>& digests);
    // The same for an image that is here already as what the registry has.
    Result<Vouchers> vouch_here(const Terms& terms, const oci::Reference& reference,
                                registry::Repository& repository, const std::string& digest);
    Result<void> keep(const Vouchers& vouchers);
    Result<void> verify_kept(const Terms& terms, const oci::Reference& reference,
                             const std::vector<std::string>& digests);
    Result<void> unmount(const ImageMount& mount);
    // By containers, or mounted on the host.
    bool is_in_use(const std::string& id) const;
    // The policy's part in making a container of an image that a user called `name`.
    Result<void> check_trust(const std::string& name, const store::ImageRecord& image);
    // The digest that a tag is held to.
    Result<std::optional<std::string>> pin_of(const oci::Reference& reference) const;
    Result<void> warn_of_moved(const oci::Reference& reference, const std::string& pin,
                               registry::Repository& repository, const ImageProgress& progress);
    bool is_pinned_image(const oci::Reference& reference, const std::string& pin,
                         const store::ImageRecord& image);
    // Forbidden when a pinned tag has come to mean another image here.
    Result<void> check_pin(const std::string& name, const store::ImageRecord& image);
    std::map<std::string, std::string> mountable(const oci::Reference& target) const;
    Result<void> push_one(const oci::Reference& reference, const MaybePlatform& platform,
                          const registry::Repository::Target& target,
                          const ImageProgress& progress);
    Result<std::vector<api::ImageDeleteItem>> remove_locked(const std::string& name,
                                                            const ImageRemoveOptions& options);
    Result<std::vector<api::ImageDeleteItem>> remove_name_locked(const std::string& name,
                                                                 const ImageRemoveOptions& options);
    Result<void> remove_platform_locked(const std::string& name, const oci::Platform& platform,
                                        bool force, std::vector<api::ImageDeleteItem>& done);
    Result<std::uint64_t> prune_partials();
    // Unless it is in use, or was used after `planned`; whether it is gone.
    Result<bool> collect_locked(const std::string& id, Time planned);
    Result<void> untag_all_locked(const store::ImageRecord& image,
                                  std::vector<api::ImageDeleteItem>& done);
    Result<void> delete_locked(const std::string& id, bool force, bool quiet,
                               std::vector<api::ImageDeleteItem>& done);
};

api::ProgressMessage progress_message(std::string status, std::string id = {});
// docker's words about a layer that comes, and about one that goes.
api::ProgressMessage message_of(const registry::LayerUpdate& update);
api::ProgressMessage message_of(const registry::BlobToSend& blob, const std::string& shown,
                                const registry::SendUpdate& update);
// "sha256:4bcff63911fc..." -> "4bcff63911fc".
std::string short_id(std::string_view id);
// The familiar form of a canonical name from the store.
std::string familiar(const std::string& canonical);
std::vector<std::string> familiar_names(const std::vector<std::string>& names);
// Tags and digests.
std::vector<std::string> names_of(const store::ImageRecord& image);
bool is_nameless(const store::ImageRecord& image);
// The index or manifest of that digest; nullptr when the image has neither.
const store::ImageBlob* find_document(const store::ImageRecord& image, std::string_view digest);
// All that a manifest names: the layers, then the config.
std::vector<oci::Descriptor> parts_of(const oci::Manifest& manifest);
// What the store calls a reference: a digest makes its tag count for nothing.
std::string stored_name(const oci::Reference& reference);
// The repository of a canonical "name:tag" or "name@digest".
std::string repository_of(const std::string& canonical);
// docker's RepoTagReference: a name to give to an image; nullopt when `repository` is empty.
Result<std::optional<oci::Reference>> new_name(const std::string& repository,
                                               const std::string& tag);
// `auth` is an X-Registry-Auth.
Result<std::unique_ptr<registry::Repository>> open_repository(registry::Registries& registries,
                                                              const oci::Reference& reference,
                                                              const std::string& auth,
                                                              const Cancel& cancel);
// Whether a pattern of the filter `reference` matches a canonical name.
bool matches_reference(const std::vector<std::string>& patterns, const std::string& canonical);
// docker's bar: "[====>     ]  1.2MB/3MB".
std::string progress_bar(std::uint64_t current, std::uint64_t total);

}  // namespace coffer::engine
