#pragma once
// Another process in a running container: joins all its namespaces by pidfd and its cgroup, drops
// to what `process` says and executes. The result is a child of the caller, who reaps it.
// Single-threaded processes only.

#include "runtime/create.hpp"

namespace coffer::runtime {

struct ExecOptions {
    // "name[:group]" to look up in the container's files instead of the process's numbers
    // (user.hpp), with further groups. Empty: as the process says.
    std::string user;
    std::vector<std::string> groups;
    Stdio stdio;                                  // not used with process.terminal
    const sys::cgroup::Cgroup* cgroup = nullptr;  // of the container
    std::vector<std::string> task_files;          // as in CreateOptions
    std::string seccomp_bpf;                      // of the container; empty: none
    unsigned seccomp_flags = 0;
    const oci::Linux* linux = nullptr;  // of the container: personality and memory policy
    OnListener on_listener;             // as of start()
    bool die_with_parent = false;       // as in CreateOptions, as the next
    unsigned preserved_fds = 0;
};

struct Executed {
    int pid = -1;
    sys::Fd pidfd;
    sys::Fd console;
};

// Returns once the program is executed, or with why it is not (exit_status_of).
Result<Executed> exec(int container_pidfd, const oci::Process& process, const ExecOptions& options);

}  // namespace coffer::runtime
