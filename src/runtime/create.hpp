#pragma once
// Making a container: create() assembles everything up to, but without, the execution of the
// program; start() executes it. Single-threaded processes only (coffer-shim, coffer-oci).
//
//   caller ── clone ──> stage (init_stage.cpp)  host's namespaces, then its own mount namespace:
//     │                   │                     rootfs from detached mounts; joins given namespaces
//     │                   └─ clone3(CLONE_PARENT, new namespaces) ──> container init: a child of
//     the │ <────── pid, console, ready ───────────────────────────────── caller; stage ends └─
//     start ──────────────────────────────────────────────────> execve
//
// Nothing is mounted in the caller's mount namespace. The caller reaps `Created::pid`.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "oci/runtime_spec.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace coffer::runtime {

// Instead of spec.root.path: folders of layers, top first, below a folder that holds diff/ and
// work/. With a user namespace all are id-mapped by it: the disk holds the container's ids.
struct OverlayRootfs {
    std::vector<std::string> lower_dirs;
    std::string upper_dir;
};

// Borrowed descriptors that become 0, 1 and 2; -1: /dev/null. Not used with a terminal.
struct Stdio {
    int in = -1;
    int out = -1;
    int err = -1;
};

struct CreateOptions {
    std::string id;
    std::string bundle;  // an existing folder; relative paths of the spec start here
    std::optional<OverlayRootfs> overlay;
    // "name[:group]" to look up in the root file system instead of the spec's numbers (user.hpp),
    // with further groups. Empty: as the spec says.
    std::string user;
    std::vector<std::string> groups;
    int userns_fd = -1;  // borrowed; -1: as the spec says
    int netns_fd = -1;
    int pidns_fd = -1;
    int ipcns_fd = -1;
    // Borrowed: the mount namespace whose /dev/shm is the container's too; -1: as the spec says.
    int shm_mount_ns_fd = -1;
    Stdio stdio;
    const sys::cgroup::Cgroup* cgroup = nullptr;  // borrowed; nullptr: stay in the caller's
    // Further groups to be in: files that a process enters one by, writing 0 to it.
    std::vector<std::string> task_files;
    // SIGKILL to the process when the caller dies: for a caller that watches it.
    bool die_with_parent = false;
    // Compiled linux.seccomp; must be given when the spec has one.
    std::string seccomp_bpf;
    // A listening SOCK_SEQPACKET socket on which init accepts its start, so that another process
    // can give it (start_over_socket); -1: start() on the result does.
    int start_listener_fd = -1;
    // Moves linux.netDevices into the network namespace of `pid`; must be given when the spec has
    // some.
    std::function<Result<void>(int pid)> move_devices;
    unsigned preserved_fds = 0;  // descriptors from 3 up that the process gets
    bool no_pivot = false;  // for a root on an initramfs, which cannot be changed by pivot_root
    bool no_new_keyring = false;  // stay in the caller's session keyring
};

struct Created {
    int pid = -1;
    sys::Fd pidfd;
    sys::Fd console;  // master of the terminal, when the spec asks for one
    sys::Fd sync;     // private to start()
};

Result<Created> create(const oci::Spec& spec, const CreateOptions& options);
// Takes the descriptor by which calls of a seccomp filter that notifies are decided.
using OnListener = std::function<Result<void>(sys::Fd listener)>;
// Executes the program. An error that the kernel gives for execve comes back here; the process
// then ends by itself and must be reaped.
Result<void> start(Created& created, const OnListener& on_listener = {});
// The same through the socket that `start_listener_fd` listens on.
Result<void> start_over_socket(const std::string& socket_path, const OnListener& on_listener = {});

// docker's exit status for an error of create, start and exec: 127 when the program was not found,
// 126 when it cannot be executed, else 125.
int exit_status_of(const Error& error);

// The limits that linux.resources asks for.
Result<sys::cgroup::Limits> limits_of(const oci::Spec& spec);

}  // namespace coffer::runtime
