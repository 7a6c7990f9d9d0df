#pragma once
// Where coffer-oci keeps what it knows about its containers. One thread; processes exclude each
// other by the lock of a container.
//
//   <root>/<id>/             0700, made first, removed last
//     state.json             written to a temporary and renamed: old or new, never half. Not
//                            synced: no container outlives the machine's restart
//     config.json            the bundle's as it was at creation: later changes have no effect
//     start.sock             the container's init listens here until it has been started
//     lock                   flock(2), held by every command that changes the container
//   <root>/seccomp/          compiled filters (seccomp_cache.hpp)
//
// "creating" is a state.json without a pid; "created" is a live init with a start.sock; "running" a
// live one without, "paused" when its control group is frozen; "stopped" is everything else. A
// recycled pid is told by its start time.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"
#include "runtime/resctrl.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

enum class Status : std::uint8_t { Creating, Created, Running, Paused, Stopped };
const char* to_text(Status status);

struct State {
    std::string id;
    std::string bundle;
    std::string rootfs;
    std::string oci_version;
    int pid = 0;
    std::uint64_t pid_start_time = 0;  // field 22 of /proc/PID/stat
    std::string created;               // RFC 3339
    std::string cgroup_path;           // empty: none of its own
    std::string systemd_unit;          // the scope that holds the cgroup; empty: none
    resctrl::Group resctrl;            // without a folder: none
    std::uint32_t owner = 0;
    oci::LinuxResources resources;  // in force: the spec's with all updates
    // Who waits for it in the foreground and will remove it; 0: nobody.
    int attendant = 0;
    std::uint64_t attendant_start_time = 0;
    std::map<std::string, std::string> annotations;
};

// runc's grammar: 1 to 1024 of [A-Za-z0-9_+.-], neither "." nor "..".
Result<void> check_id(const std::string& id);

// <root>/<id>, locked.
class StateFolder {
  public:
    // Conflict when the id is taken.
    static Result<StateFolder> create(const std::string& root, const std::string& id);
    // Of a creation that died half-way, or of one whose attendant died before it could remove it:
    // nobody will ask for its removal. nullopt when there is no such thing.
    static Result<std::optional<StateFolder>> open_abandoned(const std::string& root,
                                                             const std::string& id);
    // NotFound when there is no such container.
    static Result<StateFolder> open(const std::string& root, const std::string& id);

    const std::string& path() const { return path_; }
    std::string start_socket() const { return path_ + "/start.sock"; }
    Result<State> load() const;
    Result<void> save(const State& state) const;
    // The copy of the bundle's config.json that later commands read.
    Result<void> keep_config(const std::string& bundle) const;
    Result<void> remove();

  private:
    StateFolder(std::string path, sys::FileLock lock)
        : path_(std::move(path)), lock_(std::move(lock)) {}
    std::string path_;
    sys::FileLock lock_;
};

// Ids under `root`, sorted; a root that does not exist has none.
Result<std::vector<std::string>> list_ids(const std::string& root);
// Without the lock.
Result<State> load_state(const std::string& root, const std::string& id);

// The start time of a live process; nullopt when there is none or it is a zombie.
std::optional<std::uint64_t> live_start_time(int pid);
// `folder` is the container's. Never Paused: that is not told by the process.
Status status_of(const State& state, const std::string& folder);

}  // namespace coffer::runtime
