#pragma once
// Volumes of the `local` driver: folders that outlive containers. The disk holds the containers'
// own ids (mounts are id-mapped), so a volume can be shared and moved. Safe from any thread.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace coffer::volume {

struct Volume {
    std::string name;
    std::string path;  // the data folder
    std::string created_at;
    std::map<std::string, std::string> labels;
    bool anonymous = false;       // made for a container without a name; goes with `rm -v`
    bool claimed = true;          // otherwise sweep() removes it unless it is held
    std::set<std::string> users;  // ids of the containers that hold it; not kept on disk
};

class Volumes {
  public:
    // `folder` is <data-root>/volumes. A volume is a folder with volume.json and _data in it.
    static Result<std::unique_ptr<Volumes>> open(const std::string& folder);

    // An existing volume of that name is returned as it is. An empty name makes one up. A `user`
    // holds the volume from then on, and a new one is his to claim.
    struct Created {
        Volume volume;
        bool is_new = false;
    };
    Result<Created> create(const std::string& name,
                           const std::map<std::string, std::string>& labels,
                           const std::string& user = {});
    // The user is on disk now: so stay the volumes made for him.
    void claim(const std::string& user);
    // The user is about to be gone from disk, and what is anonymous and his alone with him:
    // removing that is still to be done, here or by sweep().
    void disclaim(const std::string& user);
    // For a user who is known to have it, after a restart.
    void hold(const std::string& name, const std::string& user);
    // After a restart, when all holders are known: removes what nobody claims.
    void sweep();
    // Lets go of all that the user holds.
    void release(const std::string& user);
    std::optional<Volume> find(const std::string& name) const;
    std::vector<Volume> list() const;
    // NotFound when there is none; Conflict, in docker's words, while somebody holds it.
    Result<void> remove(const std::string& name);

  private:
    explicit Volumes(std::string folder) : folder_(std::move(folder)) {}
    void set_claimed(Volume& volume, bool claimed);

    const std::string folder_;
    mutable std::mutex mutex_;
    std::map<std::string, Volume> volumes_;
};

// docker's grammar: [a-zA-Z0-9][a-zA-Z0-9_.-]{1,}
bool is_valid_volume_name(std::string_view name);

}  // namespace coffer::volume
