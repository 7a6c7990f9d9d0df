#pragma once
// One container: the record that is kept on disk, and the live object around it. A Record is
// immutable once published: readers take a snapshot and wait for nobody. Changes are made by the
// holder of the container's claim, of which there is one at a time.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/container.hpp"
#include "base/time.hpp"
#include "engine/restart.hpp"
#include "engine/shim_link.hpp"
#include "network/networks.hpp"

namespace coffer::engine {

class Waiter;

// As docker's State.Status spells it.
enum class Status { Created, Running, Paused, Restarting, Removing, Exited, Dead };
std::string to_string(Status status);

// Ids of the files of a mount, and what they are in the container.
struct IdRange {
    std::uint32_t files = 0;
    std::uint32_t inside = 0;
    std::uint32_t size = 0;
};
void describe(json::Fields& f, const IdRange& s);

// A bind, volume or tmpfs after defaults.
struct MountRecord {
    std::string type;     // "bind", "volume", "tmpfs", "image"
    std::string name;     // of a volume
    std::string source;   // on the host; of an image: its name as the user wrote it
    std::string subpath;  // of a volume or an image: this part of it alone
    std::string image_id;
    std::string chain_id;  // of the image's topmost layer
    std::string target;
    std::vector<std::string> options;  // of the kernel's mount table and of the OCI runtime
    bool writable = true;
    std::string propagation;
    std::string mode;  // as the user wrote it
    // A bind with what is mounted below it, and read-only down to there.
    bool recursive = true;
    bool recursive_read_only = true;
    bool copy_up = false;  // of a volume: empty at the first start, it gets the image's content
    // The caller's ids when a user who is not root asked for the bind; 0: ids as on the host.
    std::uint32_t squash_uid = 0;
    std::uint32_t squash_gid = 0;
    // By idmap=; empty: as the files have them.
    std::vector<IdRange> uids;
    std::vector<IdRange> gids;
    // Of a volume that is made for it; not kept.
    std::string driver;
    std::map<std::string, std::string> driver_options;
    std::map<std::string, std::string> labels;
};
void describe(json::Fields& f, const MountRecord& s);

// What a container takes the place of, until it has proved itself: see container_recreate.cpp.
struct Replaced {
    std::string id;
    std::string name;  // which it had, and both shall have
    bool was_up = false;
    std::vector<std::string> endpoints;  // as in Record: the addresses and ports to keep
};
void describe(json::Fields& f, const Replaced& s);

// A change of the mounts of a run that is under way: recorded already, made or not.
struct UnsettledMounts {
    std::vector<std::string> removed;  // where
    std::vector<std::string> added;
};
void describe(json::Fields& f, const UnsettledMounts& s);

// Whose namespace a mode of the form "container:ID" shares; absent for any other.
std::optional<std::string> shared_with(std::string_view mode);

struct Record {
    std::string id;
    std::string name;  // without the slash
    std::string created;
    std::string image_id;
    std::string image_name;  // as the user wrote it
    std::string chain_id;    // of the image's topmost layer
    api::ContainerConfig config;
    api::HostConfig host_config;
    std::map<std::string, api::EndpointSettings> networks;  // as asked for, by network name
    std::vector<MountRecord> mounts;
    std::string level;                // security level
    std::uint32_t quota_project = 0;  // of its writable layer; 0: it may grow

    std::string status = "created";
    int pid = 0;
    int exit_code = 0;
    std::string error;
    bool oom_killed = false;
    bool stopped_by_user = false;
    int exit_signal = 0;   // 0: it exited by itself
    int oom_kills = 0;     // of any of its processes
    std::string ended_by;  // who asked for its end: "stop by uid 0"; empty: nobody
    std::string started_at = "0001-01-01T00:00:00Z";
    std::string finished_at = "0001-01-01T00:00:00Z";
    int restart_count = 0;

    // While it runs:
    std::uint32_t id_base = 0;
    std::string cgroup_path;
    std::string network_container;       // the id whose network namespace it shares
    std::vector<std::string> endpoints;  // network::encode()d

    std::optional<UnsettledMounts> unsettled_mounts;

    std::optional<Replaced> replaces;

    std::string path;  // what runs, for inspect
    std::vector<std::string> args;

    // In memory alone, and kept by publish(): set by Container::set_health().
    std::shared_ptr<const api::Health> health;

    Status state() const;
    // Not over yet for its clients; while it waits for a restart nothing of it runs.
    bool is_up() const { return is_running() || status == "restarting"; }
    bool is_running() const { return status == "running" || status == "paused"; }
};
void describe(json::Fields& f, const Record& s);

// Somebody wants a run to end.
struct EndRequest {
    std::string action;  // "stop", "kill", "restart", "rm", "health"
    std::string by;      // "uid 1000", "health check"
    int signal = 0;
    bool ends = true;          // false: a signal that programs handle and go on
    bool is_final = true;      // no restart by the policy
    bool start_again = false;  // whatever the policy says
    bool keep = false;         // not removed with its run
};

// What goes on of a container's health checks.
struct HealthChecks {
    std::uint64_t number = 0;  // grows with every start, pause and end
    std::uint64_t timer = 0;   // of the next check, or of the time limit of this one
    std::string probe;         // the exec that runs now
    Time began{};
};

// An attached client that waits for the start.
struct PendingClient {
    shim::Client client;
    sys::Fd connection;
};

class Container {
  public:
    explicit Container(std::shared_ptr<const Record> record)
        : id_(record->id), record_(std::move(record)) {}

    const std::string& id() const { return id_; }
    std::shared_ptr<const Record> record() const;

    // The right to change the container; waits until nobody else has it.
    class Claim {
      public:
        explicit Claim(std::shared_ptr<Container> container);
        ~Claim();
        Claim(Claim&& other) noexcept : container_(std::move(other.container_)) {}
        Claim& operator=(Claim&&) = delete;
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;

        Container* operator->() const { return container_.get(); }
        // A copy to change; publish() makes it what readers see.
        Record copy() const { return *container_->record(); }
        void publish(Record record);

      private:
        std::shared_ptr<Container> container_;
    };

    std::shared_ptr<ShimLink> link() const;
    void set_link(std::shared_ptr<ShimLink> link);

    // Clients that attached before the start, until taken.
    void add_pending(PendingClient client);
    std::vector<PendingClient> take_pending();

    // Waiters for the next exit or for the removal.
    void add_waiter(std::shared_ptr<Waiter> waiter, bool for_removal);
    void finish_waiters(const api::WaitResponse& response, bool removed);

    // Readable once the container has stopped: for followers of its log. A fresh one for each run.
    std::shared_ptr<Cancel> run_ended() const;
    void begin_run();
    void end_run();

    // Of the present run: the latest request for its end.
    void request_end(EndRequest request);
    std::optional<EndRequest> take_end_request();

    // For the holder of the claim.
    RestartBackoff& backoff() { return backoff_; }
    // A restart that was planned before the latest call is void.
    std::uint64_t next_restart() { return ++restart_; }
    bool is_restart(std::uint64_t number) const { return restart_ == number; }

    Sync<HealthChecks>& health() { return health_; }
    // Readers see it in their next snapshot.
    void set_health(std::shared_ptr<const api::Health> health);

    // Gone from the tables: late arrivals must not act on it.
    bool removed() const;
    void set_removed();

  private:
    const std::string id_;
    mutable std::mutex mutex_;
    std::condition_variable released_;
    bool claimed_ = false;
    bool removed_ = false;
    std::shared_ptr<const Record> record_;
    std::shared_ptr<ShimLink> link_;
    std::vector<PendingClient> pending_;
    std::vector<std::pair<std::shared_ptr<Waiter>, bool>> waiters_;
    std::shared_ptr<Cancel> run_ended_ = std::make_shared<Cancel>();
    std::optional<EndRequest> end_request_;
    Sync<HealthChecks> health_;
    RestartBackoff backoff_;
    std::uint64_t restart_ = 0;
};

}  // namespace coffer::engine
