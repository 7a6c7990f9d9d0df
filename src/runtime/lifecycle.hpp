#pragma once
// What coffer-oci's commands do, without argv: containers under a root folder, from creation to
// removal. Single-threaded.

#include <optional>
#include <string>
#include <vector>

#include "runtime/create.hpp"
#include "runtime/state.hpp"

namespace coffer::runtime {

struct ContainerRequest {
    std::string id;
    std::string bundle;
    std::string pid_file;        // empty: none
    std::string console_socket;  // where the terminal's master goes
};

struct Inspection {
    State state;
    Status status = Status::Stopped;
};

class Containers {
  public:
    explicit Containers(std::string root) : root_(std::move(root)) {}

    // Ready to be started by another process.
    Result<void> create(const ContainerRequest& request) const;
    Result<void> start(const std::string& id) const;
    // Creates and starts; the result is to be waited for and removed, or left alone.
    Result<Created> run(const ContainerRequest& request) const;
    Result<Inspection> inspect(const std::string& id) const;
    Result<std::vector<Inspection>> list() const;
    enum class Whom { Init, All };
    Result<void> kill(const std::string& id, int signal, Whom whom) const;
    Result<void> pause(const std::string& id) const;
    Result<void> resume(const std::string& id) const;
    enum class Force { No, Yes };
    Result<void> remove(const std::string& id, Force force) const;
    Result<std::vector<int>> pids(const std::string& id) const;

    const std::string& root() const { return root_; }
    std::string filters() const { return root_ + "/seccomp"; }

  private:
    std::string folder_of(const std::string& id) const { return root_ + "/" + id; }
    std::string root_;
};

Result<oci::Spec> load_spec(const std::string& bundle);
Result<void> write_pid_file(const std::string& path, int pid);
// Sends a terminal's master to who listens at `path`.
Result<void> send_console(const std::string& path, int console_fd);
// "9", "KILL", "SIGKILL", "RTMIN+3".
std::optional<int> parse_signal(std::string_view text);

}  // namespace coffer::runtime
