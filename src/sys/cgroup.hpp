#pragma once
// A container's control group behind one interface, with cgroup v2 and cgroup v1 back ends. On a
// hybrid machine (v1 controllers beside an empty v2 hierarchy) v1 is used. A Cgroup belongs to one
// thread; the free functions are safe from any thread.
//
// Paths: "/coffer/<id>" lies below the root of what is mounted; a relative path lies below our own
// cgroup. Every limit that cannot be applied is an error naming the file and the value.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.hpp"

namespace coffer::sys::cgroup {

struct DeviceRule {
    bool allow = false;
    char type = 'a';                    // 'a' all, 'b' block, 'c' character
    std::optional<std::int64_t> major;  // nullopt: any
    std::optional<std::int64_t> minor;
    std::string access;  // of "rwm"; empty: all three
};

struct DeviceValue {
    std::uint64_t major = 0;
    std::uint64_t minor = 0;
    std::uint64_t value = 0;
};

// Absent means: leave the kernel's default (create) or what is set (update). -1 lifts a limit.
struct Limits {
    std::optional<std::int64_t> memory;       // bytes
    std::optional<std::int64_t> memory_swap;  // bytes of memory and swap together
    std::optional<std::int64_t> memory_reservation;
    bool memory_check_usage = false;                 // refuse a limit below what is in use
    std::optional<std::uint64_t> memory_swappiness;  // v1 only
    std::optional<bool> disable_oom_killer;          // v1 only
    std::optional<std::uint64_t> cpu_shares;         // v1 scale, 2 to 262144
    std::optional<std::int64_t> cpu_quota;           // microseconds in a period
    std::optional<std::uint64_t> cpu_period;         // microseconds
    std::optional<std::uint64_t> cpu_burst;          // microseconds
    std::optional<std::int64_t> cpu_idle;            // 1: SCHED_IDLE
    std::optional<std::int64_t> cpu_rt_runtime;      // v1 only
    std::optional<std::uint64_t> cpu_rt_period;      // v1 only
    std::string cpus;                                // "0-2,7"; empty: all of the parent
    std::string mems;
    std::optional<std::int64_t> pids;
    std::optional<std::uint16_t> blkio_weight;  // v1 scale, 10 to 1000
    std::vector<DeviceValue> blkio_weight_device;
    std::vector<DeviceValue> read_bps;
    std::vector<DeviceValue> write_bps;
    std::vector<DeviceValue> read_iops;
    std::vector<DeviceValue> write_iops;
    std::vector<std::pair<std::string, std::uint64_t>> hugetlb;  // page size ("2MB"), bytes
    std::vector<std::pair<std::string, std::string>> rdma;  // device, "hca_handle=2 hca_object=3"
    std::optional<std::uint32_t> net_class_id;              // v1 only
    std::vector<std::pair<std::string, std::uint32_t>> net_priorities;  // v1 only
    std::vector<std::pair<std::string, std::string>> unified;           // v2 only: file, value
    std::vector<DeviceRule> devices;  // in order, the last match wins; empty: not restricted
};

struct Stats {
    struct Row {  // a line of a blkio file; op is "Read", "Write", "Sync", "Total", ...
        std::uint64_t major = 0;
        std::uint64_t minor = 0;
        std::string op;
        std::uint64_t value = 0;
    };
    std::uint64_t cpu_ns = 0;
    std::uint64_t cpu_user_ns = 0;
    std::uint64_t cpu_system_ns = 0;
    std::vector<std::uint64_t> cpu_per_cpu_ns;  // v1 only
    std::uint64_t periods = 0;
    std::uint64_t throttled_periods = 0;
    std::uint64_t throttled_ns = 0;
    std::uint64_t memory_usage = 0;
    std::uint64_t memory_max_usage = 0;  // v2: since Linux 5.19
    std::uint64_t memory_limit = 0;      // UINT64_MAX: none
    std::uint64_t memory_failures = 0;   // how often the limit was hit
    std::uint64_t memory_ooms = 0;       // v2: how often nothing could be reclaimed
    std::vector<std::pair<std::string, std::uint64_t>> memory_stat;  // memory.stat as it is
    struct Counter {  // one of v1's "usage, limit, most, failures"
        std::uint64_t usage = 0;
        std::uint64_t limit = 0;  // UINT64_MAX: none
        std::uint64_t max = 0;
        std::uint64_t failures = 0;
    };
    Counter memory_swap;        // v1: memory and swap; v2: swap alone
    Counter memory_kernel;      // v1 only
    Counter memory_kernel_tcp;  // v1 only
    bool memory_hierarchy = false;
    std::vector<std::pair<std::string, Counter>> hugetlb;  // by page size
    std::uint64_t pids = 0;
    std::uint64_t pids_limit = 0;  // 0: none
    std::vector<Row> io_service_bytes;
    std::vector<Row> io_serviced;
    // Further files of blkio, by their names: "io_queued", "io_service_time", ... v1 only.
    std::vector<std::pair<std::string, std::vector<Row>>> io_other;
    // Flags and lists of cpuset files as they are: "cpus" = "0-3".
    std::vector<std::pair<std::string, std::string>> cpuset;
    // Texts of the pressure files: "cpu", "memory", "io". v2 only.
    std::vector<std::pair<std::string, std::string>> pressure;
};

// Usage leaves out what costs many files and says little of use: swap, kernel memory, huge pages,
// cpusets, pressure.
enum class Detail : std::uint8_t { Usage, All };

// The machine's hierarchies, as far as this process sees them.
struct Layout {
    struct Hierarchy {
        std::vector<std::string> controllers;  // "cpu", "cpuacct"; "name=systemd" for named ones
        std::string mount_point;
        std::string own_path;  // our own cgroup, below mount_point; "/" for its root
    };
    int version = 0;            // 1, 2, or 0 when nothing is mounted
    std::vector<Hierarchy> v1;  // version 1: each with at least one controller or name
    Hierarchy unified;          // version 2
    bool has(const std::string& controller) const;
};
// The folder of a group in a hierarchy. Pure.
std::string folder_of(const Layout::Hierarchy& hierarchy, const std::string& path);
// Those of all hierarchies in which groups are made. Pure.
std::vector<std::string> folders_of(const Layout& layout, const std::string& path);

// Pure: from the texts of /proc/self/mountinfo and /proc/self/cgroup.
Result<Layout> parse_layout(std::string_view mountinfo, std::string_view own_cgroups);
// Detected once per process.
const Layout& host_layout();

// v1's shares on v2's scale: 2..262144 -> 1..10000, as the OCI runtimes convert them. Pure.
std::uint64_t cpu_weight_of_shares(std::uint64_t shares);

class Backend;

// Owns the folders: the destructor kills what runs inside and removes them, unless release()d.
class Cgroup {
  public:
    // Makes the group with its parents and applies the limits. An existing group is taken over
    // when no process is in it (left by a crash) but for `inhabitant`, otherwise Conflict.
    static Result<Cgroup> create(const std::string& path, const Limits& limits,
                                 const Layout& layout = host_layout(), int inhabitant = 0);
    // An existing group, borrowed: the result is released already.
    static Result<Cgroup> open(const std::string& path, const Layout& layout = host_layout());

    Cgroup() noexcept;
    ~Cgroup();
    Cgroup(Cgroup&& other) noexcept;
    Cgroup& operator=(Cgroup&& other) noexcept;
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    explicit operator bool() const { return backend_ != nullptr; }
    void release() { owned_ = false; }

    const std::string& path() const { return path_; }
    // A process enters the group in two steps that both cost nothing: it is cloned into clone_fd()
    // (v2; empty on v1), then calls join_self() (v1; nothing on v2). It must have one thread. To
    // move it by cgroup.procs instead would wait for an RCU grace period: 5 to 15 ms.
    Result<Fd> clone_fd() const;
    Result<void> join_self() const;
    // v2: of the group, this one or one below it, that a process is in. A group that has groups
    // with limits of their own takes no process: cloning into it fails with EBUSY.
    Result<Fd> clone_fd_of(int pid) const;
    // v2: lets a user make groups below this one, as many and as deep as can be removed again, and
    // nothing else: the limits stay the caller's (cgroups(7), delegation).
    Result<void> give_to(std::uint32_t uid) const;

    Result<void> update(const Limits& limits) const;
    Result<void> freeze() const;
    Result<void> thaw() const;
    Result<bool> is_frozen() const;
    // SIGKILL for every process of the group and of the groups below, also for those that are
    // being born; a frozen group is thawed.
    Result<void> kill_all() const;
    Result<void> signal_all(int number) const;
    Result<std::vector<int>> pids() const;  // with the groups below
    Result<Stats> stats(Detail detail = Detail::All) const;
    // How many processes the OOM killer has taken.
    Result<std::uint64_t> oom_kills() const;
    // A descriptor that reports an OOM kill: EPOLLIN on v1 (an eventfd, read it), EPOLLPRI |
    // EPOLLIN on v2 (an inotify of memory.events, read it). Compare oom_kills() afterwards. Empty
    // without a memory controller.
    Result<Fd> oom_events() const;
    // Kills, waits for the processes to go and removes the folders, the ones below first. Absent
    // is success.
    Result<void> remove();

  private:
    Cgroup(std::string path, std::unique_ptr<Backend> backend, bool owned);
    std::string path_;
    std::unique_ptr<Backend> backend_;
    bool owned_ = false;
};

}  // namespace coffer::sys::cgroup
