#pragma once
// The life of one container: made on the engine's request, watched until its end, and the end told.
// One thread; the whole process is this object.
//
//   Empty ── Start ──> Running ── init ends ──> Exited ── Forget, 10 s, or no engine ──> the end
//     └── a failed Start, or the engine goes: the end
//
// On the end of init, in this order: exit.json, the rest of the output, the cgroup, Exited. Clients
// that still read keep the process alive, but not its socket.

#include <map>
#include <memory>
#include <optional>

#include "shim/control.hpp"
#include "shim/io.hpp"
#include "sys/cgroup.hpp"

namespace coffer::shim {

class Supervisor {
  public:
    // `bundle` is the absolute path of the container's folder.
    Supervisor(sys::Reactor& reactor, std::string bundle);

    // Serves the engine on `connection` and its successors until all is over.
    Result<void> run(sys::Fd connection);

  private:
    struct Session {  // the container's init, or an exec
        int pid = -1;
        sys::Fd pidfd;
        std::unique_ptr<Io> io;
        std::optional<int> exit_code;
        bool announced = false;
        std::string captured;
        std::size_t capture = 0;  // how much of the output, at most
        bool cut = false;
    };

    Hello hello() const;
    void on_request(const Envelope& envelope, std::vector<sys::Fd> fds);
    Result<int> serve(const Start& request, std::vector<sys::Fd> fds);
    Result<int> serve(const Attach& request, std::vector<sys::Fd> fds);
    Result<int> serve(const Exec& request, std::vector<sys::Fd> fds);
    Result<int> serve(const Resize& request, const std::vector<sys::Fd>& fds);
    Result<int> serve(const Signal& request, const std::vector<sys::Fd>& fds);
    Result<int> serve(const Probe& request, const std::vector<sys::Fd>& fds);
    Result<int> serve(const Forget& request, const std::vector<sys::Fd>& fds);
    Result<int> serve(const LogLimits& request, const std::vector<sys::Fd>& fds);
    Result<int> serve(const Mounts& request, const std::vector<sys::Fd>& fds);
    Result<Session*> find(const std::string& exec_id);

    Result<void> check_new_exec(const std::string& exec_id) const;
    Io::Options exec_streams(const std::string& id);
    void capture_output(const std::string& id, std::string_view bytes);
    Result<void> open_log(const logs::Setup& setup);
    Result<void> start_container(const Start& request, std::vector<sys::Fd> fds);
    Result<void> watch_oom();
    void on_oom();

    void on_children();
    void on_exit(const std::string& exec_id, Session& session, int code, int signal);
    void announce_exit();
    void announce_exec(const std::string& exec_id, Session& session);
    void forget();
    void end_if_over();

    sys::Reactor& reactor_;
    std::string bundle_;
    Control control_;
    State state_ = State::Empty;
    std::unique_ptr<logs::Log> log_;
    sys::cgroup::Cgroup cgroup_;
    sys::Fd oom_events_;
    std::uint64_t oom_kills_ = 0;
    std::string started_at_;
    std::optional<ExitRecord> exit_;
    Session init_;
    std::map<std::string, Session> execs_;
    bool forgotten_ = false;
};

}  // namespace coffer::shim
