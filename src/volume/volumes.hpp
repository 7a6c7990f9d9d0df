#pragma once
// Volumes: data that outlives containers, in folders of ours or mounted from elsewhere (local.hpp).
// The disk holds the containers' own ids (mounts are id-mapped), so a volume can be shared and
// moved. Safe from any thread; slow work on one volume keeps nobody from the others.

#include <condition_variable>
#include <cstdint>
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
    std::map<std::string, std::string> options;  // of the driver, as given
    std::uint32_t project = 0;                   // that its quota counts; 0: none
    bool anonymous = false;       // made for a container without a name; goes with `rm -v`
    bool claimed = true;          // otherwise sweep() removes it unless it is held
    std::set<std::string> users;  // ids of the containers that hold it; not kept on disk
    std::set<std::string> runs;   // who has its data mounted just now; not kept either
    bool alone = false;           // that is one who is not to be joined
};
enum class Use : std::uint8_t { Shared, Alone };

struct VolumeRequest {
    std::string name;    // empty: one is made up
    std::string driver;  // empty or "local"
    std::map<std::string, std::string> options;
    std::map<std::string, std::string> labels;
};

class Volumes {
  public:
    // `folder` is <data-root>/volumes. A volume is a folder with volume.json and _data in it.
    static Result<std::unique_ptr<Volumes>> open(const std::string& folder);

    // An existing volume of that name is returned as it is, whatever the options say. A `user`
    // holds the volume from then on, and a new one is his to claim. Errors in docker's words.
    struct Created {
        Volume volume;
        bool is_new = false;
    };
    Result<Created> create(const VolumeRequest& request, const std::string& user = {});
    // The user is on disk now: so stay the volumes made for him.
    void claim(const std::string& user);
    // The user is about to be gone from disk, and what is anonymous and his alone with him:
    // removing that is still to be done, here or by sweep().
    void disclaim(const std::string& user);
    // For a user who is known to have it, after a restart.
    void hold(const std::string& name, const std::string& user);
    // The data is there until the user has ended: mounted for the first of them, unmounted with the
    // last. Gives where. Conflict for one alone while others use it, and for others meanwhile.
    Result<std::string> begin_use(const std::string& name, const std::string& user,
                                  Use use = Use::Shared);
    void end_use(const std::string& name, const std::string& user);
    // After a restart, when all holders and users are known: removes what nobody claims, and
    // unmounts what nobody uses.
    void sweep();
    // Lets go of all that the user holds, or of one.
    void release(const std::string& user);
    void release(const std::string& user, const std::string& name);
    std::optional<Volume> find(const std::string& name) const;
    std::vector<Volume> list() const;
    // Conflict while somebody holds it, or when there is one of the new name.
    Result<void> rename(const std::string& name, const std::string& new_name);
    // NotFound when there is none; Conflict, in docker's words, while somebody holds it.
    Result<void> remove(const std::string& name);

  private:
    // Of those who change one volume, or mount it, one at a time.
    class Turn {
      public:
        Turn(Volumes& volumes, std::string name);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        Turn(Turn&&) = delete;
        Turn& operator=(Turn&&) = delete;

      private:
        Volumes& volumes_;
        std::string name_;
    };

    explicit Volumes(std::string folder) : folder_(std::move(folder)) {}
    void set_claimed(Volume& volume, bool claimed);
    std::string own_folder(const std::string& name) const { return folder_ + "/" + name; }
    Result<Volume> make(const VolumeRequest& request, const std::string& name,
                        const std::string& user);

    const std::string folder_;
    mutable std::mutex mutex_;
    std::condition_variable turned_;
    std::set<std::string> busy_;  // whose turn is taken
    std::map<std::string, Volume> volumes_;
    std::uint32_t last_project_ = 1U << 28U;  // those of containers are lower
};

// docker's grammar: [a-zA-Z0-9][a-zA-Z0-9_.-]{1,}
Result<void> check_volume_name(const std::string& name);
bool is_valid_volume_name(std::string_view name);

}  // namespace coffer::volume
