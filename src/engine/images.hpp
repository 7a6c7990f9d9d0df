#pragma once
// Images, as Docker means them: pull, push, load, import, tag, list, inspect, history, remove,
// prune and save. Names are references, ids or id prefixes. Safe from any thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/image.hpp"
#include "api/system.hpp"
#include "base/sync.hpp"
#include "engine/filters.hpp"
#include "oci/image_spec.hpp"
#include "oci/reference.hpp"
#include "registry/config.hpp"

namespace coffer::store {
class Store;
}

namespace coffer::engine {

class Events;

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
    std::string image;     // fromImage: any form of a reference
    std::string tag;       // tag or digest; empty with an untagged image: all tags
    std::string platform;  // "os/arch[/variant]"; empty: this machine's
    std::string auth;      // X-Registry-Auth
};

struct PushOptions {
    std::string image;
    std::string tag;   // empty with an untagged image: all tags
    std::string auth;  // X-Registry-Auth
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
    Filters filters;  // before, dangling, label, label!, reference, since, until
};

struct ImageRemoveOptions {
    bool force = false;
    bool no_prune = false;
};

// What the engine needs to make a container of an image.
struct ImageForContainer {
    std::string id;
    std::string chain_id;  // of the topmost layer; empty for an image without layers
    oci::ImageConfig config;
};

class Images {
  public:
    Images(store::Store& store, Events& events, registry::Config registry, FindImageUsers users);
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
    // A docker-archive or OCI layout, plain or compressed. `quiet` leaves out the progress bars.
    enum class LoadOutput { Verbose, Quiet };
    Result<void> load(const ReadBytes& body, LoadOutput output, const ImageProgress& progress,
                      const Cancel& cancel);
    // A root file system as an image of one layer; the last message is the id.
    Result<void> import(const ImportOptions& options, const ReadBytes& body,
                        const ImageProgress& progress, const Cancel& cancel);
    // Gives the id.
    Result<std::string> add(const NewImage& image, const Cancel& cancel);
    // One docker-archive of all named images.
    Result<void> save(const std::vector<std::string>& names, const WriteBytes& body,
                      const Cancel& cancel) const;

    Result<std::vector<api::ImageSummary>> list(const ImageListOptions& options) const;
    Result<api::ImageInspect> inspect(const std::string& name) const;
    Result<std::vector<api::HistoryItem>> history(const std::string& name) const;
    Result<void> tag(const std::string& name, const std::string& repository,
                     const std::string& tag);
    Result<std::vector<api::ImageDeleteItem>> remove(const std::string& name,
                                                     const ImageRemoveOptions& options);
    Result<api::ImagesPruneReport> prune(const Filters& filters);

    // "No such image: x:latest" (NotFound) when there is none.
    Result<ImageForContainer> resolve(const std::string& name) const;
    std::size_t count() const;
    const registry::Config& registries() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
