#pragma once
// What the parts of Containers share (private to src/engine). Locks: `table` guards only the maps;
// a container's claim guards its changes; neither is held across the other's slow work.

#include <atomic>
#include <map>
#include <string>

#include "engine/container.hpp"
#include "engine/containers.hpp"
#include "engine/core.hpp"
#include "engine/dependencies.hpp"
#include "engine/mounts.hpp"
#include "engine/spec_builder.hpp"
#include "engine/volume_fills.hpp"
#include "network/networks.hpp"
#include "store/database.hpp"

namespace coffer {
class Rollback;
}
namespace coffer::store {
class Lease;
}

namespace coffer::engine {

struct Containers::Impl {
    explicit Impl(Core& services) : core(services) {}

    struct Table {
        std::map<std::string, std::shared_ptr<Container>> by_id;
        std::map<std::string, std::string> id_by_name;
    };

    Core& core;
    mutable Sync<Table> table;
    // Compiled seccomp filters by rights, as sealed memfds that every start shares.
    Sync<std::map<std::string, std::shared_ptr<sys::Fd>>> filters;
    VolumeFills fills;
    std::atomic<std::uint32_t> last_project = 1U << 20U;  // of a quota; others have lower ones
    std::atomic<bool> recovered = false;                  // containers may be started
    std::atomic<bool> stopping = false;                   // all end, and none is started any more
    // Containers that are to start after the boot, until what they depend on is there.
    Sync<Dependencies> waiting;
    // Called on the reading thread for every end of an exec; set by Execs.
    std::function<void(const std::string& exec_id, int exit_code)> exec_ended;
    std::function<void(const std::string& container_id)> container_ended;

    // containers.cpp
    Result<std::shared_ptr<Container>> find(const std::string& name) const;
    std::vector<std::shared_ptr<Container>> all() const;
    // Durable, then visible.
    Result<void> save(Container::Claim& claim, Record record);
    Result<void> save(Container::Claim& claim, Record record, store::Durability durability);
    // Calls `job` in a worker after a while, if the container is still there; gives the timer.
    std::uint64_t later(const std::shared_ptr<Container>& container, std::chrono::nanoseconds wait,
                        std::function<void(const std::shared_ptr<Container>&)> job);
    void publish_event(const Record& record, const std::string& action,
                       std::map<std::string, std::string> attributes = {});
    // One event for each that is a volume.
    enum class Mounts : std::uint8_t { Made, Gone };
    void publish_mounts(const std::string& id, const std::vector<MountRecord>& mounts,
                        Mounts what) const;
    std::string folder(const Record& record) const;  // <data-root>/containers/<id>
    std::string bundle(const Record& record) const;  // <exec-root>/containers/<id>

    Result<void> rename(const std::shared_ptr<Container>& container, const std::string& new_name);

    // container_create.cpp
    Result<Record> new_record(const std::string& name, const api::ContainerCreateRequest& request,
                              const Caller& caller, store::Lease& lease,
                              std::vector<std::string>& warnings);

    // Makes one of that name; an empty one is made up. Gives its id.
    Result<std::string> create(const std::string& wanted,
                               const api::ContainerCreateRequest& request, const Caller& caller,
                               std::vector<std::string>& warnings,
                               const std::shared_ptr<const Record>& replaced);
    Result<void> check_links(const Record& record) const;

    // container_mounts.cpp
    // A volume for the container of that id to hold: found, or made. An empty name makes one up.
    Result<VolumeRef> take_volume(const std::string& id, const MountRecord& mount,
                                  const Caller& caller, Rollback& undo);
    // The data of its volumes is there until it has ended; the record says where.
    Result<void> mount_volumes(const std::string& id, std::vector<MountRecord>& mounts,
                               Rollback& undo);
    void unmount_volumes(const std::string& id, const std::vector<MountRecord>& mounts) const;
    Result<ImageRef> find_image(const std::string& name, store::Lease& lease) const;
    // After an engine that ended in the middle of a change.
    void settle_mounts(Container::Claim& claim);

    // container_secrets.cpp
    // Each is there; docker's words otherwise.
    Result<void> check_secrets(const Record& record) const;
    // On the host, in the bundle; what shows them in the container is added to `mounts`.
    Result<void> mount_secrets_of(const Record& record, std::vector<oci::Mount>& mounts) const;

    // container_quota.cpp
    // --storage-opt size, on a writable layer that nobody has written to.
    Result<void> set_quota(Record& record);
    void clear_quota(const Record& record) const;

    // container_recreate.cpp
    Result<void> replace(const std::shared_ptr<Container>& old,
                         const std::shared_ptr<Container>& next, std::chrono::seconds limit,
                         const Caller& caller);
    Result<void> await_up(const std::shared_ptr<Container>& container, std::chrono::seconds limit);
    void put_back(const std::shared_ptr<Container>& next);
    Result<void> finish_replacement(const std::shared_ptr<Container>& next);
    // Of an engine that ended in the middle.
    void settle_replacements();

    // container_modes.cpp
    // What a mode is once each "container:X" in turn is what X has.
    Result<std::string> real_mode(std::string mode, std::string api::HostConfig::*field) const;
    // Checked, and with ids for names.
    Result<void> settle_modes(Record& record, const Caller& caller) const;
    // The namespaces of others for a start; empty where it shares none.
    struct Joined {
        std::string pid_mode;  // real ones
        std::string ipc_mode;
        std::uint32_t id_base = 0;
        std::shared_ptr<Container> network_owner;
        sys::Fd netns;
        sys::Fd userns;
        sys::Fd pidns;
        sys::Fd ipcns;
        sys::Fd mounts;  // for its /dev/shm
    };
    Result<Joined> join_others(const Record& record) const;

    // container_start.cpp
    Result<ImageLayers> image_layers(const Record& record) const;
    Result<void> start(const std::shared_ptr<Container>& container);
    // All that a start does, or nothing; `record` becomes what is known of the run.
    Result<void> run(const std::shared_ptr<Container>& container, Container::Claim& claim,
                     Record& record);
    Result<std::shared_ptr<sys::Fd>> seccomp_filter(const Rights& rights);
    // Frees what a run holds outside the container's own processes.
    void release_run(const Record& record);
    void remove_bundle(const Record& record) const;
    // What its shim wrote down; else an end with that code just now.
    shim::ExitRecord recorded_exit(const Record& record, int exit_code, int signal) const;

    // container_networks.cpp
    Result<std::vector<network::Endpoint>> connect_all(const Record& record, int netns,
                                                       Rollback& undo);
    Result<network::Endpoint> connect_one(const Record& record, const std::string& name,
                                          const std::string& ifname, int netns);
    Result<void> write_network_files(const Record& record,
                                     const std::vector<network::Endpoint>& endpoints);
    // Its names for others, where one of its networks has names.
    Result<void> serve_names(const Record& record, const std::vector<network::Endpoint>& endpoints,
                             int netns);
    Result<std::string> hosts_text(const Record& record,
                                   const std::vector<network::Endpoint>& endpoints);
    // Leaves the new endpoints in the record.
    Result<void> networks_changed(Record& record, const std::vector<network::Endpoint>& before,
                                  std::vector<network::Endpoint> after, int netns);
    // The same with another policy on all of them.
    Result<void> egress_changed(Record& record, const std::string& policy);
    // For a new engine.
    Result<void> serve_names_again(const Record& record);
    void publish_network_event(const network::Endpoint& endpoint, const std::string& action) const;

    // container_end.cpp
    void on_shim(const std::shared_ptr<Container>& container, const shim::FromShim* message);
    void settle_exit(const std::shared_ptr<Container>& container,
                     const std::shared_ptr<ShimLink>& link, const shim::ExitRecord& exit);
    // The shim was killed: its container dies with it, and what it wrote before counts.
    void settle_loss(const std::shared_ptr<Container>& container);
    void settle_claimed(const std::shared_ptr<Container>& container, Container::Claim& claim,
                        const shim::ExitRecord& exit);
    void tell_waiters(Container& container, const Record& record) const;
    // Of a container that is "restarting": its start after a while. By the holder of the claim.
    void plan_restart(const std::shared_ptr<Container>& container, std::chrono::milliseconds wait);
    void start_again(const std::shared_ptr<Container>& container, std::uint64_t number);
    // Between two runs there is nothing to signal: false when it is not there.
    Result<bool> end_restarts(const std::shared_ptr<Container>& container,
                              const EndRequest& request);

    // container_health.cpp
    enum class HealthStart : std::uint8_t { Fresh, Resumed };
    void begin_health(const std::shared_ptr<Container>& container, HealthStart how);
    void suspend_health(Container& container);
    void end_health(Container& container);
    void plan_check(const std::shared_ptr<Container>& container, std::uint64_t number);
    void check_health(const std::shared_ptr<Container>& container, std::uint64_t number);
    Result<void> send_check(const Container& container, const std::string& id);
    // False when the exec is no check.
    bool on_check(const std::shared_ptr<Container>& container, const shim::ExecExited& exited);
    // Those that an engine before us began.
    void drop_old_checks(const shim::Hello& hello, ShimLink& link);
    void settle_check(const std::shared_ptr<Container>& container, const std::string& id,
                      int exit_code, std::string output);
    void act_on_failure(const std::shared_ptr<Container>& container);

    // container_stop.cpp
    Result<void> announce_end(const std::shared_ptr<Container>& container,
                              const EndRequest& request);
    // To init. SIGKILL reaches it also when its shim does not answer.
    Result<void> signal(const std::shared_ptr<Container>& container, int number);
    // True when it has ended in time.
    Result<bool> signal_and_wait(const std::shared_ptr<Container>& container, int number,
                                 std::optional<std::chrono::milliseconds> limit);
    Result<void> stop(const std::shared_ptr<Container>& container, const StopOptions& options,
                      EndRequest request);
    Result<void> remove(const std::shared_ptr<Container>& container, const RemoveOptions& options,
                        const Caller& caller);
    enum class RemoveVolumes : std::uint8_t { No, Yes };  // the anonymous ones
    Result<void> remove_claimed(Container::Claim& claim, RemoveVolumes volumes);

    // recovery.cpp
    void restore_run(const Record& record);
    void rejoin(const std::vector<std::shared_ptr<Container>>& running);
    // The shim of a container that was up has told how it is.
    void rejoined(const std::shared_ptr<Container>& container, const shim::Hello& hello);
    void start_at_boot();
    void abandon(const std::string& id);

    // container_order.cpp
    // Starts containers that are "restarting", each when what it depends on is there.
    void start_in_order(const std::vector<std::shared_ptr<Container>>& containers);
    // Some container has changed: who waited for it?
    void start_settled();
    void start_now(const std::string& id);
    // Those of them that nobody else among them depends on.
    static std::vector<std::shared_ptr<Container>> take_last(
        std::vector<std::shared_ptr<Container>>& containers);

    // container_list.cpp
    struct Sizes {
        std::int64_t own = 0;
        std::int64_t with_image = 0;
    };
    Result<Sizes> sizes(const Record& record, SizeOf what) const;

    // container_view.cpp
    api::ContainerInspect inspect(const Record& record) const;
    api::ContainerSummary summary(const Record& record) const;
};

// A container that goes with its process does not outlive a power failure: its row need not.
inline store::Durability durability_of(const Record& record) {
    return record.host_config.auto_remove ? store::Durability::Later : store::Durability::AtOnce;
}
// docker's rules for the limits of a container. What this machine cannot do is taken out with a
// warning, as docker does.
Result<void> check_resources(api::Resources& res, std::vector<std::string>& warnings);
// The rows of ps about these processes, with their threads. Pure.
Result<api::TopResponse> parse_processes(const std::string& output, const std::vector<int>& pids);
// "TERM", "SIGTERM", "15" -> 15.
Result<int> parse_signal(const std::string& text);
Failure fail_restarting(const Record& record);
// The reason of a failed start, on the container as it was.
void note_failed_start(Record& record, const Record& attempt, const Error& error);
// What the record of a running container says of its networks, and how it is said.
std::vector<network::Endpoint> endpoints_of(const Record& record);
// Of those networks that lead out, the one with the highest priority, then the first by name: the
// default route of that family is its.
std::optional<std::size_t> way_out(const Record& record,
                                   const std::vector<network::Endpoint>& endpoints,
                                   network::Family family);
// Where its ports are published: the way out of IPv4, or else of IPv6.
std::optional<std::size_t> publishing(const Record& record,
                                      const std::vector<network::Endpoint>& endpoints);
std::vector<std::string> encode_all(const std::vector<network::Endpoint>& endpoints);
// Of a container's control group; a failure is logged.
void thaw_group(const std::string& path);
void remove_group(const std::string& path);  // with what is in it; absent is fine
// docker's words for an exec that could not be started.
Failure exec_failure(Code code, const shim::Reply& reply);
// docker's texts for what a network, or a container in it, cannot be given.
Result<void> check_endpoint(const network::Network& network, const api::EndpointSettings& settings);
// docker's exit code for a run that the shim could not start: 125, 126 or 127.
constexpr int kStartFailed = 125;

}  // namespace coffer::engine
