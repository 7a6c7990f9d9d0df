#pragma once
// Images, as Docker means them: pull, push, load, import, tag, list, inspect, history, remove,
// prune and save. Names are references, ids or id prefixes. Safe from any thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/image.hpp"
#include "api/registry.hpp"
#include "api/system.hpp"
#include "base/sync.hpp"
#include "engine/collection.hpp"
#include "engine/filters.hpp"
#include "engine/image_mounts.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "registry/registries.hpp"

namespace coffer::store {
class Lease;
class Store;
}  // namespace coffer::store

namespace coffer::registry {
class Repository;
}  // namespace coffer::registry

namespace coffer::engine {

class Events;
struct Vouchers;

// Who uses an image: the engine asks its containers through this, so that images know none.
struct ImageUser {
    std::string container;
    bool running = false;
};
using FindImageUsers = std::function<std::vector<ImageUser>(const std::string& image_id)>;

// Progress of a pull, load or import. An operation that fails before the first message returns the
// error alone, so that the API can still answer with its status.
using ImageProgress = std::function<void(const api::ProgressMessage&)>;

// Blocks for at least one byte of a request body; 0 is its end.
using ReadBytes = std::function<Result<std::size_t>(char* to, std::size_t size)>;
using WriteBytes = std::function<Result<void>(std::string_view bytes)>;

struct PullOptions {
    std::string image;      // fromImage: any form of a reference
    std::string tag;        // tag or digest; empty with an untagged image: all tags
    std::string platform;   // "os/arch[/variant]"; empty: this machine's
    std::string auth;       // X-Registry-Auth
    bool move_pin = false;  // of a pinned tag: to what the registry has now
};

// Which of the images that a name stands for; absent: this machine's, or any other.
using MaybePlatform = std::optional<oci::Platform>;

struct PushOptions {
    std::string image;
    std::string tag;         // empty with an untagged image: all tags
    std::string auth;        // X-Registry-Auth
    MaybePlatform platform;  // its manifest alone; absent: the whole index, if all of it is here
};

struct ImageInspectOptions {
    MaybePlatform platform;
    bool manifests = false;
};

struct AttestationOptions {
    MaybePlatform platform;
    std::vector<std::string> types;  // of predicates; none: all
    bool statement = false;          // with the text
};

struct ImportOptions {
    std::string repository;  // repo; empty: no name
    std::string tag;
    std::string message;
    std::vector<std::string> changes;  // Dockerfile instructions: "CMD [\"sh\"]"
    std::string platform;
};

// An image that has one layer more than another.
struct NewImage {
    std::string parent;  // id
    ReadBytes layer;     // plain tar; one without entries adds no layer
    oci::RunConfig config;
    std::string comment;
    std::string author;
    std::string created_by;
    std::optional<oci::Reference> name;
};

struct ImageListOptions {
    bool all = false;  // parents of other images too
    bool shared_size = false;
    bool manifests = false;
    bool last_used = false;
    Filters filters;  // before, dangling, label, label!, reference, since, until
};

struct ImageSearchOptions {
    std::string term;  // "word", or "host/word" for another index than docker.io
    std::optional<std::int64_t> limit;
    Filters filters;   // is-automated, is-official, stars
    std::string auth;  // X-Registry-Auth
};

struct ImageRemoveOptions {
    bool force = false;
    bool no_prune = false;
    bool keep_used = false;  // with force: an image of a stopped container only loses its name
    std::vector<oci::Platform> platforms;  // only these images of the name; none: all of them
};

struct ImageCollectOptions {
    std::uint64_t bytes = 0;       // to free, or as much as can be
    const CollectionRules& rules;  // which say what stays
    bool dry_run = false;
    std::function<bool()> stops = {};  // asked before each image
};

// What the engine needs to make a container of an image.
struct ImageForContainer {
    std::string id;
    std::string chain_id;  // of the topmost layer; empty for an image without layers
    oci::ImageConfig config;
    std::string warning;  // about a platform that nobody asked for; docker's words
};

struct ImagesConfig {
    registry::Config registry;
    std::string signature_policy;  // see trust::PolicyFile
};

class Images {
  public:
    Images(store::Store& store, Events& events, ImagesConfig config, FindImageUsers users,
           ImageMounts mounts);
    ~Images();
    Images(const Images&) = delete;
    Images& operator=(const Images&) = delete;
    Images(Images&&) = delete;
    Images& operator=(Images&&) = delete;

    Result<void> pull(const PullOptions& options, const ImageProgress& progress,
                      const Cancel& cancel);
    Result<void> push(const PushOptions& options, const ImageProgress& progress,
                      const Cancel& cancel);
    // Whether a registry takes the credentials; Unauthorized when not.
    Result<api::LoginResponse> log_in(const api::LoginRequest& login, const Cancel& cancel) const;
    // What an index of repositories (docker.io's /v1/search) has.
    Result<std::vector<api::ImageSearchResult>> search(const ImageSearchOptions& options,
                                                       const Cancel& cancel) const;
    // What a registry has under a name, without fetching it.
    Result<api::DistributionInspect> distribution(const std::string& name, const std::string& auth,
                                                  const Cancel& cancel) const;
    // The signatures of what a registry has under a name, and one more for them: the key is the
    // client's.
    Result<api::ImageSignatures> signatures(const std::string& name, const std::string& auth,
                                            const Cancel& cancel) const;
    Result<void> add_signature(const std::string& name, const api::AddSignatureRequest& added,
                               const std::string& auth, const Cancel& cancel);
    // Holds a tag to a digest: the one in the name, or the one that the tag stands for here.
    Result<api::ImagePin> pin(const std::string& name);
    Result<void> unpin(const std::string& name);
    Result<std::vector<api::ImagePin>> pins() const;
    // Which hosts are asked for an image of that name, and why.
    Result<api::RegistryRoute> registry_route(const std::string& name) const;
    // A docker-archive or OCI layout, plain or compressed. `quiet` leaves out the progress bars.
    enum class LoadOutput { Verbose, Quiet };
    Result<void> load(const ReadBytes& body, LoadOutput output, const MaybePlatform& platform,
                      const ImageProgress& progress, const Cancel& cancel);
    // A root file system as an image of one layer; the last message is the id.
    Result<void> import(const ImportOptions& options, const ReadBytes& body,
                        const ImageProgress& progress, const Cancel& cancel);
    // Gives the id.
    Result<std::string> add(const NewImage& image, const Cancel& cancel);
    // One docker-archive and OCI layout of all named images.
    Result<void> save(const std::vector<std::string>& names, const MaybePlatform& platform,
                      const WriteBytes& body, const Cancel& cancel) const;

    Result<std::vector<api::ImageSummary>> list(const ImageListOptions& options) const;
    Result<api::ImageInspect> inspect(const std::string& name,
                                      const ImageInspectOptions& options = {}) const;
    Result<std::vector<api::HistoryItem>> history(const std::string& name,
                                                  const MaybePlatform& platform = {}) const;
    // All layers, or those of the named images.
    Result<std::vector<api::ImageLayer>> layers(const std::vector<std::string>& names) const;
    // On the host, for its root. An empty path is a folder of the engine's. An image that is
    // mounted is not removed.
    Result<std::vector<api::ImageMount>> mounts() const;
    Result<api::ImageMount> mount(const std::string& name, const std::string& path);
    // `target` is a path, or a name: then wherever it is mounted.
    Result<std::vector<api::ImageMount>> unmount(const std::string& target);
    // Where images are mounted that are not here any more.
    Result<std::vector<std::string>> stray_mounts(bool repair);
    // Statements that BuildKit attaches to an image of an index.
    Result<std::vector<api::AttestationStatement>> attestations(
        const std::string& name, const AttestationOptions& options) const;
    Result<void> tag(const std::string& name, const std::string& repository,
                     const std::string& tag);
    // Gives an image the name with which its manifest was pushed to a registry of our own. The one
    // that had it before goes if it has no other name and is not in use.
    Result<void> name_pushed(const oci::Reference& name, const std::string& id,
                             const std::string& manifest);
    Result<std::vector<api::ImageDeleteItem>> remove(const std::string& name,
                                                     const ImageRemoveOptions& options);
    Result<api::ImagesPruneReport> prune(const Filters& filters);
    // Removes images that nobody uses and no rule keeps, and what is left of pulls that broke off,
    // the least recently used first. Gives what goes; one that came into use meanwhile is left out.
    Result<std::vector<api::CollectedItem>> collect(const ImageCollectOptions& options);

    // Something was made of the image now: remembered here, and on disk once write_uses() is
    // called.
    void touch(const std::string& id);
    Result<void> write_uses();
    // Called whenever images have come, on the thread that brought them. Set before the first.
    void on_growth(std::function<void()> tell);

    // For a container: "No such image: x:latest" (NotFound) when there is none, Forbidden when the
    // signature policy refuses it.
    // `platform` is "os/arch[/variant]"; empty: this machine's, or any other with a warning.
    Result<ImageForContainer> resolve(const std::string& name,
                                      const std::string& platform = {}) const;
    // The same for who only wants to know which image it is.
    Result<ImageForContainer> look_up(const std::string& name,
                                      const std::string& platform = {}) const;
    // As resolve(), for a container that is about to be: it counts as a use, and the image stays at
    // least as long as the lease.
    Result<ImageForContainer> take(const std::string& name, const std::string& platform,
                                   store::Lease& lease);
    // The signature policy's part in a pull of an artifact that is `digest`, and in each use of
    // one.
    Result<Vouchers> vouch_for_artifact(const oci::Reference& name,
                                        registry::Repository& repository,
                                        const std::string& digest);
    Result<void> check_artifact(const oci::Reference& name, const std::string& digest) const;
    std::size_t count() const;
    registry::Registries& registries() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
