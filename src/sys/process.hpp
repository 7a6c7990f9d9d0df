#pragma once
// Starting programs from a process that has threads. spawn() is the only way the daemon and the
// command line start one: the child shares memory with its parent until exec (CLONE_VM | VFORK),
// makes only async-signal-safe calls, and an exec that fails comes back as an error.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::sys {

// A child process behind a pidfd. Unless release()d, the destructor kills and reaps it.
class Process {
  public:
    Process() = default;
    Process(int pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
    ~Process() { reset(); }
    Process(Process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
    Process& operator=(Process&& other) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    int pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    explicit operator bool() const { return pid_ > 0; }
    Result<void> signal(int number) const;
    // Reaps it. nullopt when `limit` passes first. The status is a shell's: 128 + n for signal n.
    Result<std::optional<int>> wait(std::optional<std::chrono::milliseconds> limit = {});
    // Lets it live on, and gives its pidfd away: the caller waits for it.
    Fd take_pidfd();
    // Lets it live on; the caller (or its parent's reaper) waits for it.
    void release();
    void reset() noexcept;

  private:
    int pid_ = -1;
    Fd pidfd_;
};

struct SpawnOptions {
    std::vector<std::string> argv;
    std::string path;              // absolute; empty: argv[0]
    std::vector<std::string> env;  // whole environment, "K=V"
    std::string cwd;               // empty: as ours
    // Child descriptor number -> our descriptor. 0, 1 and 2 default to /dev/null, /dev/null and
    // our standard error. No other descriptor is passed on.
    std::vector<std::pair<int, int>> fds;
    bool new_session = false;  // setsid(2): no terminal, own process group
};
Result<Process> spawn(const SpawnOptions& options);

// Runs to its end with a limit on time; both outputs, cut at 1 MiB.
struct Output {
    int status = 0;
    std::string out;
    std::string err;
};
Result<Output> run(const SpawnOptions& options, std::string_view input,
                   std::chrono::milliseconds limit);

// The strings and a null pointer behind them, as execve(2) takes them. Borrowed: they must outlive
// it.
std::vector<char*> pointers(const std::vector<std::string>& strings);

// Aborts unless this process has one thread: before fork or clone in the runtime and the shim.
void assert_single_threaded();

// Takes the pages of our own code out of our memory; those that are used again come back from the
// page cache. For a process that has done its work and now waits for hours.
void release_code_pages();

}  // namespace coffer::sys
