#pragma once
// CRIU by its RPC (criu swrk, images/rpc.proto of its sources): one request to a process of its
// own. Single-threaded; criu runs as we do and looks at our descriptors through /proc.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace coffer::runtime::criu {

enum class Request : std::uint8_t { Dump = 1, Restore = 2, PreDump = 4 };
// What becomes of control groups, numbered as in criu_cg_mode.
enum class CgroupMode : std::uint8_t { Ignore = 0, Soft = 3, Full = 4, Strict = 5 };

// criu_opts.
struct Options {
    std::string image_folder;
    std::string work_folder;
    std::string log_file;  // a name in the work folder
    int pid = 0;           // of Dump
    std::string root;      // of Restore: a mount, in the namespace that `prepare_in_child` leaves
    std::string parent_images;  // relative to the images
    std::string freeze_cgroup;  // folder
    std::string cgroup_root;    // of Restore
    // Mounts from outside: of Dump (mount point, name), of Restore (name, path).
    std::vector<std::pair<std::string, std::string>> external_mounts;
    // Of Dump: objects from outside, "net[inode]:name".
    std::vector<std::string> external;
    // Of Restore: what had this name is ours, by its number.
    std::vector<std::pair<std::string, int>> inherited;
    CgroupMode cgroup_mode = CgroupMode::Soft;
    int status_fd = -1;
    bool leave_running = false;
    bool tcp_established = false;
    bool external_unix_sockets = false;
    bool shell_job = false;
    bool file_locks = false;
    bool link_remap = false;
    bool auto_dedup = false;
    bool track_memory = false;
    bool empty_network = false;
};

struct Notice {
    std::string script;  // "setup-namespaces" and so on
    int pid = 0;         // where it names one
    sys::Fd master;      // of "orphan-pts-master": of a terminal whose master was not in the images
};

struct Call {
    std::string program;  // a path, or a name in $PATH
    Request request = Request::Dump;
    Options options;
    // criu and what it restores is in it; nullptr: where we are.
    const sys::cgroup::Cgroup* cgroup = nullptr;
    // Of Restore: run by criu's process before criu is, in a mount namespace of its own.
    std::function<Result<void>()> prepare_in_child;
    // Called at CRIU's notifications. An error ends the request. Empty: they are not asked for.
    std::function<Result<void>(Notice notice)> on_notice;
};

// What is restored is our child.
Result<void> request(const Call& call);

}  // namespace coffer::runtime::criu
