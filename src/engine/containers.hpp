#pragma once
// Containers: their whole life, from create to remove, as Docker means it. Names and id prefixes
// are accepted wherever a container is named. Safe from any thread: slow work is done on a claimed
// transition, never under a lock; list and inspect read snapshots.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/container.hpp"
#include "base/sync.hpp"
#include "engine/filters.hpp"
#include "logger/reader.hpp"
#include "sys/fd.hpp"

namespace coffer::api {
struct Secret;
}

namespace coffer::engine {

enum class SecretKind : std::uint8_t;

struct Core;  // the services that the engine's objects share: engine/core.hpp

// Who asks, from the socket's peer credentials or the client's certificate.
struct Caller {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string name = "engine";  // "uid 1000", "certificate CN=ops"; as inspect and events say it
};

// Somebody waits for a container to end. fd() becomes readable when result() is there.
class Waiter {
  public:
    explicit Waiter(sys::Fd wake) : wake_(std::move(wake)) {}
    int fd() const { return wake_.get(); }
    std::optional<api::WaitResponse> result();
    void finish(api::WaitResponse response);

  private:
    sys::Fd wake_;
    Sync<std::optional<api::WaitResponse>> result_;
};

enum class WaitCondition { NotRunning, NextExit, Removed };

struct AttachOptions {
    bool stdin_open = false;
    bool stdout_open = false;
    bool stderr_open = false;
    bool stream = false;
    bool logs = false;
    bool raw = false;         // without frames, even without a terminal
    std::string detach_keys;  // docker's syntax; empty: the default
};

// A validated attach: what the HTTP side must know before it upgrades the connection.
struct AttachTicket {
    std::string id;
    bool tty = false;
    AttachOptions options;
};

struct LogOptions {
    bool stdout_wanted = false;
    bool stderr_wanted = false;
    logger::ReadOptions read;  // follow, tail, since, until
};

struct StopOptions {
    std::optional<std::string> signal;  // nullopt: the container's own (StopSignal)
    std::optional<int> seconds;         // nullopt: the container's own; negative: for ever
};

struct RemoveOptions {
    bool force = false;
    bool volumes = false;
};

// What the size of a container is to be told of.
enum class SizeOf : std::uint8_t {
    Nothing,
    Writable,  // its writable layer
    Whole,     // and its log, and the files that the engine keeps of it
};

struct ListOptions {
    bool all = false;
    SizeOf size = SizeOf::Nothing;
    int limit = 0;  // > 0: the newest, stopped ones too
    Filters filters;
};

class Containers {
  public:
    explicit Containers(Core& core);
    ~Containers();
    Containers(const Containers&) = delete;
    Containers& operator=(const Containers&) = delete;
    Containers(Containers&&) = delete;
    Containers& operator=(Containers&&) = delete;

    // Loads what the database knows, joins the shims that live, and settles the rest. Called once,
    // before any other function.
    Result<void> recover();

    // `name` may be empty: one is made up. NotFound when the image is absent (the client pulls).
    // A caller who is not root gets binds with exactly their own rights, and no part of the host.
    Result<api::ContainerCreateResponse> create(const std::string& name,
                                                const api::ContainerCreateRequest& request,
                                                const Caller& caller);
    // Another container in the place of this one: its name, its anonymous volumes and, where the
    // request leaves them open, its addresses and ports. Should the new one not come up (turn
    // healthy; without a health check: run for some seconds), or the engine end before that, the
    // old one is put back. `seconds`: 0 is the health check's own time, or five seconds.
    Result<api::ContainerCreateResponse> recreate(const std::string& name,
                                                  const api::ContainerCreateRequest& request,
                                                  int seconds, const Caller& caller);
    Result<std::vector<api::ContainerSummary>> list(const ListOptions& options) const;
    Result<api::ContainerInspect> inspect(const std::string& name, bool with_size) const;
    // NotModified when it runs already. Error codes of the program: see ExitCode in shim/protocol.
    Result<void> start(const std::string& name);
    // NotModified when it does not run. Who stops or kills it ends its restarts as well.
    Result<void> stop(const std::string& name, const StopOptions& options, const Caller& caller);
    Result<void> restart(const std::string& name, const StopOptions& options, const Caller& caller);
    Result<void> kill(const std::string& name, const std::string& signal, const Caller& caller);
    Result<void> pause(const std::string& name);
    Result<void> unpause(const std::string& name);
    Result<void> rename(const std::string& name, const std::string& new_name);
    // Limits and restart policy: all or nothing, at once for one that runs. Zero and empty leave a
    // value as it is.
    Result<api::ContainerUpdateResponse> update(const std::string& name,
                                                const api::ContainerUpdateRequest& request);
    // The egress policies that a container meets; see network/egress.hpp.
    Result<std::vector<api::EgressReport>> egress(const std::string& name) const;
    // Another one of its own from now on; "": none.
    Result<void> set_egress(const std::string& name, const std::string& policy);
    Result<void> resize(const std::string& name, unsigned height, unsigned width);
    // The end of the engine's service: all containers end, those first that depend on others, and
    // start again with the next engine as their restart policies say. Returns when they have ended.
    void stop_all();
    // Ids of which there is a control group or a bundle, and no run. `end` removes those, with the
    // processes in them.
    Result<std::vector<std::string>> find_strays(bool end);
    Result<void> remove(const std::string& name, const RemoveOptions& options,
                        const Caller& caller);
    Result<api::ContainersPruneReport> prune(const Filters& filters);
    Result<api::TopResponse> top(const std::string& name, const std::string& ps_args) const;

    // Of a running container at once, of another at its next start.
    Result<void> connect(const std::string& network, const std::string& name,
                         const api::EndpointSettings& settings);
    // `force`: from a network that is gone, too.
    Result<void> disconnect(const std::string& network, const std::string& name, bool force);

    Result<std::shared_ptr<Waiter>> wait(const std::string& name, WaitCondition condition);

    // Attach in two steps: check, then (after the upgrade) hand the connection over. The stream
    // goes to the shim and outlives this engine. `greeting` (the head of the reply) is written to
    // the connection once the attach is registered and before any output: the client starts the
    // container as soon as it has it. `early` are bytes already read from the client.
    Result<AttachTicket> prepare_attach(const std::string& name,
                                        const AttachOptions& options) const;
    Result<void> attach(const AttachTicket& ticket, sys::Fd connection, const std::string& greeting,
                        std::string early);

    // Whether the container has a terminal, which decides the framing; NotImplemented when its log
    // cannot be read.
    Result<bool> prepare_logs(const std::string& name) const;
    // `each` returns false to stop.
    // `interrupted` is polled by a following reader: the client's connection.
    Result<void> read_logs(const std::string& name, const LogOptions& options,
                           const Cancel& interrupted,
                           const std::function<bool(const logger::Record&)>& each) const;

    // max-size and max-file of its log, from now on. InvalidArgument for any other option.
    Result<void> set_log_limits(const std::string& name,
                                const std::map<std::string, std::string>& options);

    // Takes ports back, then publishes others: all or nothing, at once for one that runs.
    // Connections that are open go on.
    Result<void> set_ports(const std::string& name, const api::PortMap& add,
                           const api::PortMap& remove);

    // Takes mounts away, then adds others: all or nothing, at once for one that runs. A volume that
    // is added to one that has run gets nothing of the image.
    Result<void> set_mounts(const std::string& name, const std::vector<api::Mount>& add,
                            const std::vector<std::string>& remove, const Caller& caller);

    // Ids of containers that use an image, for the image store's conflict checks.
    struct ImageUse {
        std::string container;
        bool running = false;
    };
    std::vector<ImageUse> users_of_image(const std::string& image_id) const;

    // Number of containers by state, for info.
    struct Counts {
        int running = 0;
        int paused = 0;
        int stopped = 0;
    };
    Counts counts() const;

    // By name, those that want this secret.
    std::vector<std::string> users_of_secret(SecretKind kind, const api::Secret& one) const;

    struct Impl;
    Impl& impl() { return *impl_; }

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
