#pragma once
// The inside of Images, shared by the files that implement it. The catalogue reads only; whoever
// changes names or removes images holds `changing`.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/events.hpp"
#include "engine/images.hpp"
#include "oci/reference.hpp"
#include "registry/transfer.hpp"
#include "store/store.hpp"

namespace coffer::engine {

// What the config of an image says. Immutable, so that readers share it.
struct ImageInfo {
    oci::ImageConfig config;
    std::string comment;
    std::string docker_version;
    std::string parent;  // id of the image it was made of here
    Time created = kZeroTime;
};

struct Images::Impl {
    store::Store& store;
    Events& events;
    registry::Config registry;
    FindImageUsers users;
    registry::InFlight in_flight;
    std::mutex changing;
    // Configs by image id; they never change.
    Sync<std::map<std::string, std::shared_ptr<const ImageInfo>>> infos;

    Result<std::shared_ptr<const ImageInfo>> info(const std::string& id);
    // The id of the image a user names, by reference or id; "No such image: x:latest".
    Result<std::string> find(const std::string& name);
    Result<store::ImageRecord> find_record(const std::string& name);
    // With the image's labels as attributes, as docker has it.
    void publish(const std::string& action, const std::string& actor, const std::string& name,
                 const std::string& image_id);
    // Points the name at the image; whether it pointed elsewhere before.
    Result<bool> set_tag(const oci::Reference& reference, const std::string& id);

    Result<bool> pull_one(const oci::Reference& reference, registry::Client& client,
                          const oci::Platform& platform, bool platform_given,
                          const ImageProgress& progress, const Cancel& cancel);
    registry::ClientOptions client_options(const oci::Reference& reference,
                                           const std::string& auth) const;
    std::map<std::string, std::string> mountable(const oci::Reference& target) const;
    Result<void> push_one(const oci::Reference& reference, registry::Client& client,
                          const ImageProgress& progress);
    Result<std::vector<api::ImageDeleteItem>> remove_locked(const std::string& name,
                                                            const ImageRemoveOptions& options);
    Result<void> untag_all_locked(const store::ImageRecord& image,
                                  std::vector<api::ImageDeleteItem>& done);
    Result<void> delete_locked(const std::string& id, bool force, bool quiet,
                               std::vector<api::ImageDeleteItem>& done);
};

api::ProgressMessage progress_message(std::string status, std::string id = {});
// "sha256:4bcff63911fc..." -> "4bcff63911fc".
std::string short_id(std::string_view id);
// The familiar form of a canonical name from the store.
std::string familiar(const std::string& canonical);
// The repository of a canonical "name:tag" or "name@digest".
std::string repository_of(const std::string& canonical);
// docker's RepoTagReference: a name to give to an image; nullopt when `repository` is empty.
Result<std::optional<oci::Reference>> new_name(const std::string& repository,
                                               const std::string& tag);
// docker's bar: "[====>     ]  1.2MB/3MB".
std::string progress_bar(std::uint64_t current, std::uint64_t total);

}  // namespace coffer::engine
