#pragma once
// What coffer-oci's commands do, without argv: containers under a root folder, from creation to
// removal. Single-threaded.

#include <optional>
#include <string>
#include <vector>

#include "runtime/create.hpp"
#include "runtime/state.hpp"

namespace coffer::runtime {

enum class CgroupManager : std::uint8_t { Files, Systemd, Disabled };

struct Settings {
    std::string root;
    CgroupManager cgroups = CgroupManager::Files;
    // Where we may not make control groups there are none, unless limits are asked for.
    bool rootless = false;
    std::string criu = "criu";  // a path, or a name in $PATH
};

struct ContainerRequest {
    std::string id;
    std::string bundle;
    std::string pid_file;                  // empty: none
    std::string console_socket;            // where the terminal's master goes
    unsigned preserved_fds = 0;            // 3 and up that the process gets
    std::vector<std::string> environment;  // besides the spec's
    bool no_pivot = false;
    bool no_new_keyring = false;
    bool attended = false;  // run() only: the caller waits for it and removes it
};

struct Inspection {
    State state;
    Status status = Status::Stopped;
};

class Containers {
  public:
    explicit Containers(Settings settings) : settings_(std::move(settings)) {}

    // Ready to be started by another process.
    Result<void> create(const ContainerRequest& request) const;
    Result<void> start(const std::string& id) const;
    // Creates and starts; the result is to be waited for and removed, or left alone.
    Result<Created> run(const ContainerRequest& request) const;
    Result<Inspection> inspect(const std::string& id) const;
    Result<std::vector<Inspection>> list() const;
    enum class Whom { Init, All };
    Result<void> kill(const std::string& id, int signal, Whom whom) const;
    enum class Force { No, Yes };
    Result<void> remove(const std::string& id, Force force) const;
    Result<std::vector<int>> pids(const std::string& id) const;
    Result<void> pause(const std::string& id) const;
    Result<void> resume(const std::string& id) const;
    // Changes what is given and nothing else; after a failure the old limits are back.
    Result<void> update(const std::string& id, const oci::LinuxResources& changes) const;
    // Of its linux.intelRdt group.
    Result<void> update_schemata(const std::string& id,
                                 const std::vector<std::string>& schemata) const;
    // The configuration it was created from.
    Result<oci::Spec> spec_of(const std::string& id) const;

    const Settings& settings() const { return settings_; }
    std::string filters() const { return settings_.root + "/seccomp"; }

  private:
    std::string folder_of(const std::string& id) const { return settings_.root + "/" + id; }
    Settings settings_;
};

// The group of a container, borrowed; NotFound when it has none.
Result<sys::cgroup::Cgroup> open_cgroup(const State& state);
// The live process of a container, or why there is none.
Result<sys::Fd> open_init(const Inspection& container);

Result<oci::Spec> load_spec(const std::string& folder);
Result<void> write_pid_file(const std::string& path, int pid);
// Sends a terminal's master to who listens at `path`.
Result<void> send_console(const std::string& path, int console_fd);
// "9", "KILL", "SIGKILL", "RTMIN+3".
std::optional<int> parse_signal(std::string_view text);

}  // namespace coffer::runtime
